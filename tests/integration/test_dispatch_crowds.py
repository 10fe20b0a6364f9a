"""What must hold with many jobs and runs: the clock recovers by itself, and reads do not grow with the history."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from runtime.dispatch import ticking
from runtime.dispatch.changes import TIMERS
from runtime.dispatch.ticking import Due, Ticker
from runtime.errors import StoreError
from runtime.store import histories, runs
from runtime.store.database import Connection, Database
from tests.benchmarks.crowded_store import fill_store
from tests.house import House, build_house, eventually


class _Asked:
    """A connection that remembers how SQLite would go about what it is asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    async def all(self, sql: str, parameters: Sequence[object] = ()) -> list[object]:
        self.plans += [row["detail"] for row in await self._connection.all(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        return []

    async def one(self, sql: str, parameters: Sequence[object] = ()) -> None:
        await self.all(sql, parameters)

    async def value(self, sql: str, parameters: Sequence[object] = ()) -> int:
        await self.all(sql, parameters)
        return 0


async def plan(path: Path, job: UUID, which: str) -> str:
    """How the store finds runs: the steps that SQLite takes, and the index of each."""
    database = await Database.open(path)
    async with database.read() as connection:
        asked = _Asked(connection)
        match which:
            case "active":
                await runs.active_runs(asked)  # type: ignore[arg-type]
            case "active of a job":
                await runs.active_runs(asked, job)  # type: ignore[arg-type]
            case "latest of a job":
                await runs.latest_run(asked, job, job)  # type: ignore[arg-type]
            case "list of a job":
                await runs.list_runs(asked, job, runs.RunFilter(job_id=job), 100, 0)  # type: ignore[arg-type]
            case "list of running":
                await runs.list_runs(asked, job, runs.RunFilter(status="running"), 100, 0)  # type: ignore[arg-type]
            case "outcomes":
                await histories.outcomes(asked, [job.bytes], 12)  # type: ignore[arg-type]
    await database.close()
    return "\n".join(asked.plans)


@pytest.mark.parametrize(
    ("which", "index"),
    [
        ("active", "runs_active "),
        ("active of a job", "runs_active_of_job "),
        ("latest of a job", "(job_id=?)"),
        ("list of a job", "runs_of_job "),
        ("list of running", "runs_active "),
        ("outcomes", "(job_id=? AND number>?)"),
    ],
)
def test_runs_are_found_by_an_index_that_does_not_grow_with_those_of_other_jobs(
    tmp_path: Path, which: str, index: str
) -> None:
    job, *_ = fill_store(tmp_path / "runtime.db", ["schedule:0 * * * *"] * 20, runs=200)
    steps = asyncio.run(plan(tmp_path / "runtime.db", job, which))
    assert index in steps
    assert "SCAN" not in steps
    assert "runs_by_time" not in steps


async def test_ticks_that_could_not_be_dispatched_are_looked_at_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics W5: a failing store loses no tick; timers are set anew, and the tick is due at once."""
    monkeypatch.setattr(ticking, "_PAUSE_SECONDS", 0)
    house: House = await build_house(database, tmp_path)
    ticker = Ticker(database, house.changes, house.clock)

    async def fail(due: Sequence[Due]) -> int:
        raise StoreError("no space left on device")

    monkeypatch.setattr(ticker, "look", fail)
    timers = house.changes.event(TIMERS)
    running = asyncio.create_task(ticker.run())
    ticker.report(Due(UUID(int=1), "schedule:0 * * * *"))
    await eventually(timers)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
