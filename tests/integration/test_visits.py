"""Who may use an app, from the ticket to the moment when that ends."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.auth.codes import digest
from runtime.dispatch.apps import App
from runtime.dispatch.signing_in import Visitor
from runtime.dispatch.visits import MOST_TICKETS, TICKET_SECONDS, Claim, Grant
from runtime.domain.identities import Principal, User
from runtime.errors import DiskFullError, NotFoundError, RefusedError, UnauthenticatedError
from tests.house import House
from tests.tenants import Estate, add_tenant, build_estate

PASSWORD = "correct horse battery"
MARK, OTHER_MARK = "a" * 64, "b" * 64
MARK_DIGEST = digest(MARK).hex()


class Visiting:
    """An estate with the apps of two tenants."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.visits = estate.services.visits
        self.administrator = Principal(user=estate.tenants["anna"].owner, is_admin=True)

    async def app_of(self, name: str) -> App:
        view = await self.estate.services.jobs.get(self.estate.tenants[name].workspace_id, f"jobs.{name}.app")
        app = await self.estate.services.apps.find(view.slug or "")
        assert app is not None
        return app

    async def session_of(self, user: User) -> str:
        await self.estate.services.sign_in.set_password(self.administrator, user.email, PASSWORD)
        signed_in = await self.estate.services.sign_in.with_password(user.email, PASSWORD, Visitor("192.0.2.1"))
        return signed_in.session_secret

    async def cookie_of(self, user: User, app: App) -> str:
        return await self.visits.enter(app, await self.ticket_of(user, app), [MARK])

    async def ticket_of(self, user: User, app: App) -> str:
        return await self.visits.ticket_of_member(user, await self.session_of(user), app, MARK_DIGEST)

    async def look(self, app: App, **claim: object) -> Grant:
        return await self.visits.look(app, Claim(**claim), anew=True)  # type: ignore[arg-type]

    async def audit(self) -> list[tuple[bytes | None, str]]:
        async with self.estate.house.database.read() as connection:
            rows = await connection.all("SELECT user_id, detail FROM audit_log WHERE action = 'app.visit'")
        return [(row["user_id"], row["detail"]) for row in rows]


@pytest.fixture
async def visiting(house: House, tmp_path: Path) -> Visiting:
    estate = await build_estate(house, tmp_path)
    await add_tenant(estate, "anna")
    await add_tenant(estate, "bert")
    return Visiting(estate)


async def test_a_viewer_enters_and_the_audit_trail_says_who(visiting: Visiting) -> None:
    app, viewer = await visiting.app_of("anna"), visiting.estate.tenants["anna"].viewer
    cookie = await visiting.cookie_of(viewer, app)
    grant = await visiting.look(app, cookie=cookie)
    assert (grant.standing, grant.user_id, grant.is_public) == ("good", viewer.id, False)
    assert await visiting.audit() == [(viewer.id.bytes, '{"by": "session"}')]


async def test_nobody_enters_the_app_of_a_workspace_that_is_not_theirs(visiting: Visiting) -> None:
    bert = visiting.estate.tenants["bert"].owner
    with pytest.raises(NotFoundError):
        await visiting.cookie_of(bert, await visiting.app_of("anna"))


async def test_a_ticket_is_good_once(visiting: Visiting) -> None:
    app, user = await visiting.app_of("anna"), visiting.estate.tenants["anna"].owner
    ticket = await visiting.ticket_of(user, app)
    await visiting.visits.enter(app, ticket, [MARK])
    with pytest.raises(RefusedError):
        await visiting.visits.enter(app, ticket, [MARK])


async def test_a_members_ticket_is_good_in_the_browser_that_asked_for_it(visiting: Visiting) -> None:
    """Nobody visits in another's name by following a way in that was made for the other."""
    app, user = await visiting.app_of("anna"), visiting.estate.tenants["anna"].owner
    ticket = await visiting.ticket_of(user, app)
    for marks in ([], [OTHER_MARK]):
        with pytest.raises(RefusedError):
            await visiting.visits.enter(app, ticket, marks)
    await visiting.visits.enter(app, ticket, [OTHER_MARK, MARK])


async def test_a_ticket_is_good_for_its_app_only(visiting: Visiting) -> None:
    app, user = await visiting.app_of("anna"), visiting.estate.tenants["anna"].owner
    ticket = await visiting.ticket_of(user, app)
    with pytest.raises(RefusedError):
        await visiting.visits.enter(await visiting.app_of("bert"), ticket, [MARK])


async def test_a_ticket_is_good_for_a_minute(visiting: Visiting) -> None:
    app, user = await visiting.app_of("anna"), visiting.estate.tenants["anna"].owner
    ticket = await visiting.ticket_of(user, app)
    visiting.estate.house.clock.now += timedelta(seconds=TICKET_SECONDS)
    with pytest.raises(RefusedError):
        await visiting.visits.enter(app, ticket, [MARK])


async def test_tickets_are_few_and_soon_forgotten(visiting: Visiting) -> None:
    """A session's newest are good, whatever it asks for; what has expired goes when the next one is made."""
    app, user = await visiting.app_of("anna"), visiting.estate.tenants["anna"].owner
    session = await visiting.session_of(user)
    tickets = []
    for _ in range(MOST_TICKETS + 1):
        visiting.estate.house.clock.now += timedelta(milliseconds=1)
        tickets.append(await visiting.visits.ticket_of_member(user, session, app, MARK_DIGEST))
    with pytest.raises(RefusedError):
        await visiting.visits.enter(app, tickets[0], [MARK])
    await visiting.visits.enter(app, tickets[1], [MARK])
    visiting.estate.house.clock.now += timedelta(seconds=TICKET_SECONDS)
    await visiting.visits.ticket_of_link(app, uuid4())
    async with visiting.estate.house.database.read() as connection:
        assert await connection.value("SELECT count(*) FROM app_tickets") == 1


@pytest.mark.parametrize("ticket", ["", "0" * 64, "x"])
async def test_what_is_no_ticket_opens_nothing(ticket: str, visiting: Visiting) -> None:
    with pytest.raises(RefusedError):
        await visiting.visits.enter(await visiting.app_of("anna"), ticket)


async def test_a_visit_is_good_for_its_app_only(visiting: Visiting) -> None:
    """In path addressing one app's page can plant its own cookie on another's path."""
    cookie = await visiting.cookie_of(visiting.estate.tenants["anna"].owner, await visiting.app_of("anna"))
    assert (await visiting.look(await visiting.app_of("bert"), cookie=cookie)).standing == "unknown"


async def test_a_removed_member_is_out(visiting: Visiting) -> None:
    tenant, app = visiting.estate.tenants["anna"], await visiting.app_of("anna")
    cookie = await visiting.cookie_of(tenant.viewer, app)
    await visiting.estate.services.members.remove(visiting.administrator, tenant.workspace_id, tenant.viewer.id)
    assert (await visiting.look(app, cookie=cookie)).standing == "no_member"


async def test_who_signs_out_or_is_expelled_is_out(visiting: Visiting) -> None:
    tenant, app = visiting.estate.tenants["anna"], await visiting.app_of("anna")
    session = await visiting.session_of(tenant.viewer)
    cookie = await visiting.visits.enter(
        app, await visiting.visits.ticket_of_member(tenant.viewer, session, app, MARK_DIGEST), [MARK]
    )
    await visiting.estate.services.sign_in.sign_out(session)
    assert (await visiting.look(app, cookie=cookie)).standing == "unknown"
    again = await visiting.cookie_of(tenant.viewer, app)
    await visiting.estate.services.members.expel(visiting.administrator, tenant.viewer.id)
    assert (await visiting.look(app, cookie=again)).standing == "unknown"


async def test_a_session_in_use_by_an_app_does_not_stand_idle(visiting: Visiting) -> None:
    app = await visiting.app_of("anna")
    cookie = await visiting.cookie_of(visiting.estate.tenants["anna"].owner, app)
    for _ in range(4):
        visiting.estate.house.clock.now += timedelta(minutes=20)
        assert (await visiting.look(app, cookie=cookie)).is_good
    visiting.estate.house.clock.now += timedelta(minutes=31)
    assert (await visiting.look(app, cookie=cookie)).standing == "unknown"


async def test_a_full_disk_shuts_nobody_out(visiting: Visiting, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_room(*_: object) -> None:
        raise DiskFullError("the database could not be written")

    app = await visiting.app_of("anna")
    cookie = await visiting.cookie_of(visiting.estate.tenants["anna"].owner, app)
    monkeypatch.setattr("runtime.store.logins.touch_session", no_room)
    visiting.estate.house.clock.now += timedelta(minutes=20)
    assert (await visiting.look(app, cookie=cookie)).is_good


async def test_a_link_opens_until_it_is_taken_back(visiting: Visiting) -> None:
    app, tenant = await visiting.app_of("anna"), visiting.estate.tenants["anna"]
    publishing, owner = visiting.estate.services.publishing, Principal(user=tenant.owner)
    await publishing.publish(owner, tenant.workspace_id, app.job_ref)
    secret = (await publishing.secrets(tenant.workspace_id))[app.job_id]
    cookie = await visiting.visits.enter(app, await visiting.visits.ticket_of_link(app, secret))
    grant = await visiting.look(app, cookie=cookie)
    assert (grant.standing, grant.user_id, grant.is_public) == ("good", None, True)
    assert (await visiting.look(app, link=secret)).is_good
    await publishing.publish(owner, tenant.workspace_id, app.job_ref)  # another secret, in place of the first
    assert (await visiting.look(app, cookie=cookie)).standing == "revoked"
    assert (await visiting.look(app, link=secret)).standing == "revoked"
    assert (await visiting.look(app, link=uuid4())).standing == "revoked"
    assert (None, '{"by": "link"}') in await visiting.audit()


async def test_tokens_count_where_their_owners_may_look(visiting: Visiting) -> None:
    anna, bert = visiting.estate.tenants["anna"], visiting.estate.tenants["bert"]
    app = await visiting.app_of("anna")
    for token in (anna.token, anna.viewer_token, anna.machine_token):
        assert (await visiting.look(app, token=token)).is_good
    for token in (bert.token, bert.machine_token):
        assert (await visiting.look(app, token=token)).standing == "no_member"
    with pytest.raises(UnauthenticatedError):
        await visiting.look(app, token="no token")
    assert await visiting.visits.is_ours(bert.token)
    assert not await visiting.visits.is_ours("somebody else's")


async def test_what_is_remembered_goes_with_the_next_change(visiting: Visiting) -> None:
    app, tenant = await visiting.app_of("anna"), visiting.estate.tenants["anna"]
    claim = Claim(cookie=await visiting.cookie_of(tenant.viewer, app))
    assert (await visiting.visits.look(app, claim)).is_good
    await visiting.estate.services.members.remove(visiting.administrator, tenant.workspace_id, tenant.viewer.id)
    waiting = asyncio.create_task(visiting.visits.changed({tenant.workspace_id}, 30))
    await asyncio.sleep(0)
    visiting.estate.house.changes.announce(tenant.workspace_id)
    await asyncio.wait_for(waiting, 5)
    assert (await visiting.visits.look(app, claim)).standing == "no_member"


async def test_what_comes_with_a_token_or_a_link_is_in_the_audit_trail_once_an_hour(visiting: Visiting) -> None:
    """A line for each token and each link, not for each request; who comes with a cookie has theirs already."""
    app, tenant = await visiting.app_of("anna"), visiting.estate.tenants["anna"]
    owner, clock = Principal(user=tenant.owner), visiting.estate.house.clock
    await visiting.estate.services.publishing.publish(owner, tenant.workspace_id, app.job_ref)
    secret = (await visiting.estate.services.publishing.secrets(tenant.workspace_id))[app.job_id]
    cookie = await visiting.cookie_of(tenant.viewer, app)
    claims = ({"token": tenant.token}, {"token": tenant.viewer_token}, {"link": secret}, {"cookie": cookie})
    grants = [await visiting.look(app, **claim) for claim in claims]
    lines = [
        (tenant.owner.id.bytes, '{"by": "token"}'),
        (tenant.viewer.id.bytes, '{"by": "token"}'),
        (None, '{"by": "link"}'),
    ]

    async def come() -> None:
        for grant in grants:
            await visiting.visits.note(grant)

    before = await visiting.audit()
    await come()
    clock.pass_seconds(3599)
    await come()
    assert (await visiting.audit())[len(before) :] == lines
    clock.pass_seconds(1)
    await come()
    assert (await visiting.audit())[len(before) :] == lines * 2


async def test_a_full_disk_does_not_shut_out_whose_visit_cannot_be_noted(
    visiting: Visiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted when there is room again."""
    app, tenant = await visiting.app_of("anna"), visiting.estate.tenants["anna"]
    grant = await visiting.look(app, token=tenant.token)

    def full(*_: object, **__: object) -> None:
        raise DiskFullError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("runtime.store.audit.record", full)
        await visiting.visits.note(grant)
    assert await visiting.audit() == []
    await visiting.visits.note(grant)
    assert await visiting.audit() == [(tenant.owner.id.bytes, '{"by": "token"}')]
