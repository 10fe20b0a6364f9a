"""Signing in with a password on a real database: what attackers get, and what they cannot do to others."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.auth.codes import new_secret
from runtime.auth.passwords import Passwords
from runtime.auth.tokens import TokenSigner
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.approvals import ApprovalService
from runtime.dispatch.signing_in import SignedIn, SignInService, TooSoonError, Visitor
from runtime.domain.identities import Principal, User
from runtime.errors import (
    ConflictError,
    DiskFullError,
    InvalidError,
    JobRuntimeError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
)
from runtime.settings import AuthSettings
from runtime.store import identities
from runtime.store.database import Database
from tests.api_client import client_for, fake_services, make_app
from tests.factories import make_user
from tests.house import Clock

ADA, BOB = "ada@example.org", "bob@example.org"
PASSWORD, OTHER = "correct horse battery", "staple of another kind"
HOME, ELSEWHERE = Visitor("192.0.2.1"), Visitor("198.51.100.1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def admin(database: Database) -> Principal:
    user = make_user("root@localhost", local_uid=0)
    async with database.transaction() as connection:
        await identities.add_user(connection, user)
    return Principal(user=user, is_admin=True)


@pytest.fixture
def accounts(database: Database, clock: Clock) -> AccountService:
    return AccountService(database, TokenSigner(Ed25519PrivateKey.generate()), AuthSettings(), clock)


@pytest.fixture
def approvals(database: Database, clock: Clock) -> ApprovalService:
    return ApprovalService(database, clock)


@pytest.fixture
async def sign_in(database: Database, clock: Clock, admin: Principal, accounts: AccountService) -> SignInService:
    """Ada and Bob have passwords. Hashing is cheap here; that it is not elsewhere is another test's matter."""
    service = SignInService(database, AuthSettings(), Passwords(cheap()), clock)
    for email, password in ((ADA, PASSWORD), (BOB, OTHER)):
        await accounts.add_user(admin, email)
        await service.set_password(admin, email, password)
    return service


def cheap() -> PasswordHasher:
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def attempt(service: SignInService, email: str, password: str, visitor: Visitor) -> SignedIn | JobRuntimeError:
    try:
        return await service.with_password(email, password, visitor)
    except JobRuntimeError as error:
        return error


async def fail(service: SignInService, clock: Clock, email: str, visitor: Visitor, times: int) -> None:
    """So many failures, each as soon as it is let through."""
    for _ in range(times):
        answer = await attempt(service, email, "a wrong password", visitor)
        if isinstance(answer, TooSoonError):
            clock.pass_seconds(answer.wait_seconds)
            answer = await attempt(service, email, "a wrong password", visitor)
        assert isinstance(answer, UnauthenticatedError)


async def test_a_password_opens_a_session(sign_in: SignInService) -> None:
    signed_in = await sign_in.with_password(" ADA@example.org ", PASSWORD, HOME)
    assert signed_in.user.email == ADA
    user = await sign_in.current(signed_in.session_secret)
    assert user == signed_in.user
    assert await sign_in.current(new_secret()) is None
    assert await sign_in.current(None) is None


async def test_unknown_people_and_wrong_passwords_look_alike(
    sign_in: SignInService, accounts: AccountService, admin: Principal, database: Database
) -> None:
    await accounts.add_user(admin, "no-password@example.org")
    async with database.transaction() as connection:
        await connection.execute("UPDATE users SET disabled_at = 1 WHERE email = ?", (BOB,))
    answers = [
        await attempt(sign_in, email, password, Visitor(f"192.0.2.{number}"))
        for number, (email, password) in enumerate(
            [
                (ADA, "a wrong password"),
                ("nobody@example.org", PASSWORD),
                ("no-password@example.org", PASSWORD),
                (BOB, OTHER),  # disabled, and the password is right
                ("root@localhost", PASSWORD),
                ("", ""),
            ]
        )
    ]
    assert {(type(answer), str(answer)) for answer in answers} == {
        (UnauthenticatedError, "email and password do not fit")
    }


async def test_guessing_from_one_network_comes_to_a_hundred_guesses_a_day(sign_in: SignInService, clock: Clock) -> None:
    begun, guesses = clock.now, 0
    while clock.now - begun < timedelta(days=1):
        answer = await attempt(sign_in, ADA, f"guess number {guesses}", ELSEWHERE)
        if isinstance(answer, TooSoonError):
            clock.pass_seconds(answer.wait_seconds)
        else:
            assert isinstance(answer, UnauthenticatedError)
            guesses += 1
    assert guesses < 115


async def test_guessing_at_many_accounts_from_one_network_is_as_slow(sign_in: SignInService, clock: Clock) -> None:
    for number in range(5):
        await attempt(sign_in, f"person-{number}@example.org", PASSWORD, ELSEWHERE)
    assert isinstance(await attempt(sign_in, ADA, PASSWORD, ELSEWHERE), TooSoonError)


async def test_an_attack_from_a_thousand_networks_does_not_keep_the_owner_out(
    sign_in: SignInService, clock: Clock
) -> None:
    for number in range(1000):
        await attempt(sign_in, ADA, "a wrong password", Visitor(f"10.0.{number // 256}.{number % 256}"))
    signed_in = await sign_in.with_password(ADA, PASSWORD, HOME)
    assert signed_in.user.email == ADA


async def test_while_an_account_is_attacked_its_attackers_have_one_guess_for_each_network(
    sign_in: SignInService, clock: Clock
) -> None:
    await fail(sign_in, clock, ADA, ELSEWHERE, 10)
    newcomer = Visitor("203.0.113.9")
    assert isinstance(await attempt(sign_in, ADA, "one guess of many", newcomer), UnauthenticatedError)
    assert isinstance(await attempt(sign_in, ADA, "another", newcomer), TooSoonError)


async def test_the_owner_who_mistypes_during_an_attack_waits_a_minute(sign_in: SignInService, clock: Clock) -> None:
    for number in range(50):
        await attempt(sign_in, ADA, "a wrong password", Visitor(f"10.0.0.{number}"))
    await attempt(sign_in, ADA, PASSWORD[:-1], HOME)
    refused = await attempt(sign_in, ADA, PASSWORD, HOME)
    assert isinstance(refused, TooSoonError)
    assert refused.wait_seconds <= 60
    for number in range(50, 100):  # which no attacker makes longer
        await attempt(sign_in, ADA, "a wrong password", Visitor(f"10.0.0.{number}"))
    clock.pass_seconds(60)
    await sign_in.with_password(ADA, PASSWORD, HOME)


async def test_a_known_browser_waits_for_nobody_elses_failures_not_even_in_the_same_office(
    sign_in: SignInService, clock: Clock
) -> None:
    known = await sign_in.with_password(ADA, PASSWORD, HOME)
    await fail(sign_in, clock, ADA, HOME, 20)
    assert isinstance(await attempt(sign_in, ADA, PASSWORD, HOME), TooSoonError)
    again = await sign_in.with_password(ADA, PASSWORD, Visitor(HOME.address, known.browser_secret))
    assert again.browser_secret == known.browser_secret


async def test_a_browser_is_known_for_the_account_it_was_used_with_only(sign_in: SignInService, clock: Clock) -> None:
    bobs = await sign_in.with_password(BOB, OTHER, ELSEWHERE)
    visitor = Visitor(ELSEWHERE.address, bobs.browser_secret)
    await fail(sign_in, clock, ADA, visitor, 5)
    assert isinstance(await attempt(sign_in, ADA, PASSWORD, visitor), TooSoonError)


async def test_a_stolen_browser_cookie_buys_ten_guesses_and_is_worth_nothing_then(
    sign_in: SignInService, clock: Clock
) -> None:
    known = await sign_in.with_password(ADA, PASSWORD, HOME)
    thief = Visitor(ELSEWHERE.address, known.browser_secret)
    await fail(sign_in, clock, ADA, thief, 10)
    await fail(sign_in, clock, ADA, thief, 5)  # as anybody's now
    assert isinstance(await attempt(sign_in, ADA, PASSWORD, thief), TooSoonError)


async def test_attempts_made_at_once_are_counted_before_they_are_looked_at(sign_in: SignInService) -> None:
    answers = await asyncio.gather(*(attempt(sign_in, ADA, f"guess number {n}", ELSEWHERE) for n in range(15)))
    assert sum(isinstance(answer, UnauthenticatedError) for answer in answers) == 5
    assert sum(isinstance(answer, TooSoonError) for answer in answers) == 10


async def test_an_attempt_that_comes_too_early_makes_no_wait_longer(sign_in: SignInService, clock: Clock) -> None:
    await fail(sign_in, clock, ADA, HOME, 8)
    waits = [await attempt(sign_in, ADA, PASSWORD, HOME) for _ in range(20)]
    assert {wait.wait_seconds for wait in waits if isinstance(wait, TooSoonError)} == {8}
    clock.pass_seconds(8)
    await sign_in.with_password(ADA, PASSWORD, HOME)


async def test_signing_in_to_an_account_of_ones_own_starts_no_counter_over(
    sign_in: SignInService, clock: Clock
) -> None:
    await fail(sign_in, clock, ADA, ELSEWHERE, 5)
    clock.pass_seconds(1)
    await sign_in.with_password(BOB, OTHER, ELSEWHERE)
    await fail(sign_in, clock, ADA, ELSEWHERE, 1)
    answer = await attempt(sign_in, ADA, PASSWORD, ELSEWHERE)
    assert isinstance(answer, TooSoonError)
    assert answer.wait_seconds == 2


async def test_counters_survive_a_restart(sign_in: SignInService, clock: Clock, database: Database) -> None:
    await fail(sign_in, clock, ADA, ELSEWHERE, 6)
    restarted = SignInService(database, AuthSettings(), Passwords(cheap()), clock)
    assert isinstance(await attempt(restarted, ADA, PASSWORD, ELSEWHERE), TooSoonError)


async def test_a_session_ends_when_it_stands_idle_and_when_it_is_old(sign_in: SignInService, clock: Clock) -> None:
    idle, busy = [await sign_in.with_password(ADA, PASSWORD, HOME) for _ in range(2)]
    begun = clock.now
    clock.pass_seconds(1790)
    assert await sign_in.current(busy.session_secret)
    clock.pass_seconds(10)
    assert await sign_in.current(idle.session_secret) is None
    while clock.now - begun < timedelta(hours=12):
        assert await sign_in.current(busy.session_secret)
        clock.pass_seconds(900)
    assert await sign_in.current(busy.session_secret) is None


async def test_a_full_disk_shuts_nobody_out(
    sign_in: SignInService, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_room(*_: object) -> None:
        raise DiskFullError("the database could not be written")

    signed_in = await sign_in.with_password(ADA, PASSWORD, HOME)
    monkeypatch.setattr("runtime.store.logins.touch_session", no_room)
    clock.now += timedelta(minutes=20)
    assert await sign_in.current(signed_in.session_secret) is not None


async def test_a_session_ends_with_its_user_with_their_password_and_with_all_their_logins(
    sign_in: SignInService,
    accounts: AccountService,
    approvals: ApprovalService,
    admin: Principal,
    clock: Clock,
    database: Database,
) -> None:
    async def begin() -> str:
        return (await sign_in.with_password(ADA, PASSWORD, HOME)).session_secret

    session = await begin()
    await sign_in.sign_out(session)
    assert await sign_in.current(session) is None

    session = await begin()
    await sign_in.set_password(admin, ADA, PASSWORD)
    assert await sign_in.current(session) is None

    session = await begin()
    started = await accounts.start_login()
    user = await sign_in.current(session)
    assert user
    await approvals.approve(user, started.user_code)
    tokens = await accounts.finish_login(started.device_code)
    await accounts.logout(tokens.refresh_token, everywhere=True)
    assert await sign_in.current(session) is None

    session = await begin()
    async with database.transaction() as connection:
        await connection.execute("UPDATE users SET disabled_at = 1 WHERE email = ?", (ADA,))
    assert await sign_in.current(session) is None


async def test_nothing_that_opens_a_door_is_in_the_database(sign_in: SignInService, database: Database) -> None:
    signed_in = await sign_in.with_password(ADA, PASSWORD, HOME)
    stored = b"".join(path.read_bytes() for path in database.path.parent.glob("runtime.db*"))
    for secret in (PASSWORD, signed_in.session_secret, signed_in.browser_secret):
        assert secret.encode() not in stored
        if secret != PASSWORD:
            assert bytes.fromhex(secret) not in stored


async def test_a_hash_of_weaker_days_is_made_anew_at_the_next_sign_in(
    sign_in: SignInService, database: Database, clock: Clock
) -> None:
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    service = SignInService(database, AuthSettings(), Passwords(stronger), clock)
    await service.with_password(ADA, PASSWORD, HOME)
    async with database.read() as connection:
        hashed = await connection.value(
            "SELECT hash FROM passwords JOIN users ON users.id = passwords.user_id WHERE email = ?", (ADA,)
        )
    assert "m=16,t=2" in hashed
    await service.with_password(ADA, PASSWORD, HOME)


@pytest.mark.parametrize("email", ["nobody@example.org", "root@localhost"])
async def test_passwords_are_for_people_who_are_known(sign_in: SignInService, admin: Principal, email: str) -> None:
    with pytest.raises(NotFoundError):
        await sign_in.set_password(admin, email, PASSWORD)


async def test_a_bad_password_replaces_none(sign_in: SignInService, admin: Principal) -> None:
    with pytest.raises(InvalidError):
        await sign_in.set_password(admin, ADA, "short")
    await sign_in.with_password(ADA, PASSWORD, HOME)


async def test_the_page_says_how_long_to_wait_and_lets_a_known_browser_through(
    sign_in: SignInService, tmp_path: Path
) -> None:
    app = make_app(tmp_path, fake_services(sign_in=sign_in))

    async def type_in(browser: httpx.AsyncClient, password: str) -> httpx.Response:
        page = await browser.get("/login")
        token = page.text.split('name="csrf" value="')[1][:64]
        return await browser.post("/login", data={"csrf": token, "email": ADA, "password": password})

    async with client_for(app) as hers, client_for(app) as attackers:
        assert (await type_in(hers, PASSWORD)).status_code == 303
        del hers.cookies["dlt-runtime-session"]
        statuses = [(await type_in(attackers, "a wrong password")).status_code for _ in range(6)]
        assert statuses == [403] * 5 + [429]
        slowed = await type_in(attackers, PASSWORD)
        assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "1")
        assert "Try again in 1 second," in slowed.text
        assert (await type_in(hers, PASSWORD)).status_code == 303


# --- approving


async def person(accounts: AccountService, email: str = ADA) -> User:
    return next(user for user in await accounts.users() if user.email == email)


async def test_a_person_sees_what_asks_and_lets_it_in_as_themselves(
    sign_in: SignInService, accounts: AccountService, approvals: ApprovalService, clock: Clock
) -> None:
    started = await accounts.start_login("192.0.2.7", "dlt-runtime/0.26 " + "x" * 500)
    clock.pass_seconds(42)
    ada = await person(accounts)
    seen = await approvals.look(ada, started.user_code.lower())
    assert (seen.age_seconds, seen.address) == (42, "192.0.2.7")
    assert seen.client
    assert len(seen.client) == 100
    with pytest.raises(RefusedError):
        await accounts.finish_login(started.device_code)
    await approvals.approve(ada, started.user_code)
    assert (await accounts.finish_login(started.device_code)).user == ada


async def test_a_denied_login_is_told_so_and_cannot_be_approved_any_more(
    sign_in: SignInService, accounts: AccountService, approvals: ApprovalService, admin: Principal
) -> None:
    started = await accounts.start_login()
    ada = await person(accounts)
    await approvals.deny(ada, started.user_code)
    with pytest.raises(InvalidError, match="denied"):
        await accounts.finish_login(started.device_code)
    for approve in (approvals.approve(ada, started.user_code), accounts.approve_login(admin, started.user_code, ADA)):
        with pytest.raises(ConflictError):
            await approve


async def test_a_code_is_decided_on_once(
    sign_in: SignInService, accounts: AccountService, approvals: ApprovalService
) -> None:
    started = await accounts.start_login()
    ada, bob = await person(accounts), await person(accounts, BOB)
    await approvals.approve(ada, started.user_code)
    for again in (approvals.approve(bob, started.user_code), approvals.deny(bob, started.user_code)):
        with pytest.raises(ConflictError):
            await again
    assert (await accounts.finish_login(started.device_code)).user == ada


async def test_an_old_code_is_no_code(
    sign_in: SignInService, accounts: AccountService, approvals: ApprovalService, clock: Clock
) -> None:
    started = await accounts.start_login()
    clock.pass_seconds(900)
    with pytest.raises(NotFoundError):
        await approvals.look(await person(accounts), started.user_code)


async def test_trying_codes_out_is_slow_and_slows_down_nobody_else(
    sign_in: SignInService, accounts: AccountService, approvals: ApprovalService
) -> None:
    started = await accounts.start_login()
    ada, bob = await person(accounts), await person(accounts, BOB)
    for number in range(10):
        with pytest.raises(NotFoundError):
            await approvals.look(bob, f"BBBB-222{2 + number % 8}")
    with pytest.raises(TooSoonError):
        await approvals.look(bob, started.user_code)
    await approvals.approve(ada, started.user_code)


# --- one's own password


async def ada_of(database: Database) -> Principal:
    async with database.read() as connection:
        user = await identities.find_user_by_email(connection, ADA)
    assert user is not None
    return Principal(user=user)


async def test_who_knows_the_present_password_sets_another_one_and_browsers_are_signed_out(
    sign_in: SignInService, database: Database
) -> None:
    before = await sign_in.with_password(ADA, PASSWORD, HOME)
    await sign_in.change_password(await ada_of(database), PASSWORD, "a third one altogether", HOME)
    assert await sign_in.current(before.session_secret) is None
    assert isinstance(await attempt(sign_in, ADA, PASSWORD, ELSEWHERE), UnauthenticatedError)
    assert isinstance(await attempt(sign_in, ADA, "a third one altogether", HOME), SignedIn)


async def test_a_wrong_present_password_changes_nothing_and_counts_as_a_failed_sign_in(
    sign_in: SignInService, database: Database
) -> None:
    """A stolen access token must not be a way to guess the password without waiting."""
    ada = await ada_of(database)
    for _ in range(5):
        with pytest.raises(InvalidError, match="present password"):
            await sign_in.change_password(ada, OTHER, "a third one altogether", HOME)
    with pytest.raises(TooSoonError):
        await sign_in.change_password(ada, PASSWORD, "a third one altogether", HOME)
    assert isinstance(await attempt(sign_in, ADA, PASSWORD, ELSEWHERE), SignedIn)


async def test_a_machines_token_and_a_weak_password_change_nothing(sign_in: SignInService, database: Database) -> None:
    ada = await ada_of(database)
    machine = Principal(user=ada.user, workspace_id=ada.user.id)
    with pytest.raises(RefusedError, match="machine"):
        await sign_in.change_password(machine, PASSWORD, "a third one altogether", HOME)
    with pytest.raises(InvalidError):
        await sign_in.change_password(ada, PASSWORD, "short", HOME)
    assert isinstance(await attempt(sign_in, ADA, PASSWORD, HOME), SignedIn)
