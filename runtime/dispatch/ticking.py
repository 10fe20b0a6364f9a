"""Ticks of timed triggers: what is due is decided, recorded and consumed in one transaction (semantics T1-T3, W5).

Timers only say that a trigger may be due. Whether a tick has passed is worked out from the store: which tick was taken
last, since when the trigger is known, what an operator said. A tick is taken by moving the trigger's mark past it in
the transaction that creates the run, so it is dispatched exactly once whoever calls, however often, and whatever dies
in between. After a pause of any kind one run covers all that was missed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import structlog

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import PENDING_RUNS
from runtime.dispatch.starting import StartRequest, start_batch
from runtime.domain.jobs import Job
from runtime.domain.schedules import effective_triggers
from runtime.domain.ticks import elapsed_tick, next_tick
from runtime.domain.triggers import parse_trigger
from runtime.errors import ConflictError
from runtime.store import jobs as job_store
from runtime.store import schedules as store
from runtime.store.database import Connection, Database

log = structlog.get_logger()

TIMERS = "timers"
"""Announced when jobs, their triggers or their schedules have changed."""

_AT_ONCE = 200
"""Ticks decided in one transaction: many share a commit, and the writer is free again soon."""


class DueTrigger(NamedTuple):
    """A trigger that may be due."""

    job_id: UUID
    trigger: str


class LiveTimer(NamedTuple):
    """A timed trigger that somebody should watch, and when its next tick is (None: never again)."""

    job_id: UUID
    trigger: str
    next_at: datetime | None


class Ticker:
    """Takes what timers report and dispatches what is really due."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._due: dict[DueTrigger, None] = {}
        self._wake = asyncio.Event()

    def report(self, *due: DueTrigger) -> None:
        """Have these triggers looked at, soon; a trigger reported twice is looked at once."""
        self._due.update(dict.fromkeys(due))
        self._wake.set()

    async def run(self) -> None:
        """Look at what was reported, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                batch = list(self._due)[:_AT_ONCE]
                for due in batch:
                    del self._due[due]
                try:
                    await self.look(batch)
                except Exception:
                    log.exception("ticks could not be dispatched", action="tick.error", triggers=len(batch))

    async def look(self, due: Sequence[DueTrigger]) -> int:
        """Dispatch what is due of these triggers; returns how many ticks were taken."""
        async with self._database.transaction() as connection:
            taken = await self._take(connection, due)
            for workspace_id, starts in taken.items():
                try:
                    await start_batch(connection, starts, self._clock())
                except ConflictError as error:
                    # Nothing deployed, so nothing to run: the tick is spent all the same.
                    log.warning(error.message, action="tick.refused", workspace_id=str(workspace_id))
        if taken:
            self._changes.announce(PENDING_RUNS, *taken)
        return sum(len(starts) for starts in taken.values())

    async def next_ticks(self) -> list[LiveTimer]:
        """Every timed trigger of live jobs, with its next tick."""
        now = self._clock()
        async with self._database.read() as connection:
            timers = await store.live_timers(connection)
            jobs = await job_store.jobs_by_id(connection, list({timer.job_id for timer in timers}))
            schedules = await store.schedules_by_id(connection, list(jobs))
        live: list[LiveTimer] = []
        for timer in timers:
            job = jobs[timer.job_id]
            definition = job.version.definition
            if timer.trigger in effective_triggers(definition, schedules[job.id].override):
                upcoming = next_tick(
                    parse_trigger(timer.trigger),
                    timezone=definition.timezone,
                    since=timer.since,
                    last_tick=timer.last_tick_at,
                    now=now,
                )
                live.append(LiveTimer(timer.job_id, timer.trigger, upcoming))
        return live
