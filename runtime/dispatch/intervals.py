"""What has been done of a job's interval, and doing parts of it again (semantics W2, W3)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.dispatch.changes import PENDING_RUNS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import find_job, find_startable
from runtime.dispatch.starting import start_job, start_open_intervals
from runtime.domain.identities import Principal
from runtime.domain.interval_store import IntervalSpan, interval_spans
from runtime.domain.intervals import JobInterval, NoWindow, Window, declared_interval, snapped_range
from runtime.domain.jobs import Job
from runtime.domain.ranges import Range, subtract
from runtime.domain.runs import Run
from runtime.domain.starting import StartRequest
from runtime.domain.wording import moment
from runtime.errors import ConflictError, InvalidError
from runtime.store import audit, runs, schedules
from runtime.store.database import Connection, Database


@dataclass(frozen=True)
class IntervalsView:
    """The part of a job's interval that has passed, divided by what has become of it.

    `is_discrete`: it is done tick by tick, so a part of it can be done again alone (semantics W3).
    """

    job: Job
    interval: JobInterval
    spans: tuple[IntervalSpan, ...]


@dataclass(frozen=True)
class Backfilled:
    """What was re-opened, and the runs that began at once; others follow as those succeed."""

    job: Job
    window: Window
    runs: tuple[Run, ...]


class IntervalService:
    """Shows and re-opens the intervals of jobs."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def spans(self, workspace_id: UUID, id_or_ref: str) -> IntervalsView:
        """What is done, running, failed and missing, in order.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it declares no `interval`.
        """
        async with self._database.read() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            schedule = await schedules.find_schedule(connection, job.id)
            interval = _interval_of(job, schedule.override)
            active = await runs.active_runs(connection, job.id)
            spans = interval_spans(
                interval,
                await _completed(connection, job, interval),
                [(run.interval_start, run.interval_end) for run in active if run.interval_start and run.interval_end],
                await runs.failed_windows(connection, job.id, since_triggered=False),
                self._clock(),
            )
        return IntervalsView(job, interval, tuple(spans))

    async def backfill(
        self,
        principal: Principal,
        workspace_id: UUID,
        id_or_ref: str,
        start: datetime,
        end: datetime | None = None,
        parallel: int | None = None,
    ) -> Backfilled:
        """Do a part of a job's interval again.

        Of a job that works tick by tick, all whole ticks that the range touches are open again. The windows of others
        are continuous, so their pointer goes back to the tick of `start` and one run covers all from there.

        Args:
            end: None means all that has passed since `start`.
            parallel: How many ticks may be in work at a time; None leaves that to the job.

        Raises:
            InvalidError: the range holds nothing that has passed of the interval.
            ConflictError: the job has no interval, is archived or busy, or a gate keeps it from running; nothing has
                changed then.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            job = await find_startable(connection, workspace_id, id_or_ref)
            schedule = await schedules.find_schedule(connection, job.id)
            interval = _interval_of(job, schedule.override)
            if end is not None and end <= start:
                raise InvalidError("the range ends before it starts", code="backfill_range")
            window = snapped_range(interval, start, end or now, now)
            if isinstance(window, NoWindow):
                raise InvalidError(window.reason, code="backfill_range")
            if interval.is_discrete:
                await _reopen(connection, job, window, parallel)
            else:
                window = await _move_pointer(connection, job, interval, window, end, parallel, now)
            started = await _start(connection, principal, job, is_discrete=interval.is_discrete, now=now)
            await audit.record(
                connection,
                at=now,
                user_id=principal.user.id,
                workspace_id=workspace_id,
                action="job.backfill",
                subject=job.job_ref,
                detail={"from": window[0], "to": window[1], "parallel": parallel},
            )
        self._changes.announce(workspace_id, PENDING_RUNS)
        return Backfilled(job, window, tuple(started))


async def _reopen(connection: Connection, job: Job, window: Window, parallel: int | None) -> None:
    concurrency = job.version.definition.concurrency
    if parallel is not None and concurrency is not None and parallel > concurrency:
        raise ConflictError(
            f"`{job.job_ref}` may run {concurrency} at a time, so {parallel} intervals cannot be in work together",
            code="backfill_parallel",
            hint="`execute.concurrency` in the job's code says how many may",
        )
    completed = await schedules.completed_intervals(connection, job.id)
    await schedules.save_completed_intervals(connection, job.id, subtract(completed, [window]))
    if parallel is not None:
        schedule = await schedules.find_schedule(connection, job.id)
        await schedules.save_schedule(connection, job.id, schedule.model_copy(update={"at_once": parallel}))


async def _move_pointer(
    connection: Connection,
    job: Job,
    interval: JobInterval,
    window: Window,
    end: datetime | None,
    parallel: int | None,
    now: datetime,
) -> Window:
    """Put the pointer back to the start of a window; returns what the next run covers."""
    pointer, until = window[0], interval.elapsed(now)[1]
    if parallel is not None and parallel > 1:
        raise ConflictError(
            f"the windows of `{job.job_ref}` follow one another, so they are not done in parallel",
            code="backfill_parallel",
            hint='declare its interval with `mode="parallel"`',
        )
    if end is not None and window[1] < until:
        raise ConflictError(
            f"the windows of `{job.job_ref}` are continuous: a backfill from {moment(pointer)} goes on to "
            f"{moment(until)}, not to {moment(window[1])} only",
            code="backfill_pointer",
            hint="leave the end away to redo everything from there on",
        )
    if await runs.active_runs(connection, job.id):
        raise ConflictError(
            f"a run of `{job.job_ref}` is active and would move its pointer on",
            code="backfill_busy",
            hint="wait for it, or cancel it",
        )
    completed = await schedules.completed_until(connection, job.id)
    pointer = pointer if completed is None else min(pointer, completed)
    if completed is not None:
        await schedules.move_mark(connection, job.id, pointer)
    return (interval.start if completed is None else pointer), until


async def _start(
    connection: Connection, principal: Principal, job: Job, *, is_discrete: bool, now: datetime
) -> list[Run]:
    definition = job.version.definition
    request = StartRequest(
        trigger=definition.default_trigger or f"manual:{job.job_ref}",
        triggered_by=principal.user.id,
        record_skip=False,
    )
    first = await start_job(connection, job, request, now)
    if first.run is None:
        if is_discrete and await runs.active_runs(connection, job.id):
            return []  # what was re-opened follows when those settle
        reason = first.skip.reason if first.skip else "it did not start"
        raise ConflictError(f"`{job.job_ref}` cannot run now: {reason}", code="backfill_gated")
    more = await start_open_intervals(connection, job, request, now) if is_discrete else []
    return [first.run, *more]


def _interval_of(job: Job, override: str | None) -> JobInterval:
    interval = declared_interval(job.version.definition, override)
    if interval is None:
        raise ConflictError(
            f"`{job.job_ref}` declares no `interval`, so nothing is kept of what it has covered",
            code="interval_none",
            hint="launch it by hand to run it again",
        )
    return interval


async def _completed(connection: Connection, job: Job, interval: JobInterval) -> list[Range]:
    if interval.is_discrete:
        return await schedules.completed_intervals(connection, job.id)
    until = await schedules.completed_until(connection, job.id)
    return [(interval.start, until)] if until is not None and until > interval.start else []
