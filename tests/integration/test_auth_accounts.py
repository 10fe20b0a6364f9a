"""Logins, refresh, machine tokens and administrators on a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.auth.codes import digest
from runtime.auth.peers import Peer, account_name
from runtime.auth.tokens import TokenSigner
from runtime.dispatch import accounts as accounts_module
from runtime.dispatch.accounts import AccountService, Session
from runtime.dispatch.members import MemberService
from runtime.dispatch.workspaces import WorkspaceService
from runtime.domain.identities import Principal
from runtime.errors import (
    ConflictError,
    InvalidError,
    JobRuntimeError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
)
from runtime.settings import AuthSettings
from runtime.store.database import Database
from tests.factories import NOW

ROOT = Peer(pid=1, uid=0, gid=0)
NOBODY = Peer(pid=1, uid=65534, gid=65534)


class Clock:
    """A clock that the test moves."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer() -> TokenSigner:
    return TokenSigner(Ed25519PrivateKey.generate())


@pytest.fixture
def accounts(database: Database, signer: TokenSigner, clock: Clock) -> AccountService:
    return AccountService(database, signer, AuthSettings(), clock)


@pytest.fixture
def workspaces(database: Database, clock: Clock) -> WorkspaceService:
    return WorkspaceService(database, clock)


@pytest.fixture
async def admin(accounts: AccountService) -> Principal:
    return await accounts.local_principal(ROOT)


async def log_in(accounts: AccountService, admin: Principal, email: str = "ada@example.org") -> Session:
    if email not in [user.email for user in await accounts.users()]:
        await accounts.add_user(admin, email)
    started = await accounts.start_login()
    await accounts.approve_login(admin, started.user_code, email)
    return await accounts.finish_login(started.device_code)


async def disable(database: Database, email: str) -> None:
    async with database.transaction() as connection:
        await connection.execute("UPDATE users SET disabled_at = 1 WHERE email = ?", (email,))


async def audit_trail(database: Database) -> list[tuple[str, str | None]]:
    async with database.read() as connection:
        return [(row["action"], row["subject"]) for row in await connection.all("SELECT * FROM audit_log ORDER BY id")]


async def test_a_login_waits_for_its_approval_and_works_once(accounts: AccountService, admin: Principal) -> None:
    await accounts.add_user(admin, "ada@example.org")
    started = await accounts.start_login()
    with pytest.raises(RefusedError) as waiting:
        await accounts.finish_login(started.device_code)
    assert waiting.value.code == "authorization_pending"

    approved = await accounts.approve_login(admin, started.user_code.lower().replace("-", " "), None)
    session = await accounts.finish_login(started.device_code)
    assert session.user == approved
    assert (await accounts.authenticate(session.access_token)).user == approved
    with pytest.raises(InvalidError):
        await accounts.finish_login(started.device_code)


async def test_of_two_polls_at_once_one_gets_the_session(accounts: AccountService, admin: Principal) -> None:
    await accounts.add_user(admin, "ada@example.org")
    started = await accounts.start_login()
    await accounts.approve_login(admin, started.user_code, None)
    polls = await asyncio.gather(
        *(accounts.finish_login(started.device_code) for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(poll).__name__ for poll in polls) == ["InvalidError"] * 4 + ["Session"]


async def test_a_login_expires(accounts: AccountService, admin: Principal, clock: Clock) -> None:
    await accounts.add_user(admin, "ada@example.org")
    approved, waiting = await accounts.start_login(), await accounts.start_login()
    await accounts.approve_login(admin, approved.user_code, None)
    clock.forward(minutes=15)
    for started in (approved, waiting):
        with pytest.raises(InvalidError):
            await accounts.finish_login(started.device_code)
    with pytest.raises(NotFoundError):
        await accounts.approve_login(admin, waiting.user_code, None)


async def test_an_unknown_device_code_is_refused(accounts: AccountService) -> None:
    with pytest.raises(InvalidError):
        await accounts.finish_login("made-up")


async def test_who_is_approved_must_be_clear(accounts: AccountService, admin: Principal, database: Database) -> None:
    code = (await accounts.start_login()).user_code
    with pytest.raises(NotFoundError) as nobody:
        await accounts.approve_login(admin, code, None)
    assert "dlt-runtime user add" in (nobody.value.hint or "")
    with pytest.raises(NotFoundError) as unknown:
        await accounts.approve_login(admin, code, "ada@example.org")
    assert unknown.value.hint == "run `dlt-runtime user add ada@example.org`"

    for email in ("ada@example.org", "grace@example.org"):
        await accounts.add_user(admin, email)
    with pytest.raises(InvalidError, match="several"):
        await accounts.approve_login(admin, code, None)
    with pytest.raises(NotFoundError):
        await accounts.approve_login(admin, code, "root@localhost")
    await disable(database, "grace@example.org")
    with pytest.raises(InvalidError, match="disabled"):
        await accounts.approve_login(admin, code, "grace@example.org")
    assert (await accounts.approve_login(admin, code, None)).email == "ada@example.org"
    with pytest.raises(ConflictError):
        await accounts.approve_login(admin, code, "ADA@example.org")
    with pytest.raises(NotFoundError):
        await accounts.approve_login(admin, "BCDF-9999", None)


async def test_an_access_token_lasts_an_hour_and_a_refresh_token_a_month(
    accounts: AccountService, admin: Principal, clock: Clock
) -> None:
    session = await log_in(accounts, admin)
    clock.forward(minutes=61)
    with pytest.raises(UnauthenticatedError):
        await accounts.authenticate(session.access_token)
    session = await accounts.refresh(session.refresh_token)
    await accounts.authenticate(session.access_token)
    clock.forward(days=31)
    with pytest.raises(UnauthenticatedError):
        await accounts.refresh(session.refresh_token)


async def test_a_refresh_token_that_comes_twice_ends_its_login_and_no_other(
    accounts: AccountService, admin: Principal, database: Database
) -> None:
    stolen, other = await log_in(accounts, admin), await log_in(accounts, admin)
    renewed = await accounts.refresh(stolen.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await accounts.refresh(stolen.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await accounts.refresh(renewed.refresh_token)
    await accounts.refresh(other.refresh_token)
    assert ("login.reuse_detected", None) in await audit_trail(database)


async def test_of_two_refreshes_at_once_one_succeeds_and_the_login_ends(
    accounts: AccountService, admin: Principal
) -> None:
    session = await log_in(accounts, admin)
    results = await asyncio.gather(
        accounts.refresh(session.refresh_token), accounts.refresh(session.refresh_token), return_exceptions=True
    )
    [renewed] = [result for result in results if isinstance(result, Session)]
    with pytest.raises(UnauthenticatedError):
        await accounts.refresh(renewed.refresh_token)


async def test_logging_out_ends_one_login_or_all(accounts: AccountService, admin: Principal) -> None:
    one, two, three = [await log_in(accounts, admin) for _ in range(3)]
    await accounts.logout(one.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await accounts.refresh(one.refresh_token)
    two = await accounts.refresh(two.refresh_token)
    await accounts.logout(two.refresh_token, everywhere=True)
    for session in (two, three):
        with pytest.raises(UnauthenticatedError):
            await accounts.refresh(session.refresh_token)
    await accounts.logout("made-up")


async def test_a_token_that_has_expired_does_not_log_out_everywhere(
    accounts: AccountService, admin: Principal, clock: Clock
) -> None:
    old = await log_in(accounts, admin)
    clock.forward(days=20)
    new = await log_in(accounts, admin)
    clock.forward(days=11)
    await accounts.logout(old.refresh_token, everywhere=True)
    assert await accounts.refresh(new.refresh_token)


async def test_a_token_that_is_revoked_does_not_log_out_everywhere(accounts: AccountService, admin: Principal) -> None:
    old = await log_in(accounts, admin)
    await accounts.logout(old.refresh_token)
    new = await log_in(accounts, admin)
    await accounts.logout(old.refresh_token, everywhere=True)
    assert await accounts.authenticate(new.access_token)


async def test_a_spent_token_logs_out_its_own_login_alone(accounts: AccountService, admin: Principal) -> None:
    one, other = [await log_in(accounts, admin) for _ in range(2)]
    renewed = await accounts.refresh(one.refresh_token)
    await accounts.logout(one.refresh_token, everywhere=True)
    assert await refused(accounts.authenticate(renewed.access_token))
    assert await accounts.authenticate(other.access_token)


async def steal(accounts: AccountService, session: Session) -> None:
    """A refresh token comes twice."""
    await accounts.refresh(session.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await accounts.refresh(session.refresh_token)


async def log_out(accounts: AccountService, session: Session) -> None:
    await accounts.logout(session.refresh_token)


async def log_out_everywhere(accounts: AccountService, session: Session) -> None:
    await accounts.logout(session.refresh_token, everywhere=True)


@pytest.mark.parametrize(("end", "is_other_over"), [(steal, False), (log_out, False), (log_out_everywhere, True)])
async def test_an_access_token_ends_with_the_login_it_comes_from(
    accounts: AccountService,
    admin: Principal,
    end: Callable[[AccountService, Session], Awaitable[None]],
    is_other_over: bool,
) -> None:
    session, other = [await log_in(accounts, admin) for _ in range(2)]
    assert await accounts.authenticate(session.access_token)
    await end(accounts, session)
    with pytest.raises(UnauthenticatedError) as ended:
        await accounts.authenticate(session.access_token)
    assert (ended.value.code, ended.value.hint) == ("login_ended", "log in again")
    assert await refused(accounts.authenticate(other.access_token)) is is_other_over


async def test_an_access_token_goes_on_while_its_login_is_refreshed(accounts: AccountService, admin: Principal) -> None:
    first = await log_in(accounts, admin)
    second = await accounts.refresh(first.refresh_token)
    for session in (first, second):
        assert (await accounts.authenticate(session.access_token)).user == first.user


async def test_a_token_from_before_tokens_named_their_login_lives_until_it_expires(
    accounts: AccountService, admin: Principal, signer: TokenSigner, clock: Clock
) -> None:
    session = await log_in(accounts, admin)
    claims = signer.verify(session.access_token, clock.now).model_copy(update={"family_id": None})
    await accounts.logout(session.refresh_token)
    assert (await accounts.authenticate(signer.sign(claims))).user == session.user
    clock.forward(minutes=61)
    assert await refused(accounts.authenticate(signer.sign(claims)))


async def refused(attempt: Awaitable[object]) -> bool:
    try:
        await attempt
    except JobRuntimeError:
        return True
    return False


async def test_a_disabled_user_is_shut_out_everywhere(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService, database: Database
) -> None:
    session = await log_in(accounts, admin)
    place = await workspaces.create(admin, "fruitshop", None)
    _, machine = await accounts.create_machine_token(admin, session.user.email, place.name, 30)
    started = await accounts.start_login()
    await accounts.approve_login(admin, started.user_code, None)
    await disable(database, session.user.email)
    assert await refused(accounts.authenticate(session.access_token))
    assert await refused(accounts.authenticate(machine))
    assert await refused(accounts.refresh(session.refresh_token))
    assert await refused(accounts.finish_login(started.device_code))
    assert await refused(accounts.create_machine_token(admin, session.user.email, place.name, 30))


async def test_a_machine_token_opens_one_workspace_until_revoked(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService, clock: Clock
) -> None:
    await accounts.add_user(admin, "ci@example.org")
    place, other = [await workspaces.create(admin, name, None) for name in ("fruitshop", "library")]
    token, text = await accounts.create_machine_token(admin, "ci@example.org", str(place.id), 90)
    clock.forward(days=89)
    machine = await accounts.authenticate(text)
    assert await workspaces.role(machine, place.id) == "owner"
    assert await workspaces.role(machine, other.id) is None
    assert [workspace.id for workspace, _ in await workspaces.home(machine)] == [place.id]
    with pytest.raises(RefusedError):
        await workspaces.create(machine, "third", None)

    [listed] = await accounts.machine_tokens()
    assert token.joined_as == "owner"
    assert (listed, listed.digest) == (token.model_copy(update={"joined_as": None}), digest(text))
    await accounts.revoke_machine_token(admin, token.id)
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await accounts.authenticate(text)
    with pytest.raises(NotFoundError):
        await accounts.revoke_machine_token(admin, uuid4())


async def test_a_machine_token_changes_no_role_and_is_shown_when_its_user_is_no_member_any_more(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService, database: Database, clock: Clock
) -> None:
    user = await accounts.add_user(admin, "ci@example.org")
    place = await workspaces.create(admin, "fruitshop", None)
    first, _ = await accounts.create_machine_token(admin, "ci@example.org", "fruitshop", 90, "viewer")
    second, text = await accounts.create_machine_token(admin, "ci@example.org", "fruitshop", 90)
    assert (first.joined_as, second.joined_as) == ("viewer", None)
    assert await workspaces.role(await accounts.authenticate(text), place.id) == "viewer"
    assert [token.is_member for token in await accounts.machine_tokens()] == [True, True]
    await MemberService(database, clock).remove(admin, place.id, user.id)
    assert [token.is_member for token in await accounts.machine_tokens()] == [False, False]


async def test_a_machine_token_expires(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService, clock: Clock
) -> None:
    await accounts.add_user(admin, "ci@example.org")
    await workspaces.create(admin, "fruitshop", None)
    _, text = await accounts.create_machine_token(admin, "ci@example.org", "fruitshop", 90)
    clock.forward(days=90)
    with pytest.raises(UnauthenticatedError, match="expired"):
        await accounts.authenticate(text)


async def test_a_machine_token_whose_record_differs_is_refused(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService, database: Database
) -> None:
    """A leaked key alone makes no machine token: the daemon must have recorded it."""
    await accounts.add_user(admin, "ci@example.org")
    await workspaces.create(admin, "fruitshop", None)
    _, text = await accounts.create_machine_token(admin, "ci@example.org", "fruitshop", 90)
    async with database.transaction() as connection:
        await connection.execute("UPDATE machine_tokens SET digest = ?", (digest("another"),))
    with pytest.raises(UnauthenticatedError):
        await accounts.authenticate(text)


async def test_a_workspace_for_a_token_must_be_clear(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService
) -> None:
    await accounts.add_user(admin, "ci@example.org")
    with pytest.raises(NotFoundError) as missing:
        await accounts.create_machine_token(admin, "ci@example.org", "fruitshop", 90)
    assert missing.value.hint == "there are: none yet"
    for _ in range(2):
        await workspaces.create(admin, "fruitshop", None)
    with pytest.raises(InvalidError, match="several workspaces"):
        await accounts.create_machine_token(admin, "ci@example.org", "fruitshop", 90)


@pytest.mark.parametrize(
    "email", ["", "ada", "@example.org", "ada@", "a da@example.org", "ada\n@x.org", "x" * 260 + "@y"]
)
async def test_a_user_needs_an_email(accounts: AccountService, admin: Principal, email: str) -> None:
    with pytest.raises(InvalidError):
        await accounts.add_user(admin, email)


async def test_an_email_is_taken_once_whatever_its_case(accounts: AccountService, admin: Principal) -> None:
    await accounts.add_user(admin, " Ada@example.org ")
    with pytest.raises(ConflictError):
        await accounts.add_user(admin, "ada@EXAMPLE.org")
    with pytest.raises(InvalidError, match="localhost"):
        await accounts.add_user(admin, "ada@localhost")


async def test_who_was_taken_out_may_be_added_again(
    accounts: AccountService, admin: Principal, database: Database, clock: Clock
) -> None:
    added = await accounts.add_user(admin, "ada@example.org")
    await MemberService(database, clock).expel(admin, added.id)
    assert await accounts.add_user(admin, "ada@example.org") == added
    with pytest.raises(ConflictError) as taken:
        await accounts.add_user(admin, "ada@example.org")
    assert "user password ada@example.org" in (taken.value.hint or "")


async def test_root_becomes_a_user_at_first_sight_and_stays_the_same(accounts: AccountService) -> None:
    principals = await asyncio.gather(*(accounts.local_principal(ROOT) for _ in range(3)))
    assert {(each.user.email, each.user.local_uid, each.is_admin) for each in principals} == {
        ("root@localhost", 0, True)
    }
    assert len({each.user.id for each in principals}) == 1


async def test_an_account_that_took_over_a_name_is_another_user(
    accounts: AccountService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "is_administrator", lambda peer, group: True)
    monkeypatch.setattr(accounts_module, "account_name", lambda uid: "ada")
    emails = [(await accounts.local_principal(Peer(1, uid, uid))).user.email for uid in (2001, 2002)]
    assert emails == ["ada@localhost", "ada+2002@localhost"]


async def test_other_accounts_do_not_administer(accounts: AccountService) -> None:
    with pytest.raises(RefusedError, match=account_name(NOBODY.uid)):
        await accounts.local_principal(NOBODY)
    assert await accounts.users() == []


async def test_no_secret_is_in_the_database(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService, database: Database
) -> None:
    session = await log_in(accounts, admin)
    await workspaces.create(admin, "fruitshop", None)
    _, machine = await accounts.create_machine_token(admin, session.user.email, "fruitshop", 30)
    started = await accounts.start_login()
    async with database.transaction() as connection:
        await connection.execute("UPDATE users SET email = email")  # so that the log holds the newest pages too
    content = b"".join(path.read_bytes() for path in database.path.parent.glob("runtime.db*"))
    for secret in (session.refresh_token, session.access_token, machine, started.device_code):
        assert secret.encode() not in content
    assert started.user_code.encode() in content  # what is not secret shows that the search can find


async def test_the_audit_trail_tells_who_did_what(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService, database: Database
) -> None:
    session = await log_in(accounts, admin)
    await workspaces.create(admin, "fruitshop", None)
    token, _ = await accounts.create_machine_token(admin, "ada@example.org", "fruitshop", 30)
    await accounts.revoke_machine_token(admin, token.id)
    await accounts.logout(session.refresh_token)
    assert await audit_trail(database) == [
        ("user.create", "root@localhost"),
        ("user.create", "ada@example.org"),
        ("login.approve", "ada@example.org"),
        ("login.finish", "ada@example.org"),
        ("workspace.create", "fruitshop"),
        ("member.add", "ada@example.org"),
        ("token.create", "ada@example.org"),
        ("token.revoke", str(token.id)),
        ("login.end", None),
    ]


async def test_a_first_visit_makes_a_workspace_and_a_second_does_not(
    accounts: AccountService, admin: Principal, workspaces: WorkspaceService
) -> None:
    ada, grace = [
        await accounts.authenticate((await log_in(accounts, admin, email)).access_token)
        for email in ("ada@example.org", "grace@example.org")
    ]
    visits: list[Any] = await asyncio.gather(*(workspaces.home(ada) for _ in range(3)))
    assert visits[0] == visits[1] == visits[2]
    [(place, role)] = visits[0]
    assert (place.name, role) == ("default", "owner")
    assert place not in [workspace for workspace, _ in await workspaces.home(grace)]
    assert {workspace.id for workspace, _ in await workspaces.home(admin)} >= {place.id}
    assert await workspaces.role(grace, place.id) is None
    assert await workspaces.role(admin, place.id) == "owner"
    assert await workspaces.role(admin, uuid4()) is None


async def test_a_workspace_is_renamed_and_described(
    workspaces: WorkspaceService, admin: Principal, clock: Clock
) -> None:
    place = await workspaces.create(admin, "  fruitshop ", None)
    clock.forward(minutes=1)
    changed = await workspaces.update(admin, place.id, {"description": "apples"})
    assert (changed.name, changed.description, changed.updated_at) == ("fruitshop", "apples", clock.now)
    assert await workspaces.get(place.id) == changed
    for name in ("", " ", "x" * 101):
        with pytest.raises(InvalidError):
            await workspaces.update(admin, place.id, {"name": name})
    with pytest.raises(NotFoundError):
        await workspaces.get(uuid4())


async def test_the_organization_is_one_and_stays_the_same(workspaces: WorkspaceService, admin: Principal) -> None:
    made = await asyncio.gather(*(workspaces.organization() for _ in range(3)))
    assert made[0] == made[1] == made[2]
    renamed = await workspaces.update_organization(admin, {"name": "Orchard"})
    assert await workspaces.organization() == renamed
    assert renamed.id == made[0].id


async def test_the_counts_leave_out_administrators(
    accounts: AccountService, workspaces: WorkspaceService, admin: Principal
) -> None:
    await accounts.add_user(admin, "ada@example.org")
    await workspaces.create(admin, "fruitshop", None)
    counts = await workspaces.counts()
    assert (counts.users, counts.workspaces, counts.jobs, counts.active_runs) == (1, 1, 0, 0)
