"""Storing the log lines of all runs in as few transactions as their pace allows.

Every commit waits for the disk. Lines that arrive while one transaction is under way are stored together by the next,
so a hundred talkative runs cost no more commits than one, and a quiet run's line is stored at once.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.domain.logs import LogPhase
from runtime.domain.masking import NO_SECRETS, Masker
from runtime.errors import PassingError
from runtime.store.database import Database
from runtime.store.logs import append_lines

log = structlog.get_logger()

_AGAIN_SECONDS = 1.0
"""Until lines that could not be stored are tried again."""


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
        self._newest: asyncio.Future[None] | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._maskers: dict[UUID, Masker] = {}
        self._is_closing = False

    @contextmanager
    def masking(self, run_id: UUID, masker: Masker) -> Iterator[None]:
        """Mask the run's lines for as long as this is open."""
        self._maskers[run_id] = masker
        try:
            yield
        finally:
            del self._maskers[run_id]

    def masker_of(self, run_id: UUID) -> Masker:
        """What masks the run's lines at present."""
        return self._maskers.get(run_id, NO_SECRETS)

    def append(
        self, run_id: UUID, phase: LogPhase, lines: Sequence[str], *, read_bytes: int = 0
    ) -> asyncio.Future[None]:
        """Take lines of a live run; the future is done once they are stored, and they are even if it is cancelled.

        Lines of the phase `setup` are masked here. Those of `program` have been: where they are cut out of a stream,
        since one by one would be too late.

        Args:
            read_bytes: How many bytes of the run's log file these lines stand for.
        """
        if phase == "setup":
            masker = self.masker_of(run_id)
            lines = [masker.mask_text(line) for line in lines]
        batch = _Batch(run_id, phase, lines, read_bytes)
        self._waiting.append(batch)
        self._newest = batch.stored
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._store_all())
        return asyncio.shield(batch.stored)

    async def close(self) -> None:
        """Store what has been taken; what cannot be stored now, the next daemon reads it from the jobs' files."""
        self._is_closing = True
        await self.flush()

    async def flush(self) -> None:
        """Return when everything taken so far is stored, or could not be; what comes meanwhile is not waited for."""
        if self._newest is not None:
            await asyncio.wait([self._newest])

    async def _store_all(self) -> None:
        try:
            while self._waiting:
                batches, self._waiting = self._waiting, []
                await self._store(batches)
        finally:
            self._flushing = None

    async def _store(self, batches: list[_Batch]) -> None:
        try:
            await self._store_when_it_can_be(batches)
        except PassingError as error:  # the same for all of them
            _tell(batches, error)
        except Exception as error:
            if len(batches) == 1:
                _tell(batches, error)
                return
            # One run's trouble, its end for instance, is not the others': each is stored by itself.
            for batch in batches:
                await self._store([batch])

    async def _store_when_it_can_be(self, batches: list[_Batch]) -> None:
        """A full disk or a database that others hold is waited out: a job's output stays in its file meanwhile, our
        own lines in memory."""
        while True:
            try:
                return await self._store_together(batches)
            except PassingError as error:
                if self._is_closing:
                    raise
                log.warning("log lines wait to be stored", action="log.wait", error=error.message)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _store_together(self, batches: list[_Batch]) -> None:
        now = self._clock()
        async with self._database.transaction() as connection:
            for batch in batches:
                await append_lines(connection, batch.run_id, batch.phase, now, batch.lines, read_bytes=batch.read_bytes)
        _tell(batches, None)
        self._changes.announce(*{batch.run_id for batch in batches})


def _tell(batches: list[_Batch], error: Exception | None) -> None:
    for batch in batches:
        if error is None:
            batch.stored.set_result(None)
        else:
            batch.stored.set_exception(error)
