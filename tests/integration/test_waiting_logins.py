"""How many logins may wait: nobody who begins one is refused, and who has begun few keeps them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.auth.peers import Peer
from runtime.auth.tokens import TokenSigner
from runtime.dispatch import accounts as accounts_module
from runtime.dispatch.accounts import AccountService, StartedLogin
from runtime.dispatch.approvals import ApprovalService
from runtime.domain.identities import Principal
from runtime.settings import AuthSettings
from runtime.store.database import Database
from tests.house import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database: Database, clock: Clock) -> AccountService:
    return AccountService(database, TokenSigner(Ed25519PrivateKey.generate()), AuthSettings(), clock)


@pytest.fixture
async def admin(accounts: AccountService) -> Principal:
    return await accounts.local_principal(Peer(pid=1, uid=0, gid=0))


async def is_remembered(accounts: AccountService, started: StartedLogin) -> bool:
    return await accounts.knows_device_code(started.device_code)


async def test_a_network_has_so_many_logins_waiting_and_its_oldest_gives_way(
    accounts: AccountService, admin: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MOST_WAITING_LOGINS_OF_NETWORK", 3)
    await accounts.add_user(admin, "ada@example.org")
    elsewhere = await accounts.start_login("198.51.100.1")
    approved = await accounts.start_login("192.0.2.1")
    await accounts.approve_login(admin, approved.user_code, None)
    waiting = [await accounts.start_login("192.0.2.1") for _ in range(5)]
    assert [await is_remembered(accounts, one) for one in waiting] == [False] * 2 + [True] * 3
    assert await is_remembered(accounts, elsewhere)
    assert (await accounts.finish_login(approved.device_code)).user.email == "ada@example.org"


async def test_the_addresses_of_one_ipv6_customer_are_one_network(
    accounts: AccountService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MOST_WAITING_LOGINS_OF_NETWORK", 2)
    waiting = [await accounts.start_login(f"2001:db8::{number:x}:1") for number in range(4)]
    assert [await is_remembered(accounts, one) for one in waiting] == [False] * 2 + [True] * 2


async def test_where_the_table_is_full_a_login_of_the_largest_network_gives_way(
    accounts: AccountService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is kept from beginning a login, and whoever has begun one or two keeps them."""
    monkeypatch.setattr(accounts_module, "MOST_WAITING_LOGINS", 4)
    quiet = await accounts.start_login("198.51.100.1")
    flood = [await accounts.start_login("192.0.2.1") for _ in range(3)]
    newcomer = await accounts.start_login("203.0.113.1")
    assert [await is_remembered(accounts, one) for one in (quiet, newcomer)] == [True, True]
    assert [await is_remembered(accounts, one) for one in flood] == [False, True, True]


async def test_logins_that_have_been_denied_or_finished_make_room(
    accounts: AccountService, admin: Principal, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MOST_WAITING_LOGINS_OF_NETWORK", 2)
    await accounts.add_user(admin, "ada@example.org")
    first = await accounts.start_login()
    ada = next(user for user in await accounts.users() if user.email == "ada@example.org")
    for _ in range(3):
        finished = await accounts.start_login()
        await accounts.approve_login(admin, finished.user_code, "ada@example.org")
        await accounts.finish_login(finished.device_code)
        denied = await accounts.start_login()
        await ApprovalService(database, clock).deny(ada, denied.user_code)
    assert await is_remembered(accounts, first)
