"""What every page carries, what forms are taken, and what is shown; over services that answer from memory."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from runtime.settings import Settings
from tests.api_client import SESSION, WORKSPACE, FakeApprovals, FakeJobs, client_for, fake_services, make_app
from tests.factories import NOW, make_run

PASSWORD = "correct horse battery"


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert found, page.text
    return found[1]


@pytest.fixture(scope="module")
def approvals() -> FakeApprovals:
    return FakeApprovals()


@pytest.fixture(scope="module")
def jobs() -> FakeJobs:
    jobs = FakeJobs()
    jobs.run = make_run(jobs.job, status="failed", number=12, started_at=NOW)
    return jobs


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, approvals: FakeApprovals, jobs: FakeJobs) -> Litestar:
    """One for all tests here; making it takes longer than all of them."""
    return make_app(tmp_path_factory.mktemp("state"), fake_services(approvals=approvals, jobs=jobs))


@pytest.fixture(autouse=True)
def nothing_decided(approvals: FakeApprovals) -> None:
    approvals.decided.clear()


@asynccontextmanager
async def browser(
    app: Litestar, *, base_url: str = "http://runtime.test", signed_in: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(app) as client:
        client.base_url = httpx.URL(base_url)
        if signed_in:
            prefix = "__Host-" if base_url.startswith("https") else ""
            client.cookies.set(f"{prefix}dlt-runtime-session", SESSION)
        yield client


async def test_every_page_but_the_terminals_forbids_scripts_frames_and_storage_errors_included(app: Litestar) -> None:
    async with browser(app, signed_in=True) as client:
        answers = [
            await client.get("/activate"),
            await client.get("/activate?user_code=BCDF-2345"),
            await client.get("/activate?user_code=nonsense"),
            await client.get(f"/w/{uuid4()}"),
            await client.get("/login"),
            await client.get("/login/github/callback"),
            await client.post("/login", data={"csrf": "forged"}),
            await client.post("/login", content=b"x" * 20_000, headers={"Content-Type": "application/json"}),
        ]
        client.cookies.clear()
        answers += [await client.get("/login"), await client.get("/activate"), await client.get("/login?user_code=%ff")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-"), answer.request.url
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.status_code < 500
        assert "<script" not in answer.text
        assert " style=" not in answer.text
        assert "http-equiv" not in answer.text


async def test_the_policy_names_the_very_style_sheet_of_the_page(app: Litestar) -> None:
    async with browser(app) as client:
        page = await client.get("/login")
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page.headers["content-security-policy"]


async def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(app: Litestar) -> None:
    async with browser(app) as client:
        form = await client.get("/login")
        signed_in = await client.post(
            "/login", data={"csrf": token_of(form), "email": "owner@example.org", "password": PASSWORD}
        )
    cookies = [*form.headers.get_list("set-cookie"), *signed_in.headers.get_list("set-cookie")]
    assert [cookie.split("=")[0] for cookie in cookies] == [
        "dlt-runtime-form",
        "dlt-runtime-session",
        "dlt-runtime-browser",
    ]
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert "Secure" not in cookie  # over plain HTTP, which only loopback speaks, it could not be stored
    assert "Max-Age" not in cookies[1]  # ends with the browser


async def test_under_tls_cookies_are_secure_and_tied_to_the_host(app: Litestar) -> None:
    async with browser(app, base_url="https://runtime.test") as client:
        form = await client.get("/login")
        signed_in = await client.post(
            "/login", data={"csrf": token_of(form), "email": "owner@example.org", "password": PASSWORD}
        )
    assert signed_in.status_code == 303
    for cookie in [*form.headers.get_list("set-cookie"), *signed_in.headers.get_list("set-cookie")]:
        assert cookie.startswith("__Host-dlt-runtime-")
        assert "; Secure" in cookie


async def test_a_session_of_plain_http_does_not_count_under_tls(app: Litestar) -> None:
    """Else whoever can answer for http://host could plant one."""
    async with browser(app, base_url="https://runtime.test") as client:
        client.cookies.set("dlt-runtime-session", SESSION)
        assert (await client.get("/activate")).headers["location"] == "/login"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port or subdomain
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://runtime.test.evil.example"},
        {"Origin": "http://["},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/activate"])
async def test_a_form_sent_from_elsewhere_is_refused_even_with_its_token(
    app: Litestar, approvals: FakeApprovals, headers: dict[str, str], path: str
) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get("/activate?user_code=BCDF-2345")
        data = {"csrf": token_of(page), "user_code": "BCDF-2345", "decision": "approve", "email": "x", "password": "y"}
        refused = await client.post(path, data=data, headers=headers)
    assert refused.status_code == 403
    assert "did not come from here" in refused.text
    assert approvals.decided == []
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://runtime.test"}, {}])
async def test_a_form_of_ours_is_taken(app: Litestar, approvals: FakeApprovals, headers: dict[str, str]) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get("/activate?user_code=BCDF-2345")
        data = {"csrf": token_of(page), "user_code": "BCDF-2345", "decision": "approve"}
        done = await client.post("/activate", data=data, headers=headers)
    assert done.status_code == 200
    assert "Approved" in done.text
    assert approvals.decided == [("approve", "BCDF-2345")]


@pytest.mark.parametrize("forgery", ["none", "empty", "another browser's", "another session's", "no form cookie"])
async def test_a_token_fits_one_browser_and_one_session(app: Litestar, approvals: FakeApprovals, forgery: str) -> None:
    async with browser(app, signed_in=True) as client:
        token = token_of(await client.get("/activate?user_code=BCDF-2345"))
        if forgery == "none":
            token = "f" * 64
        elif forgery == "empty":
            token = ""
        elif forgery == "another browser's":
            client.cookies.set("dlt-runtime-form", "0f" * 32, domain="runtime.test")
        elif forgery == "another session's":
            client.cookies.set("dlt-runtime-session", "0f" * 32, domain="")
        else:
            client.cookies.delete("dlt-runtime-form")
        data = {"csrf": token, "user_code": "BCDF-2345", "decision": "approve"}
        assert (await client.post("/activate", data=data)).status_code == 403
    assert approvals.decided == []


async def test_looking_at_a_code_decides_nothing(app: Litestar, approvals: FakeApprovals) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get("/activate?user_code=bcdf2345")
        again = await client.post(
            "/activate", data={"csrf": token_of(page), "user_code": "BCDF-2345", "decision": "perhaps"}
        )
    assert again.status_code == 400
    assert approvals.decided == []


async def test_the_page_shows_what_asks_and_believes_none_of_it(app: Litestar) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get("/activate?user_code=bcdf2345")
    for shown in ("BCDF-2345", "42 seconds ago", "192.0.2.7", "owner@example.org"):
        assert shown in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


async def test_a_login_can_be_denied(app: Litestar, approvals: FakeApprovals) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get("/activate?user_code=BCDF-2345")
        done = await client.post(
            "/activate", data={"csrf": token_of(page), "user_code": "BCDF-2345", "decision": "deny"}
        )
    assert "Denied" in done.text
    assert approvals.decided == [("deny", "BCDF-2345")]


async def test_who_is_not_signed_in_is_asked_to_and_then_goes_on(app: Litestar) -> None:
    async with browser(app) as client:
        asked = await client.get("/activate?user_code=bcdf-2345", follow_redirects=True)
        assert "BCDF-2345" in asked.text
        data = {"csrf": token_of(asked), "email": "owner@example.org", "password": PASSWORD, "user_code": "BCDF-2345"}
        on = await client.post("/login", data=data)
    assert (on.status_code, on.headers["location"]) == (303, "/activate?user_code=BCDF-2345")


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "%0d%0aLocation:%20x"])
async def test_no_parameter_leads_away(app: Litestar, evil: str) -> None:
    async with browser(app) as client:
        names = ("user_code", "workspace", "next", "redirect", "return_to")
        query = "&".join(f"{name}={evil}" for name in names)
        page = await client.get(f"/login?{query}")
        data = {"csrf": token_of(page), "email": "owner@example.org", "password": PASSWORD}
        signed_in = await client.post("/login", data={**data, **dict.fromkeys(names, evil)})
        again = await client.get(f"/login?{query}")
    assert signed_in.headers["location"] == again.headers["location"] == "/activate"


async def test_a_wrong_password_is_answered_with_the_form_and_says_so(app: Litestar) -> None:
    async with browser(app) as client:
        page = await client.get("/login?user_code=BCDF-2345")
        data = {"csrf": token_of(page), "email": '"><script>', "password": "wrong wrong", "user_code": "BCDF-2345"}
        refused = await client.post("/login", data=data)
    assert refused.status_code == 403
    assert 'role="alert"' in refused.text
    assert "do not fit" in refused.text
    assert 'name="user_code" value="BCDF-2345"' in refused.text
    assert "wrong wrong" not in refused.text
    assert '"><script>' not in refused.text


async def test_a_visit_from_another_site_is_made_ours_first(app: Litestar) -> None:
    """Its request carries no strict cookie, so nobody would seem to be signed in."""
    async with browser(app, signed_in=True) as client:
        for path in ("/activate?user_code=BCDF-2345", f"/w/{WORKSPACE.id}", "/login?user_code=BCDF-2345"):
            page = await client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
            assert page.status_code == 200
            assert f'content="0; url={path}"' in page.text
            assert "set-cookie" not in page.headers  # nor does it replace what the browser has


async def test_signing_out_ends_the_session_and_takes_the_cookie(app: Litestar) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get("/activate")
        out = await client.post("/logout", data={"csrf": token_of(page)})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in out.headers["set-cookie"]


@pytest.mark.parametrize("part", ["", "/runs/7", "/jobs/jobs.shop.load", "/pipelines/shop"])
async def test_a_workspace_is_shown_to_its_members_in_a_terminal_on_the_page(app: Litestar, part: str) -> None:
    async with browser(app, signed_in=True, base_url="https://runtime.test") as client:
        page = await client.get(f"/w/{WORKSPACE.id}{part}")
        assert f'data-session-websocket-url="wss://runtime.test/w/{WORKSPACE.id}{part}/ws"' in page.text
        for file in re.findall(r'(?:href|src)="(/w/-/[^"]*)"', page.text):
            assert (await client.get(file)).status_code == 200
        assert (await client.get(f"/w/{WORKSPACE.id}/else/7")).status_code == 404
    assert re.findall(r'<form[^>]* action="([^"]*)"', page.text) == ["/logout"]


async def test_the_terminals_page_takes_scripts_from_here_alone_and_none_within_it(app: Litestar) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get(f"/w/{WORKSPACE.id}")
        assert (await client.get("/w/-/console.html")).status_code == 404
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    policy = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} < set(policy)
    assert not re.search(r"<script(?! src=\"/w/-/)| on\w+=|https?://", page.text)


@pytest.mark.parametrize(
    "path", ["/w/3e015c00-3e20-4f4a-b343-4a78d02b8f88", "/w/fruitshop", "/w/..%2f..", "/w/%3Cscript%3E"]
)
async def test_a_workspace_that_is_not_there_or_not_yours_is_a_page_that_says_so(app: Litestar, path: str) -> None:
    async with browser(app, signed_in=True) as client:
        page = await client.get(path)
    assert page.status_code == 404
    assert "<script" not in page.text


async def test_a_workspace_asks_strangers_to_sign_in_whether_it_is_there_or_not(app: Litestar) -> None:
    async with browser(app) as client:
        for identifier in (WORKSPACE.id, uuid4()):
            page = await client.get(f"/w/{identifier}")
            assert (page.status_code, page.headers["location"]) == (303, f"/login?workspace={identifier}")


async def test_the_api_takes_no_cookie(app: Litestar) -> None:
    async with browser(app, signed_in=True) as client:
        assert (await client.get("/api/api/v1/me")).status_code == 401


async def test_without_settings_for_github_there_is_no_way_there(app: Litestar) -> None:
    async with browser(app) as client:
        page = await client.get("/login")
        assert "GitHub" not in page.text
        assert (await client.post("/login/github", data={"csrf": token_of(page)})).status_code == 404


def test_the_base_url_says_whether_the_listener_speaks_tls(tmp_path: Path) -> None:
    def settings(**changes: Any) -> Settings:
        return Settings(state_dir=tmp_path, socket=tmp_path / "s", listen="[::1]:8470", **changes)

    assert settings().base_url == "http://[::1]:8470"
    assert settings(tls={"cert": "a", "key": "b"}).base_url == "https://[::1]:8470"
    assert settings(public_url="https://dlt.example/").base_url == "https://dlt.example"
