"""Signing in with GitHub: pages and store are real, GitHub is a small one on the loopback."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.api.app import create_app
from runtime.auth.passwords import Passwords
from runtime.auth.tokens import TokenSigner
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.approvals import ApprovalService
from runtime.dispatch.signing_in import SignInService
from runtime.domain.identities import Principal
from runtime.settings import AuthSettings, GitHubSettings, Settings
from runtime.store import identities
from runtime.store.database import Database
from tests.api_client import client_for, fake_services
from tests.factories import make_user
from tests.fake_github import CLIENT_ID, CLIENT_SECRET, FakeGitHub, fake_github, make_account

CALLBACK = "/login/github/callback"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with fake_github() as running:
        yield running


@pytest.fixture
def accounts(database: Database) -> AccountService:
    return AccountService(database, TokenSigner(Ed25519PrivateKey.generate()), AuthSettings())


class Site:
    """The application with these allow-lists, and browsers that visit it."""

    def __init__(self, database: Database, accounts: AccountService, folder: Path, github: FakeGitHub) -> None:
        self.github = github
        self._folder = folder
        self._services = replace(
            fake_services(),
            accounts=accounts,
            sign_in=SignInService(database, AuthSettings(), Passwords()),
            approvals=ApprovalService(database),
        )
        self.allow(allowed_users=("ada",))

    def allow(self, **lists: tuple[str, ...]) -> None:
        settings = GitHubSettings(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            url=self.github.url,
            api_url=f"{self.github.url}/api",
            **lists,
        )
        self.app = create_app(
            self._services,
            Settings(state_dir=self._folder, socket=self._folder / "s", auth=AuthSettings(github=settings)),
        )

    def browser(self) -> httpx.AsyncClient:
        return client_for(self.app)

    async def leave(self, browser: httpx.AsyncClient, query: str = "") -> str:
        """Press the button; returns where GitHub sends the browser back to."""
        page = await browser.get(f"/login{query}")
        token = re.search(r'name="csrf" value="(\w+)"', page.text)
        assert token
        data = {"csrf": token[1], **dict(pair.split("=") for pair in query.lstrip("?").split("&") if pair)}
        left = await browser.post("/login/github", data=data)
        assert left.status_code == 303, left.text
        assert left.headers["location"].startswith(f"{self.github.url}/login/oauth/authorize?")
        async with httpx.AsyncClient() as outside:
            back = await outside.get(left.headers["location"])
        return back.headers["location"]

    async def sign_in(self, browser: httpx.AsyncClient, query: str = "") -> httpx.Response:
        return await browser.get(await self.leave(browser, query), headers={"Sec-Fetch-Site": "cross-site"})


@pytest.fixture
async def site(database: Database, accounts: AccountService, tmp_path: Path, github: FakeGitHub) -> Site:
    return Site(database, accounts, tmp_path, github)


async def emails(accounts: AccountService) -> list[str]:
    return [user.email for user in await accounts.users()]


async def test_somebody_on_the_list_becomes_a_user_and_goes_on_to_what_they_came_for(
    site: Site, accounts: AccountService
) -> None:
    started = await accounts.start_login()
    async with site.browser() as browser:
        back = await site.sign_in(browser, f"?user_code={started.user_code}")
        assert back.status_code == 200
        assert f'content="0; url=/activate?user_code={started.user_code}"' in back.text
        page = await browser.get(f"/activate?user_code={started.user_code}")
    assert "ada@example.org" in page.text
    assert "Approve" in page.text
    assert await emails(accounts) == ["ada@example.org"]


async def test_the_page_may_lead_to_github_and_nowhere_else(site: Site) -> None:
    async with site.browser() as browser:
        policy = (await browser.get("/login")).headers["content-security-policy"]
    assert f"form-action 'self' {site.github.url};" in policy


async def test_what_waits_for_the_answer_is_the_one_cookie_that_comes_along_and_it_goes_when_used(site: Site) -> None:
    async with site.browser() as browser:
        address = await site.leave(browser)
        assert "dlt-runtime-github" in browser.cookies
        back = await browser.get(address)
        assert "dlt-runtime-github" not in browser.cookies
        assert "dlt-runtime-session" in browser.cookies
        cookies = {cookie.split("=")[0]: cookie for cookie in back.headers.get_list("set-cookie")}
    assert "SameSite=lax" in cookies["dlt-runtime-github"]
    assert "SameSite=strict" in cookies["dlt-runtime-session"]
    assert all("HttpOnly" in cookie for cookie in cookies.values())


async def test_an_answer_is_taken_by_the_browser_that_asked_and_once(site: Site) -> None:
    async with site.browser() as browser, site.browser() as victim:
        address = await site.leave(browser)
        assert (await victim.get(address)).status_code == 400  # it never asked
        await site.leave(victim)
        assert (await victim.get(address)).status_code == 400  # it asked for another
        assert "dlt-runtime-session" not in victim.cookies
        assert (await browser.get(address)).status_code == 200
        assert (await browser.get(address)).status_code == 400


@pytest.mark.parametrize("change", ["state", "note", "code", "verifier"])
async def test_an_answer_that_was_tampered_with_is_refused(site: Site, change: str) -> None:
    async with site.browser() as browser:
        address = urlsplit(await site.leave(browser, "?user_code=BCDF-2345"))
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if change == "state":
            query["state"] = "0" * 64 + ".BCDF-2345"
        elif change == "note":
            query["state"] = query["state"].replace("BCDF-2345", "GGGG-2222")
        elif change == "code":
            query["code"] = "0" * 20
        else:
            site.github.granted[query["code"]]["code_challenge"] = "of somebody else"
        refused = await browser.get(CALLBACK, params=query)
        assert refused.status_code == 400
        assert "dlt-runtime-session" not in browser.cookies


async def test_who_is_not_on_the_list_does_not_come_in(site: Site, accounts: AccountService) -> None:
    site.github.person = make_account("mallory", emails=make_account("ada").emails)
    async with site.browser() as browser:
        refused = await site.sign_in(browser)
        assert refused.status_code == 403
        assert "mallory" in refused.text
        assert "dlt-runtime-session" not in browser.cookies
    assert await emails(accounts) == []


@pytest.mark.parametrize(
    ("lists", "person", "status"),
    [
        ({"allowed_users": ("ADA",)}, make_account(), 200),
        ({"allowed_organizations": ("fruits",)}, make_account(organizations={"fruits": "active"}), 200),
        ({"allowed_organizations": ("fruits",)}, make_account(organizations={"fruits": "pending"}), 403),
        ({"allowed_organizations": ("fruits",)}, make_account(organizations={"nuts": "active"}), 403),
        ({"allowed_teams": ("fruits/buyers",)}, make_account(teams={"fruits/buyers": "active"}), 200),
        ({"allowed_teams": ("fruits/buyers",)}, make_account(teams={"fruits/sellers": "active"}), 403),
        ({"allowed_teams": ("fruits/buyers",)}, make_account(organizations={"fruits": "active"}), 403),
    ],
)
async def test_users_organizations_and_teams_can_be_let_in(
    site: Site, lists: dict[str, tuple[str, ...]], person: Any, status: int
) -> None:
    site.allow(**lists)
    site.github.person = person
    async with site.browser() as browser:
        assert (await site.sign_in(browser)).status_code == status
    assert ("read:org" in site.github.scopes[0]) == ("allowed_users" not in lists)


@pytest.mark.parametrize(
    "emails_there",
    [
        [],
        [{"email": "ada@example.org", "primary": True, "verified": False}],
        [{"email": "ada@example.org", "primary": False, "verified": True}],
    ],
)
async def test_without_a_verified_primary_email_nobody_comes_in(
    site: Site, accounts: AccountService, emails_there: list[dict[str, Any]]
) -> None:
    site.github.person = make_account(emails=emails_there)
    async with site.browser() as browser:
        assert (await site.sign_in(browser)).status_code == 403
    assert await emails(accounts) == []


async def test_a_person_is_who_has_the_number_not_who_has_the_name_or_email(
    site: Site, accounts: AccountService
) -> None:
    async with site.browser() as browser:
        await site.sign_in(browser)
    renamed = make_account("ada", emails=make_account("countess").emails)
    site.github.person = renamed
    async with site.browser() as browser:
        assert "ada@example.org" in (await site.sign_in(browser)).text
    site.github.person = make_account("ada", id=6666)  # the name and email have changed hands
    async with site.browser() as browser:
        assert (await site.sign_in(browser)).status_code == 409
    assert await emails(accounts) == ["ada@example.org"]


async def test_a_user_whom_an_administrator_added_is_the_one_of_the_verified_email(
    site: Site, accounts: AccountService, database: Database
) -> None:
    root = make_user("root@localhost", local_uid=0)
    async with database.transaction() as connection:
        await identities.add_user(connection, root)
    added = await accounts.add_user(Principal(user=root, is_admin=True), "Ada@Example.org")
    async with site.browser() as browser:
        assert added.email in (await site.sign_in(browser)).text
    assert len(await emails(accounts)) == 2


async def test_a_disabled_user_stays_out(site: Site, database: Database) -> None:
    async with site.browser() as browser:
        await site.sign_in(browser)
        async with database.transaction() as connection:
            await connection.execute("UPDATE users SET disabled_at = 1")
        browser.cookies.clear()
        assert (await site.sign_in(browser)).status_code == 403
        assert "dlt-runtime-session" not in browser.cookies


async def test_who_says_no_at_github_is_told_so(site: Site) -> None:
    site.github.person = None
    async with site.browser() as browser:
        assert (await site.sign_in(browser)).status_code == 403


async def test_a_github_that_does_not_answer_is_a_page_that_says_so(site: Site) -> None:
    async with site.browser() as browser:
        address = await site.leave(browser)
        site.github.is_down = True
        answer = await browser.get(address)
    assert answer.status_code == 503
    assert CLIENT_SECRET not in answer.text
