"""How many pages there may be, and when what is behind them ends; over a sandbox that only waits."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from runtime.console import hosts
from runtime.console.hosts import MOST_PAGES, MOST_PAGES_OF_A_PERSON, ConsoleHosts
from runtime.errors import UnauthenticatedError, UnavailableError
from runtime.sandbox.confinement import Confinement, LimitsInForce

ADA = UUID(int=7)


class FakeKeys:
    """Keys of sessions that stand until they are said to have ended."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.ended: set[str] = set()

    def issue(self, session_secret: str) -> str:
        self.good.add(session_secret)
        return session_secret

    def revoke(self, key: str) -> None:
        self.good.discard(key)

    async def principal(self, key: str) -> None:
        if key in self.ended:
            raise UnauthenticatedError("signed out")


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def console(keys: FakeKeys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ConsoleHosts:
    async def wait(*_: object, **__: object) -> int:
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(hosts, "run_in_sandbox", wait)
    monkeypatch.setattr(hosts, "LOOK_AGAIN_SECONDS", 0.01)
    confinement = Confinement(hosts.CONSOLE_MACHINE, LimitsInForce(memory="watched", cpus="not", tasks="not"))
    given: Any = keys
    return ConsoleHosts(given, tmp_path, tmp_path / "console.sock", confinement)


async def test_pages_of_a_session_share_a_sandbox(console: ConsoleHosts) -> None:
    with console.page("one", ADA) as first, console.page("one", ADA) as second, console.page("two", ADA) as third:
        assert first is second
        assert first is not third
    await console.close()


async def test_nobody_has_more_pages_than_a_person_may_and_all_together_not_more_than_there_may_be(
    console: ConsoleHosts,
) -> None:
    with ExitStack() as pages:
        for number in range(MOST_PAGES_OF_A_PERSON):
            pages.enter_context(console.page(f"session {number}", ADA))
        with pytest.raises(UnavailableError, match="you have too many"):
            pages.enter_context(console.page("another", ADA))
        for number in range(MOST_PAGES - MOST_PAGES_OF_A_PERSON):
            pages.enter_context(console.page(f"of others {number}", uuid4()))
        with pytest.raises(UnavailableError, match="too many pages"):
            pages.enter_context(console.page("one more", uuid4()))
    with console.page("another", ADA):
        """There is room again."""
    await console.close()


async def test_without_a_page_a_sandbox_ends_and_its_key_with_it(
    console: ConsoleHosts, keys: FakeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "IDLE_SECONDS", 0.01)
    with console.page("one", ADA):
        await asyncio.sleep(0.05)
        assert keys.good == {"one"}
    await until(lambda: not keys.good)
    assert console.present("one") is None


async def test_the_end_of_a_session_ends_its_sandbox_though_a_page_is_open(
    console: ConsoleHosts, keys: FakeKeys
) -> None:
    with console.page("one", ADA):
        await asyncio.sleep(0)
        keys.ended.add("one")
        await until(lambda: console.present("one") is None and not keys.good)
    await console.close()


async def test_a_page_whose_sandbox_has_ended_does_not_end_the_next_one(
    console: ConsoleHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "IDLE_SECONDS", 0.01)
    with ExitStack() as old:
        old.enter_context(console.page("one", ADA))
        console.end("one")
        with console.page("one", ADA) as anew:
            old.close()
            await asyncio.sleep(0.05)
            assert console.present("one") is anew
    await console.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what is told by nobody."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)
