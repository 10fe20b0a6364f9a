"""Passwords that are good enough, and their hashes."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from runtime.auth.passwords import Passwords, check_password
from runtime.errors import InvalidError, UnavailableError

GOOD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(CHEAP)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12"),
        ("x" * 1025, "at most 1024"),
        ("abababababababab", "over and over"),
        ("ada.lovelace1", "email"),
        ("Ada.Lovelace@example.org", "email"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused(password: str, why: str) -> None:
    with pytest.raises(InvalidError, match=why) as refused:
        check_password(password, "ada.lovelace@example.org", 12)
    assert password not in refused.value.message


@pytest.mark.parametrize("password", [GOOD, "päßwörter-überall", "x7#Kq!9zLm$2", "a long one with ada in it"])
def test_length_is_enough(password: str) -> None:
    check_password(password, "ada@example.org", 12)


async def test_only_the_password_itself_fits_its_hash(passwords: Passwords) -> None:
    hashed = await passwords.hash(GOOD)
    assert hashed.startswith("$argon2id$")
    assert GOOD not in hashed
    assert await passwords.is_right(GOOD, hashed, is_known=False)
    for wrong in ("", GOOD.upper(), GOOD + " ", "\ud800", "x" * 100_000):
        assert not await passwords.is_right(wrong, hashed, is_known=False)


async def test_keyboards_may_spell_a_character_in_different_ways(passwords: Passwords) -> None:
    hashed = await passwords.hash("caf\u00e9 caf\u00e9 caf\u00e9")
    assert await passwords.is_right("cafe\u0301 cafe\u0301 cafe\u0301", hashed, is_known=True)


async def test_where_there_is_no_password_the_same_work_is_done_and_nothing_fits(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    real = CHEAP.verify

    def verify(self: PasswordHasher, hashed: str, password: bytes) -> bool:
        verified.append(hashed)
        return real(hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    assert not await passwords.is_right(GOOD, None, is_known=False)
    assert not await passwords.is_right("nobody has this password", None, is_known=False)
    assert [hashed.rsplit("$", 2)[0] for hashed in verified] == [(await passwords.hash(GOOD)).rsplit("$", 2)[0]] * 2


async def test_strangers_queue_and_known_browsers_do_not_queue_behind_them(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = await passwords.hash(GOOD)
    go_on, at_once, most = threading.Event(), 0, 0
    real = Passwords._fits

    def fits(self: Passwords, password: str, hashed: str) -> bool:
        nonlocal at_once, most
        if password == "stranger":
            at_once += 1
            most = max(most, at_once)
            go_on.wait(10)
            at_once -= 1
        return real(self, password, hashed)

    monkeypatch.setattr(Passwords, "_fits", fits)
    strangers = [asyncio.create_task(passwords.is_right("stranger", hashed, is_known=False)) for _ in range(16)]
    await asyncio.sleep(0)
    assert await passwords.is_right(GOOD, hashed, is_known=True)
    with pytest.raises(UnavailableError):
        await passwords.is_right(GOOD, hashed, is_known=False)
    go_on.set()
    assert await asyncio.gather(*strangers) == [False] * 16
    assert most == 1
    assert await passwords.is_right(GOOD, hashed, is_known=False)


async def test_a_hash_of_weaker_days_is_known_as_such(passwords: Passwords) -> None:
    assert Passwords().is_outdated(await passwords.hash(GOOD))
    assert not passwords.is_outdated(await passwords.hash(GOOD))
