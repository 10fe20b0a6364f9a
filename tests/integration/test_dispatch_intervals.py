"""What is done of intervals, and backfills, over a real store and without processes."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from runtime.dispatch.intervals import Backfilled
from runtime.domain.runs import Run
from runtime.errors import ConflictError, InvalidError
from runtime.store import schedules
from tests.factories import NOW, make_raw_definition
from tests.house import House

REF = "jobs.shop.load"
EIGHT = NOW - timedelta(hours=4)
POINTER = make_raw_definition(triggers=["schedule:0 * * * *"], interval={"start": EIGHT.isoformat()})
DISCRETE = {**POINTER, "allow_external_schedulers": True}
PARALLEL = {**DISCRETE, "interval": {**POINTER["interval"], "mode": "parallel"}, "execute": {"concurrency": 2}}


def at(hour: float) -> datetime:
    return NOW + timedelta(hours=hour - 12)


async def active(house: House) -> list[Run]:
    return [run for run in reversed(await house.all_runs()) if not run.is_final]


async def finish(house: House, **failing: str) -> list[tuple[float, float]]:
    """Let every run there is, and all that follow, complete; returns the windows as hours of the day."""
    done: list[tuple[float, float]] = []
    while runs := await active(house):
        for run in runs:
            done.append(hours(run))
            house.clock.pass_seconds(1)
            await house.end(run)
    return done


def hours(run: Run) -> tuple[float, float]:
    assert run.interval_start is not None
    assert run.interval_end is not None
    return (run.interval_start - at(0)) / timedelta(hours=1), (run.interval_end - at(0)) / timedelta(hours=1)


async def spans(house: House) -> list[tuple[str, float, float]]:
    view = await house.intervals.spans(house.workspace_id, REF)
    hour = timedelta(hours=1)
    return [(span.state, (span.start - at(0)) / hour, (span.end - at(0)) / hour) for span in view.spans]


async def backfill(house: House, start: float, end: float | None = None, parallel: int | None = None) -> Backfilled:
    until = None if end is None else at(end)
    return await house.intervals.backfill(house.principal, house.workspace_id, REF, at(start), until, parallel)


async def at_once(house: House) -> int | None:
    job = (await house.jobs.get(house.workspace_id, REF)).job
    async with house.database.read() as connection:
        return (await schedules.find_schedule(connection, job.id)).at_once


async def test_the_states_of_an_interval_follow_its_runs(house: House) -> None:
    """Semantics W3."""
    await house.ready(DISCRETE)
    assert await spans(house) == [("missing", 8, 12)]
    first = await house.launch()
    assert await spans(house) == [("running", 8, 9), ("missing", 9, 12)]
    await house.end(first)
    assert await spans(house) == [("done", 8, 9), ("running", 9, 10), ("missing", 10, 12)]
    (second,) = await active(house)
    await house.end(second, "failed", reason="exit code 1")
    assert await spans(house) == [("done", 8, 9), ("failed", 9, 10), ("missing", 10, 12)]


async def test_a_window_that_failed_is_done_by_the_next_trigger(house: House) -> None:
    """Semantics W3: a failure leaves its window open."""
    await house.ready(DISCRETE)
    await house.end(await house.launch(), "failed")
    house.clock.pass_seconds(60)
    assert hours(await house.launch()) == (8, 9)
    house.clock.pass_seconds(60)
    assert await finish(house) == [(8, 9), (9, 10), (10, 11), (11, 12)]


async def test_a_backfill_opens_whole_ticks_and_one_follows_the_other(house: House) -> None:
    """Semantics W3."""
    await house.ready(DISCRETE)
    await house.launch()
    await finish(house)
    assert await spans(house) == [("done", 8, 12)]
    done = await backfill(house, 8.5, 10.5)
    assert done.window == (at(8), at(11))
    assert [hours(run) for run in done.runs] == [(8, 9)]
    assert await spans(house) == [("running", 8, 9), ("missing", 9, 11), ("done", 11, 12)]
    assert await finish(house) == [(8, 9), (9, 10), (10, 11)]
    assert await spans(house) == [("done", 8, 12)]


async def test_a_backfill_without_an_end_opens_all_since(house: House) -> None:
    """Semantics W3."""
    await house.ready(DISCRETE)
    await house.launch()
    await finish(house)
    assert (await backfill(house, 10)).window == (at(10), at(12))


async def test_a_backfill_opens_a_window_that_failed(house: House) -> None:
    """Semantics W3."""
    await house.ready(DISCRETE)
    await house.end(await house.launch(), "failed")
    house.clock.pass_seconds(60)
    assert [hours(run) for run in (await backfill(house, 8, 10)).runs] == [(8, 9)]


async def test_a_parallel_backfill_has_so_many_in_work_until_none_is_left(house: House) -> None:
    """Semantics W3."""
    await house.ready({**DISCRETE, "execute": {"concurrency": 3}})
    await house.launch()
    assert len(await active(house)) == 1
    await finish(house)
    done = await backfill(house, 8, 12, parallel=3)
    assert [hours(run) for run in done.runs] == [(8, 9), (9, 10), (10, 11)]
    assert await at_once(house) == 3
    assert await finish(house) == [(8, 9), (9, 10), (10, 11), (11, 12)]
    assert await at_once(house) is None


async def test_a_window_that_fails_in_a_parallel_backfill_is_not_tried_again_by_the_others(house: House) -> None:
    """Semantics W3."""
    await house.ready(PARALLEL)
    done = await backfill(house, 8, 12)
    assert [hours(run) for run in done.runs] == [(8, 9), (9, 10)]
    house.clock.pass_seconds(1)
    await house.end(done.runs[0], "failed")
    assert await finish(house) == [(9, 10), (10, 11), (11, 12)]
    assert await spans(house) == [("failed", 8, 9), ("done", 9, 12)]


async def test_a_backfill_of_a_busy_job_waits_its_turn(house: House) -> None:
    """Semantics W3, D5."""
    await house.ready(DISCRETE)
    await house.launch()
    assert (await backfill(house, 8, 9)).runs == ()
    assert await finish(house) == [(8, 9), (9, 10), (10, 11), (11, 12)]


async def test_a_backfill_of_continuous_windows_moves_the_pointer_back(house: House) -> None:
    """Semantics W2."""
    await house.ready(POINTER)
    await house.launch()
    assert await spans(house) == [("running", 8, 12)]
    await finish(house)
    done = await backfill(house, 9.5)
    assert done.window == (at(9), at(12))
    assert await spans(house) == [("done", 8, 9), ("running", 9, 12)]
    assert [hours(run) for run in done.runs] == [(9, 12)]
    await finish(house)
    assert await spans(house) == [("done", 8, 12)]


@pytest.mark.parametrize(
    ("definition", "arguments", "error", "words"),
    [
        (POINTER, (9, 10), ConflictError, "are continuous"),
        (POINTER, (9, None, 2), ConflictError, "not done in parallel"),
        (DISCRETE, (9, 10, 2), ConflictError, "may run 1 at a time"),
        (DISCRETE, (10, 9), InvalidError, "ends before it starts"),
        (DISCRETE, (14, 15), InvalidError, "nothing of its interval"),
        (make_raw_definition(triggers=["every:1h"]), (9, 10), ConflictError, "declares no `interval`"),
    ],
)
async def test_what_cannot_be_done_again_is_refused(
    house: House, definition: dict[str, Any], arguments: tuple[Any, ...], error: type[Exception], words: str
) -> None:
    await house.ready(definition)
    await house.launch()
    await finish(house)
    before = len(await house.all_runs())
    with pytest.raises(error, match=words):
        await backfill(house, *arguments)
    assert len(await house.all_runs()) == before


async def test_the_pointer_of_a_busy_job_is_not_moved(house: House) -> None:
    """Semantics W2: the run would move it on again."""
    await house.ready(POINTER)
    await house.launch()
    with pytest.raises(ConflictError, match="is active"):
        await backfill(house, 9)


async def test_a_backfill_that_a_gate_refuses_changes_nothing(house: House) -> None:
    """Semantics D3."""
    gate = {"freshness": ["job.is_fresh:jobs.shop.daily"]}
    await house.ready(DISCRETE, make_raw_definition("jobs.shop.daily", triggers=["every:1d"]))
    await house.launch()
    await finish(house)
    await house.deploy({**DISCRETE, **gate}, make_raw_definition("jobs.shop.daily", triggers=["every:1d"]))
    with pytest.raises(ConflictError, match=r"waiting for jobs\.shop\.daily"):
        await backfill(house, 9, 10)
    assert await spans(house) == [("done", 8, 12)]


async def test_a_job_without_interval_has_no_intervals_to_show(house: House) -> None:
    await house.ready(make_raw_definition(triggers=["every:1h"]))
    with pytest.raises(ConflictError, match="declares no `interval`"):
        await house.intervals.spans(house.workspace_id, REF)
