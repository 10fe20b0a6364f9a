"""What a wall clock does that it should not, and a thousand jobs that tick at once."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise, takewhile
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from runtime.dispatch.settling import settle
from runtime.dispatch.ticking import Due, Ticker
from runtime.domain.runs import RunEnd
from runtime.domain.ticks import cron_ticks
from runtime.store import runs as run_store
from runtime.store.columns import from_micros
from tests.factories import make_raw_definition
from tests.house import House, build_house
from tests.simulation.inline_database import InlineDatabase

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def inline() -> AsyncIterator[InlineDatabase]:
    """A store in memory."""
    database = InlineDatabase()
    yield database
    await database.close()


@pytest.fixture
async def house(inline: InlineDatabase, tmp_path: Path) -> House:
    """A workspace in it."""
    return await build_house(inline, tmp_path)


async def look(house: House, ticker: Ticker) -> int:
    """As the scheduler does: what is due by the clock as it now stands."""
    upcoming = await ticker.next_ticks()
    return await ticker.look([due for due, at in upcoming.items() if at <= house.clock.now])


async def end_all(house: House, inline: InlineDatabase) -> None:
    for row in inline.raw.execute("SELECT run_id FROM live_runs ORDER BY run_id").fetchall():
        async with inline.transaction() as connection:
            run = await run_store.find_run(connection, UUID(bytes=row["run_id"]))
            assert run is not None
            running = run.model_copy(update={"status": "running", "started_at": house.clock.now})
            await run_store.save_run(connection, running)
            await settle(connection, running, RunEnd(status="completed", exit_code=0), house.clock.now)


def scheduled(inline: InlineDatabase, job_ref: str) -> list[datetime]:
    rows = inline.raw.execute(
        "SELECT scheduled_at FROM runs JOIN jobs ON jobs.id = runs.job_id WHERE job_ref = ? ORDER BY number", (job_ref,)
    )
    return [from_micros(row[0]) for row in rows]


@pytest.mark.parametrize("seed", range(5))
async def test_steps_of_the_wall_clock_neither_lose_nor_double_ticks(
    house: House, inline: InlineDatabase, seed: int
) -> None:
    """Semantics T1, T2, W1, W5: the clock goes on minute by minute and is set back or forward by up to half an hour.

    A tick that has been taken is never taken again; one that a step forward jumped over is covered by the run that
    follows, so that windows stay continuous.
    """
    await house.ready(
        make_raw_definition("jobs.clock.five", triggers=["schedule:*/5 * * * *"]),
        make_raw_definition("jobs.clock.period", triggers=["every:7m"]),
        make_raw_definition("jobs.clock.once", triggers=["once:2026-03-10T13:37:00Z"]),
    )
    chance, ticker = Random(seed), Ticker(inline, house.changes, house.clock)
    born = newest = house.clock.now
    for _ in range(2000):
        step = MINUTE
        if chance.random() < 0.03:
            step = timedelta(seconds=chance.randint(-1800, 1800))
        house.clock.now += step
        newest = max(newest, house.clock.now)
        await look(house, ticker)
        await end_all(house, inline)

    for ref in ("jobs.clock.five", "jobs.clock.period"):
        taken = scheduled(inline, ref)
        assert len(taken) > 100
        assert taken == sorted(set(taken)), ref
        windows = inline.raw.execute(
            """SELECT interval_start, interval_end FROM runs JOIN jobs ON jobs.id = runs.job_id
               WHERE job_ref = ? ORDER BY number""",
            (ref,),
        ).fetchall()
        assert all(before[1] == after[0] for before, after in pairwise(windows)), ref
    assert len(scheduled(inline, "jobs.clock.once")) == 1
    ticks = takewhile(lambda tick: tick <= newest, cron_ticks("*/5 * * * *", "UTC", born))
    assert set(scheduled(inline, "jobs.clock.five")) <= set(ticks)
    assert newest - scheduled(inline, "jobs.clock.five")[-1] < 5 * MINUTE


async def test_a_thousand_jobs_on_the_same_second_are_a_thousand_runs(house: House, inline: InlineDatabase) -> None:
    """Semantics T1, D7: each once, in batches as the scheduler reports them, reported twice and by two tickers."""
    jobs = [make_raw_definition(f"jobs.crowd.j{number:03}", triggers=["schedule:0 * * * *"]) for number in range(1000)]
    await house.ready(*jobs)
    house.clock.pass_seconds(3600)
    tickers = [Ticker(inline, house.changes, house.clock) for _ in range(2)]
    due = sorted(await tickers[0].next_ticks())
    assert len(due) == 1000
    batches: list[list[Due]] = [due[start : start + 100] for start in range(0, 1000, 100)]
    taken = [await ticker.look(batch) for batch in [*batches, *reversed(batches)] for ticker in tickers]
    assert sum(taken) == 1000
    rows = inline.raw.execute("SELECT job_id, status, scheduled_at, number FROM runs").fetchall()
    assert Counter(row["job_id"] for row in rows) == Counter({one.job_id.bytes: 1 for one in due})
    assert {(row["status"], from_micros(row["scheduled_at"]), row["number"]) for row in rows} == {
        ("pending", house.clock.now, 1)
    }
    assert set((await tickers[0].next_ticks()).values()) == {house.clock.now + timedelta(hours=1)}
