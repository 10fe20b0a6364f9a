"""What one address may ask for in a minute, and that it takes nothing from whoever else is at that address."""

from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from runtime.auth.codes import new_secret
from runtime.dispatch.accounts import Session
from runtime.domain.identities import Principal
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.api_client import ROOT
from tests.house import House
from tests.tenants import Estate, Tenant, add_tenant, build_estate

ANNA, PASSWORD = "anna@example.org", "correct horse battery"
JUNK = 300
"""More than any of the limits, all of it from the one address that these clients share."""


@pytest.fixture
async def estate(house: House, tmp_path: Path) -> Estate:
    estate = await build_estate(house, tmp_path)
    await add_tenant(estate, "anna")
    return estate


@pytest.fixture
async def admin(estate: Estate) -> Principal:
    return await estate.services.accounts.local_principal(ROOT)


async def begin_login(client: httpx.AsyncClient) -> tuple[str, str]:
    """A device code and its user code."""
    started = (await client.post(f"{AUTH_PREFIX}/v1/workos/device-flow/code")).json()
    return started["device_code"], started["user_code"]


async def poll(client: httpx.AsyncClient, device_code: str) -> httpx.Response:
    return await client.post(f"{AUTH_PREFIX}/v1/workos/device-flow/token", json={"device_code": device_code})


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post(f"{AUTH_PREFIX}/v1/auth/refresh", json={"refresh_token": token})


async def start_by_link(estate: Estate, client: httpx.AsyncClient, secret: str) -> httpx.Response:
    url = f"{API_PREFIX}/v1/workspaces/{estate.tenants['anna'].workspace_id}/runs"
    return await client.post(url, json={"script_id_or_ref_or_secret": secret, "trigger": "http:"})


async def call_hook(client: httpx.AsyncClient, tenant: Tenant, token: str) -> httpx.Response:
    return await client.post(f"/hooks/{tenant.workspace_id}/{tenant.ids['hook_path']}", headers={"X-Hook-Token": token})


async def sign_in(browser: httpx.AsyncClient) -> httpx.Response:
    page = await browser.get("/login")
    token = page.text.partition('name="csrf" value="')[2][:64]
    return await browser.post("/login", data={"csrf": token, "email": ANNA, "password": PASSWORD})


async def session_of(estate: Estate, admin: Principal) -> Session:
    started = await estate.services.accounts.start_login()
    await estate.services.accounts.approve_login(admin, started.user_code, ANNA)
    return await estate.services.accounts.finish_login(started.device_code)


async def flood(estate: Estate, client: httpx.AsyncClient) -> None:
    """Everything that anybody may ask for, until all of it is refused."""
    for _ in range(JUNK):
        await client.get("/login", headers={"Cookie": f"dlt-runtime-browser={new_secret()}"})
        await refresh(client, new_secret())
    for answer in (
        await client.get("/login"),
        await refresh(client, new_secret()),
        await poll(client, new_secret()),
    ):
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 61


async def test_who_floods_an_address_locks_nobody_there_out_of_a_login(estate: Estate, admin: Principal) -> None:
    """Contract 3.3: a 429 for its poll ends the login of the public client."""
    await estate.services.sign_in.set_password(admin, ANNA, PASSWORD)
    session = await session_of(estate, admin)
    async with estate.client() as known, estate.client() as nobody:
        assert (await sign_in(known)).status_code == 303
        del known.cookies["dlt-runtime-session"]
        device_code, user_code = await begin_login(nobody)
        await flood(estate, nobody)

        assert (await sign_in(known)).status_code == 303
        assert (await refresh(nobody, session.refresh_token)).status_code == 200
        assert (await poll(nobody, device_code)).status_code == 403  # nobody has approved it yet
        await estate.services.accounts.approve_login(admin, user_code, ANNA)
        assert (await poll(nobody, device_code)).status_code == 201
        assert (await poll(nobody, (await begin_login(nobody))[0])).status_code == 403


async def test_an_app_is_started_by_its_link_however_often_pages_and_other_links_are_asked_for(estate: Estate) -> None:
    view = await estate.services.jobs.get(estate.tenants["anna"].workspace_id, "jobs.anna.app")
    async with estate.client() as nobody:
        for _ in range(40):
            assert (await nobody.get("/login")).status_code == 200
        assert (await start_by_link(estate, nobody, str(uuid4()))).status_code == 404
        for _ in range(40):
            refused = await start_by_link(estate, nobody, str(uuid4()))
        assert refused.status_code == 429
        assert (await start_by_link(estate, nobody, str(view.public_secret))).status_code == 201


async def test_a_webhook_is_called_however_often_wrong_tokens_come_from_its_callers_address(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    async with estate.client() as world:
        statuses = {(await call_hook(world, anna, new_secret())).status_code for _ in range(JUNK)}
        assert statuses == {401, 429}
        assert int((await call_hook(world, anna, new_secret())).headers["retry-after"]) > 0
        assert (await call_hook(world, anna, anna.hook_secret)).status_code in (202, 409)


async def test_a_webhook_is_called_at_a_measured_pace(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    async with estate.client() as world, estate.client(address="203.0.113.5") as elsewhere:
        statuses = {(await call_hook(world, anna, anna.hook_secret)).status_code for _ in range(JUNK)}
        assert statuses - {202} == {409, 429}
        refused = await call_hook(elsewhere, anna, anna.hook_secret)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


async def test_a_network_of_ipv6_is_counted_as_one_with_webhooks_and_links(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    view = await estate.services.jobs.get(anna.workspace_id, "jobs.anna.app")
    hooks, links = set(), set()
    for number in range(JUNK):
        async with estate.client(address=f"2001:db8:1:2::{number:x}") as world:
            hooks.add((await call_hook(world, anna, new_secret())).status_code)
            links.add((await start_by_link(estate, world, str(view.public_secret))).status_code)
    assert (hooks, links) == ({401, 429}, {201, 429})


async def test_a_link_an_unfinished_login_and_a_known_browser_have_limits_of_their_own(
    estate: Estate, admin: Principal
) -> None:
    await estate.services.sign_in.set_password(admin, ANNA, PASSWORD)
    view = await estate.services.jobs.get(estate.tenants["anna"].workspace_id, "jobs.anna.app")
    async with estate.client() as known, estate.client() as nobody:
        assert (await sign_in(known)).status_code == 303
        device_code, _ = await begin_login(nobody)
        links = {(await start_by_link(estate, nobody, str(view.public_secret))).status_code for _ in range(JUNK)}
        polls = {(await poll(nobody, device_code)).status_code for _ in range(JUNK)}
        pages = {(await known.get("/activate")).status_code for _ in range(JUNK)}
        assert (links, polls, pages) == ({201, 429}, {403, 429}, {200, 429})
        assert (await nobody.get("/login")).status_code == 200


async def test_logins_are_begun_at_a_measured_pace(estate: Estate) -> None:
    async with estate.client() as nobody:
        statuses = [(await nobody.post(f"{AUTH_PREFIX}/v1/workos/device-flow/code")).status_code for _ in range(JUNK)]
        assert set(statuses) == {201, 429}
        assert (await poll(nobody, new_secret())).status_code == 400
