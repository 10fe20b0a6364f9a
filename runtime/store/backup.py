"""A copy of the database as it is at one moment, made while others write; and whether a file is such a copy."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import StoreError
from runtime.store.integrity import DamagedError

_PAGES_AT_ONCE = 1000
"""4 MiB: between two pieces others get at the disk."""


@dataclass(frozen=True)
class Copied:
    """What a copy is: the schema's number, its size."""

    schema: int
    size_bytes: int


def copy_database(source: Path, target: Path, go_on: Callable[[], None] = lambda: None) -> Copied:
    """Copy the database to a new file, and look at every page of the copy. Blocks; call it in a thread.

    A read transaction is held meanwhile, so that the copy is of one moment and writers do not make it begin anew; the
    write-ahead log grows until it ends.

    Args:
        go_on: Called between pieces; ends the copying by raising.

    Raises:
        DamagedError: the copy is not sound, so the database is not either.
        sqlite3.Error, OSError: it cannot be read or written.
    """
    target.touch(mode=0o600, exist_ok=False)
    with closing(sqlite3.connect(source, isolation_level=None)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT 1 FROM sqlite_schema").fetchone()
        with closing(sqlite3.connect(target, isolation_level=None)) as writing:
            reading.backup(writing, pages=_PAGES_AT_ONCE, progress=lambda *_: go_on())
            writing.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        reading.execute("ROLLBACK")
    return check_copy(target)


def check_copy(path: Path) -> Copied:
    """See that a file is a sound database, every page and every reference; blocks.

    Raises:
        DamagedError: it is not.
        StoreError: it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            fault = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if fault == "ok" and connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                fault = "it refers to things that are not there"
            if fault != "ok":
                raise DamagedError(f"`{path.name}` is damaged: {fault}", hint="take another backup")
            schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise DamagedError(f"`{path.name}` is no sound database: {error}", hint="take another backup") from error
    except OSError as error:
        raise StoreError(f"`{path.name}` cannot be read: {error.strerror}") from error
    return Copied(schema, path.stat().st_size)
