"""Storing the log lines of all runs in as few transactions as their pace allows.

Every commit waits for the disk. Lines that arrive while one transaction is under way are stored together by the next,
so a hundred talkative runs cost no more commits than one, and a quiet run's line is stored at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.domain.logs import LogPhase
from runtime.store.database import Database
from runtime.store.logs import append_lines


@dataclass
class _Batch:
    run_id: UUID
    phase: LogPhase
    lines: Sequence[str]
    read_bytes: int
    stored: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class LogWriter:
    """Appends lines in the order it is given them and wakes whoever follows the run."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._waiting: list[_Batch] = []
        self._flushing: asyncio.Task[None] | None = None

    def append(
        self, run_id: UUID, phase: LogPhase, lines: Sequence[str], *, read_bytes: int = 0
    ) -> asyncio.Future[None]:
        """Take lines of a live run; the future is done once they are stored.

        Args:
            read_bytes: How many bytes of the run's log file these lines stand for.
        """
        batch = _Batch(run_id, phase, lines, read_bytes)
        self._waiting.append(batch)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._store_all())
        return batch.stored

    async def flush(self) -> None:
        """Return when everything taken so far is stored."""
        if self._flushing is not None:
            await asyncio.shield(self._flushing)

    async def _store_all(self) -> None:
        try:
            while self._waiting:
                batches, self._waiting = self._waiting, []
                await self._store(batches)
        finally:
            self._flushing = None

    async def _store(self, batches: list[_Batch]) -> None:
        try:
            await self._store_together(batches)
        except Exception as error:
            if len(batches) == 1:
                _tell(batches, error)
                return
            # One run's trouble, its end for instance, is not the others': each is stored by itself.
            for batch in batches:
                await self._store([batch])

    async def _store_together(self, batches: list[_Batch]) -> None:
        now = self._clock()
        async with self._database.transaction() as connection:
            for batch in batches:
                await append_lines(connection, batch.run_id, batch.phase, now, batch.lines, read_bytes=batch.read_bytes)
        _tell(batches, None)
        self._changes.announce(*{batch.run_id for batch in batches})


def _tell(batches: list[_Batch], error: Exception | None) -> None:
    for batch in batches:
        if batch.stored.done():
            continue  # whoever waited has been cancelled
        if error is None:
            batch.stored.set_result(None)
        else:
            batch.stored.set_exception(error)
