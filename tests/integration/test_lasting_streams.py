"""Streams of a log and of a workspace end when their reader may not look any more, and not before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from runtime.dispatch import readers
from runtime.dispatch.accounts import Session
from runtime.dispatch.jobs import TriggerInput
from runtime.domain.identities import Principal
from runtime.domain.runs import Run
from runtime.store import logs
from runtime.wire.addresses import API_PREFIX
from tests.api_client import ROOT
from tests.factories import NOW
from tests.house import House
from tests.tenants import Estate, Tenant, add_tenant, build_estate


@dataclass
class Place:
    """A run that goes on, in Anna's workspace; its log has one line."""

    estate: Estate
    tenant: Tenant
    admin: Principal
    run: Run
    viewer_session: Session

    async def principal(self, token: str) -> Principal:
        return await self.estate.services.accounts.authenticate(token)

    def streams(self, reader: Principal) -> list[AsyncIterator[object]]:
        return [
            self.estate.services.runs.follow(self.run.id, 0, reader),
            self.estate.services.feed.follow(reader, self.tenant.workspace_id, 0),
        ]


@pytest.fixture
async def place(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(readers, "LOOK_AGAIN_SECONDS", 0.01)
    estate = await build_estate(house, tmp_path)
    tenant = await add_tenant(estate, "anna")
    accounts = estate.services.accounts
    admin = await accounts.local_principal(ROOT)
    started = await estate.services.jobs.start(
        Principal(user=tenant.owner), tenant.workspace_id, "jobs.anna.app", "manual:jobs.anna.app", TriggerInput()
    )
    assert started.run is not None
    async with house.database.transaction() as connection:
        await logs.append_lines(connection, started.run.id, "program", NOW, ["apples"])
    login = await accounts.start_login()
    await accounts.approve_login(admin, login.user_code, tenant.viewer.email)
    return Place(estate, tenant, admin, started.run, await accounts.finish_login(login.device_code))


async def leave(place: Place) -> None:
    workspace_id: UUID = place.tenant.workspace_id
    async with place.estate.client(place.tenant.token) as owner:
        url = f"{API_PREFIX}/v1/workspaces/{workspace_id}/members/{place.tenant.viewer.id}"
        assert (await owner.delete(url)).status_code < 300


async def be_expelled(place: Place) -> None:
    await place.estate.services.members.expel(place.admin, place.tenant.viewer.id)


async def log_out(place: Place) -> None:
    await place.estate.services.accounts.logout(place.viewer_session.refresh_token)


async def revoke(place: Place) -> None:
    await place.estate.services.accounts.revoke_machine_token(place.admin, UUID(place.tenant.ids["token_id"]))


async def grow_old(place: Place) -> None:
    """What either token came with has expired after this."""
    place.estate.house.clock.pass_seconds(400 * 86400)


@pytest.mark.parametrize(
    ("token", "end"),
    [
        ("session", leave),
        ("session", be_expelled),
        ("session", log_out),
        ("session", grow_old),
        ("machine", revoke),
        ("machine", grow_old),
    ],
)
async def test_a_stream_ends_with_what_let_its_reader_in(
    place: Place, token: str, end: Callable[[Place], Awaitable[None]]
) -> None:
    text = place.tenant.machine_token if token == "machine" else place.viewer_session.access_token
    streams = place.streams(await place.principal(text))
    rests = [asyncio.create_task(rest_of(stream)) for stream in streams if await anext(stream)]
    await asyncio.sleep(0)
    assert not any(rest.done() for rest in rests)
    await end(place)
    async with asyncio.timeout(10):
        await asyncio.gather(*rests)


async def rest_of(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


async def test_a_stream_goes_on_past_other_peoples_leaving_and_past_a_new_token(place: Place) -> None:
    accounts = place.estate.services.accounts
    session = place.viewer_session
    lines = place.estate.services.runs.follow(place.run.id, 0, await place.principal(session.access_token))
    assert await anext(lines)
    upcoming = asyncio.ensure_future(anext(lines))
    place.estate.house.clock.pass_seconds(20 * 86400)
    await accounts.refresh(session.refresh_token)
    place.estate.house.clock.pass_seconds(20 * 86400)
    await revoke(place)
    async with place.estate.house.database.transaction() as connection:
        await logs.append_lines(connection, place.run.id, "program", NOW, ["pears"])
    async with asyncio.timeout(10):
        (line,) = await upcoming
    assert line.content == "pears"
