"""A database that somebody else holds, or that the machine refuses for a moment: nothing of ours is at fault."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.ticking import Due
from runtime.domain.runs import Run
from runtime.errors import DiskFullError, PassingError, StoreBusyError, StoreError
from runtime.runner.launch import LiveProcess
from runtime.scheduler import Scheduler
from runtime.store import runs as store
from runtime.store.database import Connection, Database
from runtime.store.logs import read_page
from tests.house import build_house
from tests.stage import SECONDS, Stage, launch_and_release

BUSY_SECONDS = 0.05


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Database]:
    """A database whose transactions wait for others for a moment only."""
    opened = await Database.open(tmp_path / "runtime.db", busy_seconds=BUSY_SECONDS)
    yield opened
    await opened.close()


@contextmanager
def held(database: Database) -> Iterator[None]:
    """Another program writes to it while this is open."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_write_that_another_program_keeps_waiting_may_be_tried_again(impatient: Database) -> None:
    with held(impatient):
        with pytest.raises(StoreBusyError, match="just now: database is locked") as caught:
            async with impatient.transaction():
                pass
        assert caught.value.hint
        async with impatient.read() as connection:
            assert await connection.value("PRAGMA user_version") > 0
    async with impatient.transaction() as connection:
        await connection.execute("UPDATE log_totals SET lines = lines")


async def test_writes_that_queue_up_behind_a_held_database_give_up_together(impatient: Database) -> None:
    """A request is answered after the time that one write waits, however many wait with it."""
    many = 100

    async def write() -> None:
        async with impatient.transaction():
            pass

    with held(impatient):
        async with asyncio.timeout(BUSY_SECONDS * many / 2):
            failures = await asyncio.gather(*(write() for _ in range(many)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [StoreBusyError] * many
    await write()


@pytest.mark.parametrize(
    ("code", "family"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusyError),
        (sqlite3.SQLITE_BUSY | 2 << 8, StoreBusyError),
        (sqlite3.SQLITE_LOCKED, StoreBusyError),
        (sqlite3.SQLITE_IOERR_WRITE, StoreBusyError),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreBusyError),
        (sqlite3.SQLITE_READONLY, StoreBusyError),
        (sqlite3.SQLITE_FULL, DiskFullError),
        (sqlite3.SQLITE_IOERR_SHMSIZE, DiskFullError),
    ],
)
async def test_what_the_machine_refuses_passes(impatient: Database, code: int, family: type[PassingError]) -> None:
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    with pytest.raises(family):
        async with impatient.transaction():
            raise error


@pytest.mark.parametrize(
    "code",
    [sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR],
)
async def test_what_is_wrong_by_itself_does_not_pass(impatient: Database, code: int) -> None:
    error = sqlite3.DatabaseError("no")
    error.sqlite_errorcode = code
    with pytest.raises(StoreError) as caught:
        async with impatient.transaction():
            raise error
    assert not isinstance(caught.value, PassingError)


@pytest.fixture
async def held_stage(impatient: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    """Jobs that can run over the impatient database."""
    house = await build_house(impatient, tmp_path)
    await house.ready()
    stage = Stage(house)
    async with stage.tail:
        yield stage


async def several(tries: "asyncio.Queue[None]") -> None:
    """Return once some more transactions have been tried."""
    async with asyncio.timeout(SECONDS):
        for _ in range(4):
            await tries.get()


async def program_lines(stage: Stage, run: Run) -> list[str]:
    """What the job printed, as it is stored."""
    async with stage.house.database.read() as connection:
        return [line.content for line in await read_page(connection, run.id, 0, 1_000_000) if line.phase == "program"]


async def test_a_printing_job_outlives_a_database_that_somebody_holds(
    held_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics S5: and all its lines are stored, once and in order."""
    monkeypatch.setattr("runtime.dispatch.log_writer._AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("runtime.dispatch.executor._ROOM_SECONDS", 0.01)
    stage, tries = held_stage, asyncio.Queue[None]()
    transaction = Database.transaction

    def counting(database: Database):  # type: ignore[no-untyped-def]
        tries.put_nowait(None)
        return transaction(database)

    executor = stage.executor()
    await executor.start()
    try:
        run = await launch_and_release(stage)
        log_file = stage.live_dir / f"{run.id}.log"
        log_file.write_text("before\n")
        with held(stage.house.database):
            monkeypatch.setattr(Database, "transaction", counting)
            with log_file.open("a") as output:
                output.writelines(f"line {number}\n" for number in range(100))
            await several(tries)
            stage.runner.processes[run.id].exit_code.set_result(0)
            await several(tries)
        done = await stage.until_final(run)
    finally:
        await executor.close()
    assert (done.status, done.reason) == ("completed", None)
    assert await program_lines(stage, run) == ["before", *(f"line {number}" for number in range(100))]
    assert [process.signals for process in stage.runner.processes.values()] == [[]]


async def test_a_run_past_its_time_is_stopped_while_somebody_holds_the_database(
    held_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics S2, S5: its time is up whether that can be written down or not, and its lines are stored once."""
    monkeypatch.setattr("runtime.dispatch.log_writer._AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("runtime.dispatch.patience._AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("runtime.dispatch.executor._ROOM_SECONDS", 0.01)
    monkeypatch.setattr("runtime.dispatch.patience._MOMENT_SECONDS", 0.1)
    stage, stopped = held_stage, asyncio.Event()
    terminate = stage.runner.terminate

    def tell(live: LiveProcess) -> bool:
        stopped.set()
        return bool(terminate(live))

    stage.runner.terminate = tell
    executor = stage.executor()
    await executor.start()
    try:
        run = await launch_and_release(stage, execute={"timeout": {"timeout": 0.3}})
        with held(stage.house.database):
            (stage.live_dir / f"{run.id}.log").write_text("first\nsecond\n")
            async with asyncio.timeout(SECONDS):
                await stopped.wait()
            assert stage.runner.processes[run.id].signals == ["TERM"]
        done = await stage.until_final(run)
    finally:
        await executor.close()
    assert (done.status, done.reason) == ("failed", "timeout: the job ran past its limit of 0.3 s")
    assert await program_lines(stage, run) == ["first", "second"]


async def test_lines_whose_reader_begins_anew_are_stored_once(
    held_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics S5: what is on its way to the store when a watch is torn down gets there, and is not read again."""
    monkeypatch.setattr("runtime.dispatch.log_writer._AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("runtime.dispatch.executor._ROOM_SECONDS", 0.01)
    stage, wait, has_broken_off, again = held_stage, held_stage.runner.wait, False, asyncio.Event()

    async def break_off_once(live: LiveProcess) -> int | None:
        nonlocal has_broken_off
        if not has_broken_off:
            has_broken_off = True
            await asyncio.sleep(0.3)
            raise StoreBusyError("not now")
        again.set()
        return await wait(live)  # type: ignore[no-any-return]

    stage.runner.wait = break_off_once
    executor = stage.executor()
    await executor.start()
    try:
        run = await launch_and_release(stage)
        with held(stage.house.database):
            (stage.live_dir / f"{run.id}.log").write_text("first\nsecond\n")
            async with asyncio.timeout(SECONDS):
                await again.wait()
        stage.runner.processes[run.id].exit_code.set_result(0)
        done = await stage.until_final(run)
    finally:
        await executor.close()
    assert done.status == "completed"
    assert await program_lines(stage, run) == ["first", "second"]


async def test_a_writer_that_closes_while_somebody_holds_the_database_tries_each_batch_once(
    impatient: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that is to stop has not the time to wait for the database for every run by itself."""
    house = await build_house(impatient, tmp_path)
    await house.ready()
    writer = LogWriter(impatient, house.changes, house.clock)
    run = await house.launch()
    tries, transaction = 0, Database.transaction

    def counting(database: Database):  # type: ignore[no-untyped-def]
        nonlocal tries
        tries += 1
        return transaction(database)

    monkeypatch.setattr(Database, "transaction", counting)
    with held(impatient):
        lines = [writer.append(run.id, "setup", [f"line {number}"]) for number in range(20)]
        await writer.close()
    results = await asyncio.gather(*lines, return_exceptions=True)
    assert all(isinstance(result, StoreBusyError) for result in results)
    assert tries == 1


async def test_timers_are_set_once_the_store_can_be_read_again(
    held_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics T1: one look that fails is not the end of all schedules."""
    monkeypatch.setattr("runtime.scheduler._AGAIN_SECONDS", 0.01)
    ticker, looks, compared = held_stage.house.ticker, 0, asyncio.Event()
    next_ticks = ticker.next_ticks

    async def refuse_at_first() -> dict[Due, datetime]:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise StoreBusyError("the database could not be read just now: disk I/O error")
        compared.set()
        return await next_ticks()

    monkeypatch.setattr(ticker, "next_ticks", refuse_at_first)
    scheduler = Scheduler(ticker)
    await scheduler.start()
    try:
        async with asyncio.timeout(SECONDS):
            await compared.wait()
    finally:
        await scheduler.close()


async def test_a_run_that_cannot_be_recorded_as_begun_is_begun_later(
    held_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics S1: a database that somebody holds is no reason for a run to fail."""
    monkeypatch.setattr("runtime.dispatch.executor._ROOM_SECONDS", 0.01)
    stage, refused = held_stage, 0
    save_process = store.save_process

    async def refuse(connection: Connection, *values: object, **fields: object) -> None:
        nonlocal refused
        if refused < 2:
            refused += 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
            raise error
        await save_process(connection, *values, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "save_process", refuse)
    executor = stage.executor()
    await executor.start()
    try:
        done = await stage.until_final(await stage.house.launch())
    finally:
        await executor.close()
    assert (done.status, refused, len(stage.runner.discarded)) == ("completed", 2, 2)
