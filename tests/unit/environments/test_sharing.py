import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runtime.environments.sharing import Report, SharedWork


class Work:
    """Work that says two lines and ends when told to."""

    def __init__(self) -> None:
        self.started = 0
        self.ended = 0
        self.go_on = asyncio.Event()
        self.under_way = asyncio.Event()

    async def __call__(self, report: Report) -> str:
        self.started += 1
        report("first")
        self.under_way.set()
        try:
            await self.go_on.wait()
            report("second")
            return "done"
        finally:
            self.ended += 1


def share(
    shared: SharedWork[str, str], work: Callable[[Report], Awaitable[str]], lines: list[str]
) -> asyncio.Task[str]:
    return asyncio.create_task(shared.run("key", work, lines.append))


async def test_work_under_one_key_is_done_once_and_latecomers_hear_all_of_it() -> None:
    shared, work = SharedWork[str, str](), Work()
    early: list[str] = []
    late: list[str] = []
    first = share(shared, work, early)
    await work.under_way.wait()
    second = share(shared, work, late)
    work.go_on.set()
    assert {await first, await second} == {"done"}
    assert work.started == 1
    assert early == ["first", "second"]
    assert late == ["first", "second"]


async def test_work_that_is_over_is_started_anew() -> None:
    shared, work = SharedWork[str, str](), Work()
    work.go_on.set()
    await shared.run("key", work, print)
    await shared.run("key", work, print)
    assert work.started == 2


async def test_who_leaves_does_not_end_the_work_of_those_who_stay() -> None:
    shared, work = SharedWork[str, str](), Work()
    leaving, staying = share(shared, work, []), share(shared, work, [])
    await work.under_way.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert work.ended == 0
    work.go_on.set()
    assert await staying == "done"


async def test_work_nobody_waits_for_has_ended_when_the_last_one_is_gone() -> None:
    shared, work = SharedWork[str, str](), Work()
    waiting = [share(shared, work, []), share(shared, work, [])]
    await work.under_way.wait()
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (work.started, work.ended) == (1, 1)


async def test_who_comes_while_abandoned_work_ends_gets_work_of_their_own() -> None:
    shared = SharedWork[str, str]()
    under_way, ending, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_to_end(report: Report) -> str:
        under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await may_end.wait()
        return "never"

    async def quick(report: Report) -> str:
        return "quick"

    abandoned = share(shared, slow_to_end, [])
    await under_way.wait()
    abandoned.cancel()
    await ending.wait()
    assert await share(shared, quick, []) == "quick"
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await abandoned


async def test_an_error_reaches_everybody_who_waits() -> None:
    shared = SharedWork[str, str]()

    async def failing(report: Report) -> str:
        raise LookupError("no")

    results = await asyncio.gather(share(shared, failing, []), share(shared, failing, []), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError, LookupError]
