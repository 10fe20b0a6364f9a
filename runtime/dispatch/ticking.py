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

from runtime.dispatch.changes import PENDING_RUNS, TIMERS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import timer_tick
from runtime.dispatch.starting import start_batch, start_open_intervals
from runtime.domain.intervals import declared_interval
from runtime.domain.jobs import Job
from runtime.domain.schedules import clock_triggers
from runtime.domain.starting import StartRequest
from runtime.domain.ticks import elapsed_tick
from runtime.domain.triggers import parse_trigger
from runtime.errors import ConflictError, PassingError
from runtime.store import jobs as job_store
from runtime.store import schedules as store
from runtime.store.database import Connection, Database

log = structlog.get_logger()

_AT_ONCE = 100
"""Triggers decided on in one transaction: many share a commit, and the writer is soon free again."""
_PAUSE_SECONDS = 1.0
"""After a failure, before the same triggers are due again."""

Requests = dict[UUID, list[tuple[Job, StartRequest]]]


class Due(NamedTuple):
    """A trigger that may be due."""

    job_id: UUID
    trigger: str


class Ticker:
    """Takes what timers report and dispatches what is really due."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._reported: dict[Due, None] = {}
        self._wake = asyncio.Event()

    def report(self, *due: Due) -> None:
        """Have these triggers looked at soon; one that is reported twice meanwhile is looked at once."""
        self._reported.update(dict.fromkeys(due))
        self._wake.set()

    async def run(self) -> None:
        """Look at what was reported, for ever; then have timers set for what comes next, and for what failed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._reported:
                batch = list(self._reported)[:_AT_ONCE]
                for due in batch:
                    del self._reported[due]
                try:
                    await self.look(batch)
                except PassingError as error:
                    log.warning("ticks wait to be dispatched", action="tick.wait", error=error.message)
                    await asyncio.sleep(_PAUSE_SECONDS)
                except Exception:
                    log.exception("ticks could not be dispatched", action="tick.error", triggers=len(batch))
                    await asyncio.sleep(_PAUSE_SECONDS)
            self._changes.announce(TIMERS)

    async def look(self, due: Sequence[Due]) -> int:
        """Dispatch what is due of these triggers; returns how many ticks were taken."""
        async with self._database.transaction() as connection:
            taken = await self._take(connection, due)
            for workspace_id, requests in taken.items():
                await self._start(connection, workspace_id, requests)
        if taken:
            self._changes.announce(PENDING_RUNS, *taken)
        return sum(len(requests) for requests in taken.values())

    async def next_ticks(self) -> dict[Due, datetime]:
        """Every timed trigger of live jobs that has a tick to come, with the time to look at it."""
        async with self._database.read() as connection:
            live = await store.live_timers(connection)
        upcoming: dict[Due, datetime] = {}
        for one in live:
            if one.timer.trigger in clock_triggers(one.definition, one.override):
                tick = timer_tick(one.timer, one.definition)
                if tick is not None:
                    upcoming[Due(one.timer.job_id, one.timer.trigger)] = tick
        return upcoming

    def timers_changed(self) -> asyncio.Event:
        """The event that is set when `next_ticks` may answer otherwise."""
        return self._changes.event(TIMERS)

    async def _take(self, connection: Connection, due: Sequence[Due]) -> Requests:
        now = self._clock()
        job_ids = list({one.job_id for one in due})
        jobs = await job_store.jobs_by_id(connection, job_ids)
        timers = await store.timers_by_trigger(connection, job_ids)
        schedules = await store.schedules_by_job(connection, job_ids)
        taken: Requests = defaultdict(list)
        for one in due:
            job = jobs.get(one.job_id)
            timer = timers.get(one)
            if job is None or timer is None or job.archived_at is not None:
                continue
            schedule = schedules[job.id]
            definition = job.version.definition
            if schedule.paused_at or one.trigger not in clock_triggers(definition, schedule.override):
                continue
            tick = elapsed_tick(
                parse_trigger(one.trigger),
                timezone=definition.timezone,
                since=timer.since,
                last_tick=timer.last_tick_at,
                now=now,
            )
            if tick and await store.take_tick(connection, job.id, one.trigger, tick):
                taken[job.workspace_id].append((job, StartRequest(trigger=one.trigger, scheduled_at=tick)))
        return dict(taken)

    async def _start(
        self, connection: Connection, workspace_id: UUID, requests: Sequence[tuple[Job, StartRequest]]
    ) -> None:
        now = self._clock()
        try:
            await start_batch(connection, workspace_id, requests, now)
        except ConflictError as error:
            # Nothing to run yet; the tick is spent all the same.
            log.warning(error.message, action="tick.refused", workspace_id=str(workspace_id))
            return
        for job, request in requests:
            interval = declared_interval(job.version.definition)
            if interval is not None and interval.is_parallel:
                more = request.model_copy(update={"record_skip": False})
                await start_open_intervals(connection, job, more, now)
