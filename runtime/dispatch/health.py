"""Whether the daemon can do its work, and the numbers that say how much of it there is."""

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

from runtime.errors import StoreError, UnavailableError
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
    """Asks the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._failure: StoreError | None = None

    async def check(self) -> None:
        """Return if reads and writes go through, or did a moment ago: anybody may ask, and the writer has work to do.

        Raises:
            UnavailableError: they do not.
        """
        async with self._checking:
            if time.monotonic() - self._checked_at > _CHECK_SECONDS:
                self._failure = await self._fault()
                self._checked_at = time.monotonic()
        if self._failure is not None:
            raise UnavailableError("the database cannot be written", code="not_ready") from self._failure

    async def _fault(self) -> StoreError | None:
        try:
            async with self._database.transaction() as connection:
                await connection.execute("UPDATE log_totals SET lines = lines")
        except StoreError as error:
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
