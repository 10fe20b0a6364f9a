"""One SQLite file, one writer, a few readers.

WAL lets readers go on while the writer writes. Every write happens inside `transaction()`, one at a time, in an
immediate transaction, so what a use case decided on is what it finds when it commits. `synchronous=FULL`: what has
been committed survives a power cut. Schema versions are numbered SQL files applied in order at start. Pages that become
free are given back to the disk in small steps (`auto_vacuum=INCREMENTAL`), never by a `VACUUM` that all wait for.
"""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, Self

import aiosqlite

from runtime.errors import BUSY_HINT, ROOM_HINT, DiskFullError, JobRuntimeError, StoreBusyError, StoreError, is_full
from runtime.store.integrity import CHECK_SECONDS, check_log_is_there, check_pages, damaged, is_damage

Row = sqlite3.Row
_READERS = 4
_MIGRATION_NAME = re.compile(r"(\d{4})_\w+\.sql")
_FIRST_PRAGMA = "PRAGMA auto_vacuum = INCREMENTAL"  # before there is anything in the file, else it is too late
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)
_BUSY_SECONDS = 10.0
_LEAST_BUSY_SECONDS = 0.005
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,  # many want the lock at once
        sqlite3.SQLITE_IOERR,  # of which one is a user's share of the disk that is used up
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,  # too many open files
        sqlite3.SQLITE_READONLY,  # the system has taken the disk's writing away
        sqlite3.SQLITE_NOMEM,
    }
)
"""What the machine or somebody else is to blame for, by the first byte of the code; the rest, a constraint, a misuse,
damaged pages, will be the same the next time."""


class Connection:
    """A thin, typed door to one connection: SQL with named or positional parameters in, rows out."""

    def __init__(self, raw: aiosqlite.Connection) -> None:
        self._raw = raw

    async def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run one statement that writes; returns how many rows it changed."""
        # The cursor is not closed: a write leaves nothing open in it, and closing costs a second way to its thread.
        return (await self._raw.execute(sql, parameters)).rowcount

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters."""
        await self._raw.executemany(sql, parameters)

    async def one(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        """The first row, or None."""
        rows = list(await self._raw.execute_fetchall(sql, parameters))
        return rows[0] if rows else None

    async def all(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """All rows."""
        return list(await self._raw.execute_fetchall(sql, parameters))

    async def value(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = await self.one(sql, parameters)
        return row[0] if row is not None else None


class Database:
    """The open database. Make it with `Database.open`."""

    def __init__(
        self,
        path: Path,
        writer: aiosqlite.Connection,
        readers: list[aiosqlite.Connection],
        *,
        busy_seconds: float = _BUSY_SECONDS,
        is_checked: bool,
    ) -> None:
        self.path = path
        self.is_checked = is_checked
        self._writer = writer
        self._busy_seconds = self._patience = busy_seconds
        self._write_lock = asyncio.Lock()
        self._all_readers = readers
        self._idle_readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._idle_readers.put_nowait(reader)

    @classmethod
    async def open(
        cls, path: Path, *, busy_seconds: float = _BUSY_SECONDS, check_seconds: float = CHECK_SECONDS
    ) -> Self:
        """Open or create the database and bring its schema up to date.

        Args:
            busy_seconds: How long a transaction waits for another program that holds the database.
            check_seconds: How long it may be looked at for damage; `is_checked` says whether that was enough.

        Raises:
            StoreError: the file cannot be opened, or was written by a newer version of this program; DamagedError if
                it is no database, has damaged pages or has lost its write-ahead log.
            DiskFullError: there is no room to open it.
        """
        opened: list[aiosqlite.Connection] = []
        try:
            check_log_is_there(path)
            path.touch(mode=0o600)  # before SQLite makes it with whatever the umask allows
            writer = await _connect(path, busy_seconds)
            opened.append(writer)
            is_checked = await check_pages(writer, path, check_seconds)
            await _migrate(writer, path)
            opened += [await _connect(path, busy_seconds) for _ in range(_READERS)]
        except (sqlite3.Error, OSError) as error:
            await _close_all(opened)
            raise _cannot_open(path, error) from error
        except StoreError:
            await _close_all(opened)
            raise
        return cls(path, opened[0], opened[1:], busy_seconds=busy_seconds, is_checked=is_checked)

    async def close(self) -> None:
        """Finish the write under way, fold the write-ahead log into the file, close every connection."""
        async with self._write_lock:
            with suppress(sqlite3.Error):  # no room, for one: then the log stays for the next to open it
                await self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            await _close_all([*self._all_readers, self._writer])

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """The writer, alone, inside a transaction that commits at the end or rolls back on any exception.

        A caller cancelled while it commits cannot know whether it did.

        Raises:
            DiskFullError: there was no room for it.
            StoreBusyError: it did not go through just now; the same may at another time.
            StoreError: SQLite refused a statement, or the commit.
        """
        asked = time.monotonic()
        async with self._write_lock:
            with _translated("written"):
                try:
                    await self._wait_for_others(asked)
                    await self._writer.execute("BEGIN IMMEDIATE")
                    yield Connection(self._writer)
                    await asyncio.shield(self._writer.commit())
                except BaseException:
                    # Shielded: a cancelled caller must not leave the only writer inside a transaction. A statement
                    # under way ends before it, a commit that succeeded leaves it nothing to do.
                    await asyncio.shield(self._writer.rollback())
                    raise

    async def _wait_for_others(self, asked: float) -> None:
        """Let the next transaction wait for other programs for what is left of its time since it was asked for.

        Those that queue up behind a database that is held then give up after that time, not one after the other.
        """
        waited = time.monotonic() - asked
        patience = max(self._busy_seconds - waited, _LEAST_BUSY_SECONDS)
        if waited < self._busy_seconds / 10:  # most do not queue: they need no way more to the thread
            patience = self._busy_seconds
        if patience != self._patience:
            self._patience = patience  # before: it is set even for a caller who is cancelled meanwhile
            await _set_patience(self._writer, patience)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A reader, for one consistent look at the store.

        Raises:
            DiskFullError, StoreBusyError: as for `transaction`.
            StoreError: SQLite refused a statement.
        """
        reader = await self._idle_readers.get()
        try:
            with _translated("read"):
                await reader.execute("BEGIN")
                yield Connection(reader)
        finally:
            try:
                await asyncio.shield(reader.rollback())
            finally:  # even if cancelled meanwhile: the next one's BEGIN queues up behind the rollback
                self._idle_readers.put_nowait(reader)


def migrations() -> list[tuple[int, str]]:
    """The numbered schema steps, ascending: (version, SQL)."""
    folder = resources.files("runtime.store") / "migrations"
    found = [(match, entry) for entry in folder.iterdir() if (match := _MIGRATION_NAME.fullmatch(entry.name))]
    return sorted((int(match[1]), entry.read_text(encoding="utf-8")) for match, entry in found)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if _is_full(error):
            raise DiskFullError(f"the database could not be {what}: {error}", hint=ROOM_HINT) from error
        if _is_passing(error):
            raise StoreBusyError(f"the database could not be {what} just now: {error}", hint=BUSY_HINT) from error
        raise StoreError(f"the database could not be {what}: {error}") from error


def _is_full(error: Exception) -> bool:
    """Whether SQLite lacks room: for a page, or for its index of the log, which it reports in another way."""
    if isinstance(error, OSError):
        return is_full(error)
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def _is_passing(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _PASSING


def _cannot_open(path: Path, error: Exception) -> JobRuntimeError:
    if _is_full(error):
        return DiskFullError(f"no room to open the database `{path}`: {error}", hint=ROOM_HINT)
    if is_damage(error):
        return damaged(path, str(error))
    return StoreError(f"cannot open the database `{path}`: {error}", hint="check its owner and disk")


async def _connect(path: Path, busy_seconds: float) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        for pragma in (_FIRST_PRAGMA, *_PRAGMAS) if path.stat().st_size == 0 else _PRAGMAS:
            await connection.execute(pragma)
        await _set_patience(connection, busy_seconds)
    except BaseException:
        await connection.close()  # its thread would outlive everything
        raise
    return connection


async def _set_patience(connection: aiosqlite.Connection, seconds: float) -> None:
    await connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


async def _migrate(writer: aiosqlite.Connection, path: Path) -> None:
    row = next(iter(await writer.execute_fetchall("PRAGMA user_version")))
    present, steps = int(row[0]), migrations()
    newest = steps[-1][0]
    if present > newest:
        raise StoreError(
            f"`{path}` has schema {present}, this program knows schemas up to {newest}",
            code="schema_too_new",
            hint="run the newer version again, or restore a backup made by this one",
        )
    for version, sql in steps:
        if version > present:
            # One script, one transaction: a step is applied whole or not at all.
            await writer.executescript(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {version};\nCOMMIT;")


async def _close_all(connections: Iterable[aiosqlite.Connection]) -> None:
    for connection in connections:
        await connection.close()
