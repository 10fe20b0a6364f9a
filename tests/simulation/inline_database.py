"""The real store without threads and without a disk, for tests that make a hundred thousand transactions.

Every statement is the store's own and SQLite runs it; only the way there is shorter. `aiosqlite` hands each statement
to a thread, and `synchronous=FULL` waits for the disk at each commit: a simulated year would take many minutes. What
they are for, several connections at once and power cuts, is tested where it happens (`test_store_database`,
`test_store_killed`, `test_simulated_kills`).
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import aiosqlite

from runtime.store.database import Database, migrations

Parameters = Sequence[Any] | dict[str, Any]


class _Cursor:
    def __init__(self, rowcount: int) -> None:
        self.rowcount = rowcount

    async def close(self) -> None:
        """Nothing is open."""


class _InlineConnection:
    """As much of `aiosqlite.Connection` as the store uses."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    async def execute(self, sql: str, parameters: Parameters = ()) -> _Cursor:
        return _Cursor(self._raw.execute(sql, parameters).rowcount)

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> _Cursor:
        return _Cursor(self._raw.executemany(sql, parameters).rowcount)

    async def execute_fetchall(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        return self._raw.execute(sql, parameters).fetchall()

    async def commit(self) -> None:
        self._raw.commit()

    async def rollback(self) -> None:
        self._raw.rollback()


class InlineDatabase(Database):
    """A database in memory, with one connection for all; `raw` is that connection, for whoever watches."""

    def __init__(self) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None)
        self.raw.row_factory = sqlite3.Row
        self.raw.execute("PRAGMA foreign_keys = ON")
        for _, sql in migrations():
            self.raw.executescript(sql)
        inline = cast(aiosqlite.Connection, _InlineConnection(self.raw))
        super().__init__(Path(":memory:"), inline, [inline], is_checked=True)

    async def close(self) -> None:
        """Let go of everything."""
        self.raw.close()
