"""Which apps answer, and when nobody uses one any more (semantics S4)."""

import asyncio
import socket
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from runtime.dispatch.app_usage import Backend, RunningApps
from tests.house import Clock

JOB = UUID(int=1)


class NoDoor:
    async def connect(self) -> socket.socket:
        raise AssertionError("nobody connects here")


def backend(number: int = 1) -> Backend:
    return Backend(uuid4(), number, 1, "", NoDoor())


class Waits:
    """Takes the part of sleeping: moves the clock, and lets something happen meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seconds: list[float] = []
        self.meanwhile: list[Callable[[], None]] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if self.meanwhile:
            self.clock.pass_seconds(seconds / 2)
            self.meanwhile.pop(0)()
            self.clock.pass_seconds(seconds / 2)
        else:
            self.clock.pass_seconds(seconds)


async def test_an_app_that_nobody_visits_is_idle_after_its_time() -> None:
    clock = Clock()
    waits = Waits(clock)
    apps, one = RunningApps(clock, waits), backend()
    with apps.serving(JOB, one):
        await apps.until_idle(one.run_id, 300)
    assert waits.seconds == [300]


async def test_a_request_begins_the_time_anew() -> None:
    clock = Clock()
    waits = Waits(clock)
    apps, one = RunningApps(clock, waits), backend()

    def visit() -> None:
        with apps.using(one.run_id):
            clock.pass_seconds(10)

    waits.meanwhile.append(visit)
    with apps.serving(JOB, one):
        await apps.until_idle(one.run_id, 300)
    assert waits.seconds == [300, 150]


async def test_an_open_websocket_keeps_an_app_for_days() -> None:
    clock = Clock()
    waits = Waits(clock)
    apps, one = RunningApps(clock, waits), backend()
    with apps.serving(JOB, one):
        tab = apps.using(one.run_id)
        tab.__enter__()
        idle = asyncio.create_task(apps.until_idle(one.run_id, 300))
        await asyncio.sleep(0)
        clock.pass_seconds(86400 * 3)
        await asyncio.sleep(0)
        assert not idle.done()
        assert waits.seconds == []
        assert apps.in_use(one.run_id) == 1
        tab.__exit__(None, None, None)
        await idle
    assert waits.seconds == [300]


async def test_while_others_wait_for_room_an_app_rests_sooner_and_says_so() -> None:
    """Semantics D6."""
    clock = Clock()
    apps, one = RunningApps(clock, Waits(clock)), backend()
    with apps.serving(JOB, one):
        apps.crowd(is_crowded=True)
        assert await apps.until_idle(one.run_id, 300) == "idle for 30 s while others waited for room"


async def test_an_app_that_waits_for_its_idle_time_notices_that_others_wait() -> None:
    """Semantics D6."""
    clock = Clock()
    apps, one = RunningApps(clock, lambda _: asyncio.sleep(3600)), backend()
    with apps.serving(JOB, one):
        idle = asyncio.create_task(apps.until_idle(one.run_id, 300))
        await asyncio.sleep(0)
        clock.pass_seconds(31)
        apps.crowd(is_crowded=True)
        assert (await idle).startswith("idle for 30 s")


async def test_who_waits_for_something_else_learns_that_others_wait_for_room() -> None:
    """Semantics D6: an app that is replaced goes before its successor answers, if that has no room."""
    apps = RunningApps(Clock())
    something = asyncio.Event()
    something.set()
    assert not await apps.crowded_before(something)
    waiting = asyncio.create_task(apps.crowded_before(asyncio.Event()))
    await asyncio.sleep(0)
    assert not waiting.done()
    apps.crowd(is_crowded=True)
    assert await waiting


async def test_an_app_whose_own_idle_time_is_shorter_keeps_it() -> None:
    clock = Clock()
    apps, one = RunningApps(clock, Waits(clock)), backend()
    with apps.serving(JOB, one):
        apps.crowd(is_crowded=True)
        assert await apps.until_idle(one.run_id, 10) == "idle for 10 s"


async def test_of_two_runs_of_one_job_the_newer_one_answers() -> None:
    apps, old, new = RunningApps(Clock()), backend(3), backend(4)
    with apps.serving(JOB, new):
        with apps.serving(JOB, old):
            assert apps.of_job(JOB) is new
        assert apps.of_job(JOB) is new
    assert apps.of_job(JOB) is None


async def test_a_use_that_outlives_its_app_is_no_error() -> None:
    apps, one = RunningApps(Clock()), backend()
    with apps.serving(JOB, one):
        late = apps.using(one.run_id)
        late.__enter__()
    late.__exit__(None, None, None)
    with apps.using(one.run_id):
        assert apps.in_use(one.run_id) == 0


async def test_an_app_that_fails_while_served_is_no_longer_handed_out() -> None:
    apps, one = RunningApps(Clock()), backend()
    with pytest.raises(ConnectionError), apps.serving(JOB, one):
        raise ConnectionError
    assert apps.of_job(JOB) is None
