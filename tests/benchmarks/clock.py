"""How late ticks are dispatched, how soon a daemon with much to remember is up, how fast ticks are computed."""

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import uvloop
from croniter import croniter

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import system_clock
from runtime.dispatch.ticking import Due, Ticker
from runtime.domain.ticks import next_tick
from runtime.domain.triggers import parse_trigger
from runtime.scheduler import Scheduler
from runtime.store.database import Database
from tests.benchmarks.crowded_store import fill_store
from tests.benchmarks.figures import percentile, say, say_seconds
from tests.processes import DaemonProcess, wait_for

JOBS_AT_ONCE = 1_000
TICKS = 3
JOBS, RUNS = 10_000, 1_000_000
COMPUTATIONS = 10_000
AIM = "aim: under 3 s"
EVERY_TEN_SECONDS = "schedule:* * * * * */10"
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


def tick_jitter() -> None:
    """From a tick that 1,000 jobs share to the commit of each job's run, beside as many bare transactions.

    The clock, the ticker and the store are the daemon's; nothing runs the runs. A hundred ticks share a commit, so on a
    disk where commits are slow ours are done before the floor's.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        floor = _raw_transactions(Path(folder) / "raw.db")
        database = Path(folder) / "runtime.db"
        fill_store(database, [EVERY_TEN_SECONDS] * JOBS_AT_ONCE)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the daemon's
            rounds = runner.run(_dispatched(database))
    say_seconds("ticks at once, one raw transaction each", floor)
    for number, late in enumerate(rounds, 1):
        say_seconds(f"ticks at once, tick to dispatch, round {number}", late)
    beyond = statistics.median(percentile(late, 99) for late in rounds) - percentile(floor, 99)
    say("ticks at once, p99 after the floor's", f"{beyond * 1000:.0f} ms", "aim: under 50 ms")


def _raw_transactions(path: Path) -> list[float]:
    """When each of as many transactions is done as there are jobs, begun at once: seconds."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, content BLOB)")
    content = bytes(300)
    done = []
    began = time.perf_counter()
    for number in range(JOBS_AT_ONCE):
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO runs VALUES (?, ?)", (number, content))
        database.execute("COMMIT")
        done.append(time.perf_counter() - began)
    database.close()
    return done


class _WatchedTicker(Ticker):
    """Notes when which triggers had been dispatched."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, Changes(), system_clock)
        self.looks: list[tuple[float, int]] = []

    async def look(self, due: Sequence[Due]) -> int:
        taken = await super().look(due)
        self.looks.append((time.time(), taken))
        return taken

    @property
    def taken(self) -> int:
        return sum(taken for _, taken in self.looks)


async def _dispatched(path: Path) -> list[list[float]]:
    """How late each tick of each round was, in seconds."""
    database = await Database.open(path)
    ticker = _WatchedTicker(database)
    scheduler = Scheduler(ticker)
    await scheduler.start()
    while ticker.taken < (TICKS + 1) * JOBS_AT_ONCE:  # noqa: ASYNC110 # what is waited for must not be disturbed
        await asyncio.sleep(0.5)
    await scheduler.close()
    await database.close()
    late: dict[int, list[float]] = {}
    for at, taken in ticker.looks:
        late.setdefault(int(at) // 10, []).extend([at % 10] * taken)
    assert all(len(samples) == JOBS_AT_ONCE for samples in late.values()), "every tick is dispatched once"
    return list(late.values())[1:]  # the first one finds nothing warm


def start_up() -> None:
    """From the start of a daemon with 10,000 jobs and 1,000,000 runs in its store to its clock's first decision.

    The tick that is overdue is skipped by a gate: what is measured is the daemon, not the run.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        empty = [_started(DaemonProcess(Path(folder) / f"empty-{number}"))[0] for number in range(3)]
        daemon = DaemonProcess(Path(folder) / "full")
        daemon.state.mkdir(mode=0o700)
        path = daemon.state / "runtime.db"
        times = [f"schedule:{number % 60} {number // 60 % 24} * * *" for number in range(JOBS)]
        gate = ["job.is_fresh:jobs.crowd.nobody"]
        job, *_ = fill_store(path, times, runs=RUNS, taken_at=datetime.now(UTC), freshness=gate)
        rounds = [_started(daemon, path, job) for _ in range(3)]
    say_seconds("start-up, nothing stored", empty)
    say_seconds("start-up, 10,000 jobs and 1,000,000 runs", [ready for ready, _ in rounds])
    say_seconds("start-up, until a missed tick is taken", [taken for _, taken in rounds])
    say("start-up, median to a working clock", f"{statistics.median(taken for _, taken in rounds):.2f} s", AIM)


def _started(daemon: DaemonProcess, path: Path | None = None, job: UUID | None = None) -> tuple[float, float]:
    """Seconds until the daemon serves, and until it has taken the tick that `job` has missed, if one is given."""
    if path and job:
        _ask(path, "UPDATE job_timers SET last_tick_at = 0 WHERE job_id = ?", job)
    began = time.perf_counter()
    daemon.start()
    ready = time.perf_counter() - began
    try:
        if path and job:
            wait_for(lambda: _ask(path, "SELECT last_tick_at FROM job_timers WHERE job_id = ?", job), "it is taken")
        return ready, time.perf_counter() - began
    finally:
        daemon.close()


def _ask(path: Path, sql: str, job: UUID) -> int | None:
    database = sqlite3.connect(path)
    with database:
        row = database.execute(sql, (job.bytes,)).fetchone()
    database.close()
    return int(row[0]) if row else None


def next_ticks() -> None:
    """Computations of a next tick a second, none of them remembered, beside croniter's own step without a zone."""
    cases = list(_cases())
    began = time.perf_counter()
    for cron, _, after in cases:
        croniter(cron, after).get_next(datetime)
    floor = COMPUTATIONS / (time.perf_counter() - began)
    triggers = {cron: parse_trigger(f"schedule:{cron}") for cron, _, _ in cases}
    rates = []
    for _ in range(2):  # the second time they are remembered, as far as there is room
        began = time.perf_counter()
        for cron, zone, after in cases:
            next_tick(triggers[cron], timezone=zone, since=after, last_tick=None)
        rates.append(COMPUTATIONS / (time.perf_counter() - began))
    say("next ticks a second, croniter alone", f"{floor:,.0f}")
    say("next ticks a second, ours", f"{rates[0]:,.0f}")
    say("next ticks a second, ours, asked again", f"{rates[1]:,.0f}")


def _cases() -> Iterator[tuple[str, str, datetime]]:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(COMPUTATIONS):
        cron = f"{number % 60} {number // 60 % 24} * * *" if number % 3 else f"*/{number % 29 + 1} * * * *"
        yield cron, ZONES[number % len(ZONES)], began + timedelta(minutes=number * 26)
