"""The database as a file: schema, transactions, snapshots, cancellation, refusals."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.errors import StoreError
from runtime.store import database as module
from runtime.store import workspaces
from runtime.store.database import Connection, Database, migrations
from tests.factories import make_job, make_workspace
from tests.stored import store_world

PATIENCE_SECONDS = 20
READERS = 4


async def names(connection: Connection) -> list[str]:
    return [workspace.name for workspace in await workspaces.all_workspaces(connection)]


async def stored_names(database: Database) -> list[str]:
    async with database.read() as connection:
        return await names(connection)


async def store_name(database: Database, name: str) -> None:
    async with database.transaction() as connection:
        await workspaces.add_workspace(connection, make_workspace(name))


async def assert_usable(database: Database) -> None:
    """The writer is free, and so is every reader, at once."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await store_name(database, "usable")
        all_in = asyncio.Barrier(READERS)

        async def read() -> None:
            async with database.read() as connection:
                await names(connection)
                await all_in.wait()

        await asyncio.gather(*(read() for _ in range(READERS)))


@asynccontextmanager
async def reopened(path: Path) -> AsyncIterator[Database]:
    database = await Database.open(path)
    try:
        yield database
    finally:
        await database.close()


def ask(path: Path, sql: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


async def test_an_empty_file_gets_the_newest_schema(tmp_path: Path) -> None:
    """Store: migrations from the first day; write-ahead log; nobody else may read it."""
    path = tmp_path / "runtime.db"
    async with reopened(path) as database:
        await store_name(database, "a")
        for name in ("runtime.db", "runtime.db-wal", "runtime.db-shm"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert ask(path, "PRAGMA user_version") == migrations()[-1][0]
    assert ask(path, "PRAGMA journal_mode") == "wal"
    assert ask(path, "PRAGMA integrity_check") == "ok"


async def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    """Store: closing folds the log into the one file, which can then be copied as it is."""
    path, copy = tmp_path / "runtime.db", tmp_path / "copy.db"
    async with reopened(path) as database:
        await store_name(database, "a")
    assert [entry.name for entry in tmp_path.iterdir()] == ["runtime.db"]
    copy.write_bytes(path.read_bytes())
    async with reopened(copy) as database:
        assert await stored_names(database) == ["a"]


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Store: an older program never touches what a newer one wrote."""
    path = tmp_path / "runtime.db"
    async with reopened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="schema 999") as caught:
        await Database.open(path)
    assert caught.value.code == "schema_too_new"
    assert caught.value.hint
    assert path.read_bytes() == before


async def test_a_schema_step_is_applied_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store: a step that fails leaves the schema of before, and the program that has it can go on."""
    path = tmp_path / "runtime.db"
    broken = [*migrations(), (99, "CREATE TABLE fresh (a INTEGER) STRICT; CREATE TABLE users (a INTEGER);")]
    with monkeypatch.context() as patched:
        patched.setattr(module, "migrations", lambda: broken)
        with pytest.raises(StoreError, match="users"):
            await Database.open(path)
    assert ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'fresh'") == 0
    async with reopened(path) as database:
        await store_name(database, "a")


@pytest.mark.parametrize("content", [b"no database, but long enough to be looked at as one\n" * 100, None])
async def test_what_is_no_database_is_refused_in_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    """Store: and leaves no thread behind, which would keep the process from ending."""
    path = tmp_path / "runtime.db"
    path.mkdir() if content is None else path.write_bytes(content)
    before = set(threading.enumerate())
    with pytest.raises(StoreError, match=r"the database .* is damaged|cannot open the database") as caught:
        await Database.open(path)
    assert caught.value.hint
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    """Store: every state change of a run is one transaction."""

    async def fail() -> None:
        async with database.transaction() as connection:
            await workspaces.add_workspace(connection, make_workspace("a"))
            assert await names(connection) == ["a"]
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await stored_names(database) == []
    await assert_usable(database)


async def test_a_commit_that_sqlite_refuses_leaves_the_writer_free(database: Database) -> None:
    """Store: references that are checked only at the commit can fail there."""
    world = await store_world(database)
    job = make_job(workspace_id=world.workspace.id, created_by=world.user.id)

    async def commit_a_job_without_a_version() -> None:
        async with database.transaction() as connection:
            await connection.execute(
                "INSERT INTO jobs (id, workspace_id, job_ref, version_id, created_by, created_at, updated_at)"
                " VALUES (?, ?, 'jobs.a', ?, ?, 0, 0)",
                (job.id.bytes, world.workspace.id.bytes, uuid4().bytes, world.user.id.bytes),
            )

    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await commit_a_job_without_a_version()
    await assert_usable(database)


async def test_sqlites_errors_come_out_as_the_stores_own(database: Database) -> None:
    """Errors: foreign exceptions are translated at the room's door."""
    with pytest.raises(StoreError, match="nonsense"):
        async with database.transaction() as connection:
            await connection.execute("nonsense")
    with pytest.raises(StoreError, match="nowhere"):
        async with database.read() as connection:
            await connection.all("SELECT * FROM nowhere")
    await assert_usable(database)


async def test_writers_take_turns(database: Database) -> None:
    """Store: what a use case read inside its transaction still holds when it commits."""

    async def add_next() -> None:
        async with database.transaction() as connection:
            present = await names(connection)
            await asyncio.sleep(0)
            await workspaces.add_workspace(connection, make_workspace(str(len(present))))

    await asyncio.gather(*(add_next() for _ in range(30)))
    assert sorted(map(int, await stored_names(database))) == list(range(30))


async def test_a_reader_sees_one_moment_while_the_writer_goes_on(database: Database) -> None:
    """Store: readers see a consistent snapshot, and neither waits for the other."""
    async with asyncio.timeout(PATIENCE_SECONDS), database.read() as reader:
        assert await names(reader) == []
        async with database.transaction() as writer:
            await workspaces.add_workspace(writer, make_workspace("a"))
            assert await stored_names(database) == []
        assert await names(reader) == []
        assert await stored_names(database) == ["a"]


async def test_a_reader_cannot_keep_others_from_reading_what_is_new(database: Database) -> None:
    """Store: a reader given back forgets its snapshot."""
    for number in range(3 * READERS):
        await store_name(database, str(number))
        assert len(await stored_names(database)) == number + 1


async def test_more_readers_than_there_are_wait_for_their_turn(database: Database) -> None:
    """Store: a burst of requests is served, not refused."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        results = await asyncio.gather(*(stored_names(database) for _ in range(10 * READERS)))
    assert results == [[]] * 10 * READERS


async def test_cancelled_while_it_waits_for_the_lock_of_the_file(database: Database) -> None:
    """Store: a request that goes away just when its transaction begins must not leave the writer inside one."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store_name(database, "late"))
        await asyncio.sleep(0)  # it runs to its first wait: for the file, in SQLite's thread
        waiting.cancel()
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        await asyncio.wait([waiting], timeout=PATIENCE_SECONDS)
        assert waiting.cancelled()
    assert await stored_names(database) == []
    await assert_usable(database)


async def cancel_at_every_step(work: Callable[[], Awaitable[None]], steps: int, times: int) -> None:
    """Run `work` again and again, cancelled `times` times, one turn of the loop later each time."""
    for step in range(steps):
        task = asyncio.ensure_future(work())
        for _ in range(step):
            await asyncio.sleep(0)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        assert task.done()


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_transaction_cancelled_anywhere_happens_wholly_or_not_at_all(database: Database, times: int) -> None:
    """Store: cancellation, even repeated, leaves no half change and no stuck writer."""

    async def add_pair() -> None:
        async with database.transaction() as connection:
            pair = str(uuid4())
            await workspaces.add_workspace(connection, make_workspace(pair))
            await asyncio.sleep(0)
            await workspaces.add_workspace(connection, make_workspace(pair))

    await cancel_at_every_step(add_pair, 60, times)
    present = await stored_names(database)
    assert all(present.count(name) == 2 for name in present)
    await assert_usable(database)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_reader_cancelled_anywhere_is_given_back(database: Database, times: int) -> None:
    """Store: a client that goes away costs no reader, whenever it goes."""

    async def look() -> None:
        async with database.read() as connection:
            await names(connection)

    await cancel_at_every_step(look, 60, times)
    await assert_usable(database)


async def test_closing_waits_for_the_write_under_way(tmp_path: Path) -> None:
    """Store: SIGTERM closes the store cleanly."""
    path = tmp_path / "runtime.db"
    database = await Database.open(path)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with database.transaction() as connection:
            begun.set()
            await go_on.wait()
            await workspaces.add_workspace(connection, make_workspace("a"))

    writing = asyncio.create_task(write())
    await begun.wait()
    closing_task = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    assert not closing_task.done()
    go_on.set()
    await asyncio.gather(writing, closing_task)
    async with reopened(path) as again:
        assert await stored_names(again) == ["a"]
