"""Whether the daemon can do its work, and the numbers that say how much of it there is."""

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

from runtime.dispatch.soundness import Soundness
from runtime.dispatch.space import Space
from runtime.errors import DiskFullError, JobRuntimeError, StoreError, UnavailableError
from runtime.store import statistics as store
from runtime.store.database import Database
from runtime.store.statistics import EndedTotal

_CHECK_SECONDS = 1.0


@dataclass(frozen=True)
class Workload:
    """The machine's work: runs that have ended, those that have not (workspace, status, how many), lines stored."""

    ended: list[EndedTotal]
    active: list[tuple[UUID, str, int]]
    log_lines: int


class HealthService:
    """Asks the store and the disk."""

    def __init__(self, database: Database, space: Space, soundness: Soundness) -> None:
        self._database = database
        self._soundness = soundness
        self._space = space
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._failure: JobRuntimeError | None = None

    async def check(self) -> None:
        """Return if reads and writes go through, or did a moment ago: anybody may ask, and the writer has work to do.

        Raises:
            UnavailableError: they do not, or the database has been found damaged.
        """
        if self._soundness.fault is not None:
            raise UnavailableError("the database is damaged", code="not_ready") from self._soundness.fault
        async with self._checking:
            if time.monotonic() - self._checked_at > _CHECK_SECONDS:
                self._failure = await self._fault()
                self._checked_at = time.monotonic()
        if self._failure is not None:
            raise UnavailableError("the database cannot be written", code="not_ready") from self._failure

    def require_room(self, what: str) -> None:
        """Let an upload or a run begin; `what` is for the message.

        Raises:
            DiskFullError: the disk is nearly full.
        """
        self._space.require(what)

    async def _fault(self) -> JobRuntimeError | None:
        try:
            async with self._database.transaction() as connection:
                await connection.execute("UPDATE log_totals SET lines = lines")
        except (StoreError, DiskFullError) as error:
            return error
        return None

    async def workload(self) -> Workload:
        """The numbers at present."""
        async with self._database.read() as connection:
            return Workload(
                ended=await store.ended_totals(connection),
                active=await store.active_by_status(connection),
                log_lines=await store.stored_lines(connection),
            )
