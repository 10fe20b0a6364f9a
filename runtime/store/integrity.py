"""Whether a database file is what was last written: looked at when it is opened, before anything relies on it.

A damaged page is found by SQLite's own check, for as long as a start may take; what that does not come to is looked at
beside everything else. A write-ahead log that somebody has
removed is not: the file is sound without it, only older. But its index, which lies beside it until the database is
closed, says how much was written to the log, and how much of that has been folded into the file since.
"""

import asyncio
import math
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosqlite

from runtime.errors import StoreError

CHECK_SECONDS = 5.0
"""Enough for some gigabytes; a larger file is checked in part, and the rest while the daemon serves."""
_INTERRUPT_SECONDS = 0.1
_STEPS_BETWEEN_LOOKS = 10_000
# https://www.sqlite.org/walformat.html#the_wal_index_file_format: numbers of the machine's own byte order.
_INDEX_HEADER_BYTES, _WRITTEN_AT, _FOLDED_AT = 136, 16, 96


class DamagedError(StoreError):
    """The database is not whole; what is in it cannot be relied on."""

    code = "database_damaged"


async def check_pages(connection: aiosqlite.Connection, path: Path, seconds: float = CHECK_SECONDS) -> bool:
    """Look for damaged pages, for at most so long; returns whether all have been looked at.

    Raises:
        DamagedError: there is one; the message is SQLite's.
    """
    until, is_over = time.monotonic() + seconds, False
    await connection.set_progress_handler(lambda: is_over or time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
    looking = asyncio.ensure_future(connection.execute_fetchall("PRAGMA quick_check(1)"))
    try:
        # While it goes through the trees of pages SQLite asks no handler, before 3.42; to an interrupt it listens.
        await asyncio.wait({looking}, timeout=None if math.isinf(seconds) else seconds)
        is_over = not looking.done()
        await _interrupt(connection, looking)
        rows = await looking
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return False
    except asyncio.CancelledError:
        is_over = True
        await _interrupt(connection, looking)
        with suppress(sqlite3.Error):
            await looking
        raise
    finally:
        await connection.set_progress_handler(None, 0)  # type: ignore[arg-type] # None takes it away
    if is_over:
        return False  # pages it did not come to look to it as if nothing led there
    fault = next(iter(rows))[0]
    if fault != "ok":
        raise damaged(path, str(fault).replace("\n", ": "))
    return True


async def _interrupt(connection: aiosqlite.Connection, looking: asyncio.Future[Any]) -> None:
    """End a look; repeated until it has ended, since an interrupt before SQLite has begun is lost."""
    while not looking.done():
        await connection.interrupt()
        await asyncio.wait({looking}, timeout=_INTERRUPT_SECONDS)


async def check_all_pages(path: Path) -> None:
    """Look for damaged pages however long it takes, by a reader that neither readers nor the writer wait for.

    The write-ahead log grows until it ends.

    Raises:
        DamagedError: there is one.
        StoreError: the database cannot be read.
    """
    try:
        async with aiosqlite.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
            await check_pages(connection, path, math.inf)
    except sqlite3.Error as error:
        if is_damage(error):
            raise damaged(path, str(error)) from error
        raise StoreError(f"the database could not be checked: {error}") from error


def is_damage(error: Exception) -> bool:
    """Whether SQLite stumbled over what is no sound database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def damaged(path: Path, why: str) -> DamagedError:
    """The error for a file that is no sound database."""
    return DamagedError(
        f"the database `{path}` is damaged: {why}",
        hint=f"put a backup in its place with `{restore_command(path)}`, which keeps this one; "
        f"without a backup, `sqlite3 {path} .recover` saves what can be read",
    )


def restore_command(path: Path) -> str:
    """What puts a backup in the place of a database: the command line knows no daemon's state directory by itself."""
    return f"dlt-runtime restore FILE --state-dir {path.absolute().parent}"


def check_log_is_there(path: Path) -> None:
    """See that a database which was not closed has not lost its write-ahead log, and what is in that alone.

    Raises:
        DamagedError: it has.
    """
    log, index = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    if log.exists():
        return
    try:
        header = index.read_bytes()[:_INDEX_HEADER_BYTES]
    except FileNotFoundError:
        return
    written, folded = (int.from_bytes(header[at : at + 4], sys.byteorder) for at in (_WRITTEN_AT, _FOLDED_AT))
    if written > folded:
        raise DamagedError(
            f"`{log}` is missing: the database was not closed, and what was written last is in that file",
            hint=f"put the file back, or restore a backup with `{restore_command(path)}`; "
            f"to go on without what was lost, remove `{index}`",
        )
