"""What an operator does to a job's schedule, and what the clock will do with it (semantics T8, D1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from uuid import UUID

from runtime.dispatch.changes import TIMERS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import find_job, find_startable
from runtime.dispatch.starting import active_versions, facts_of
from runtime.domain.apps import is_app
from runtime.domain.graph_drawing import GraphFormat, draw_graph
from runtime.domain.identities import Principal
from runtime.domain.jobs import Job
from runtime.domain.refresh import run_refreshes
from runtime.domain.schedules import clock_of, clock_triggers, describe_schedule, effective_default, parse_override
from runtime.domain.starting import Skip, Start, decide_start
from runtime.domain.ticks import next_tick, next_ticks
from runtime.domain.triggers import parse_trigger
from runtime.domain.wording import moment
from runtime.errors import ConflictError, InvalidError
from runtime.store import audit, schedules
from runtime.store import jobs as job_store
from runtime.store.database import Connection, Database
from runtime.store.schedules import Schedule

UPCOMING = 5
"""How many ticks to come are shown."""


@dataclass(frozen=True)
class ScheduleView:
    """A job's schedule as shown.

    Attributes:
        words: The schedule in force, with what an operator said of it; empty for a job that has none.
        next_ticks: Ascending; none while the job is paused or archived.
        would_run: Whether the job would start if its trigger came this very moment.
        explanation: Why it would or would not, as a sentence without a full stop.
    """

    job: Job
    schedule: Schedule
    words: str
    next_ticks: tuple[datetime, ...]
    would_run: bool
    explanation: str


class ScheduleService:
    """Pauses, resumes, overrides, reverts and explains schedules."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def get(self, workspace_id: UUID, id_or_ref: str, upcoming: int = UPCOMING) -> ScheduleView:
        """A job's schedule, its next ticks, and whether it would run now.

        Raises:
            NotFoundError: there is no such job.
        """
        async with self._database.read() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            return await self._view(connection, job, upcoming)

    async def pause(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> ScheduleView:
        """Keep the clock from starting a job; people, other jobs and webhooks still may. Twice changes nothing.

        Raises:
            ConflictError: the job is archived, or no clock starts it.
        """
        async with self._database.transaction() as connection:
            job, schedule = await _find(connection, workspace_id, id_or_ref)
            if schedule.paused_at is None:
                if not clock_triggers(job.version.definition, schedule.override):
                    raise ConflictError(
                        f"`{job.job_ref}` has no timed trigger to pause: no clock starts it",
                        code="schedule_none",
                        hint="`a` in `dlt-runtime tui` archives a job: then nothing starts it",
                    )
                paused = schedule.model_copy(update={"paused_at": self._clock()})
                await self._save(connection, principal, job, paused, "schedule.pause")
        return await self._changed(workspace_id, job)

    async def resume(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> ScheduleView:
        """Undo `pause`: one run makes up for the ticks that were missed (semantics W5). Twice changes nothing.

        Raises:
            ConflictError: the job is archived, or neither paused nor started by a clock.
        """
        async with self._database.transaction() as connection:
            job, schedule = await _find(connection, workspace_id, id_or_ref)
            if schedule.paused_at is not None:
                resumed = schedule.model_copy(update={"paused_at": None})
                await self._save(connection, principal, job, resumed, "schedule.resume")
            elif not clock_triggers(job.version.definition, schedule.override):
                raise ConflictError(f"`{job.job_ref}` has no timed trigger to resume", code="schedule_none")
        return await self._changed(workspace_id, job)

    async def override(self, principal: Principal, workspace_id: UUID, id_or_ref: str, trigger: str) -> ScheduleView:
        """Put another schedule in the place of the declared one, until `revert` or a deploy of other triggers.

        Its ticks count from now: nothing is made up for.

        Raises:
            InvalidError: the trigger is no schedule or period, or never comes.
            ConflictError: the job is archived, or interactive: its visitors start it.
        """
        wanted = parse_override(trigger)
        now = self._clock()
        async with self._database.transaction() as connection:
            job, schedule = await _find(connection, workspace_id, id_or_ref)
            if is_app(job.version.definition):
                raise ConflictError(
                    f"`{job.job_ref}` is interactive: it starts when somebody visits it, and by no schedule",
                    code="schedule_interactive",
                    hint="give the schedule to a batch job",
                )
            zone = job.version.definition.timezone
            if next_tick(wanted, timezone=zone, since=now, last_tick=None) is None:
                raise InvalidError(f"the schedule `{wanted.expression}` never comes", code="schedule")
            if schedule.override != wanted.text:
                changed = schedule.model_copy(update={"override": wanted.text})
                await schedules.restart_timer(connection, job.id, wanted.text, now)
                await self._save(connection, principal, job, changed, "schedule.override", trigger=wanted.text)
        return await self._changed(workspace_id, job)

    async def revert(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> ScheduleView:
        """Undo `override`; the declared schedule counts from now. Without an override nothing changes.

        Raises:
            ConflictError: the job is archived.
        """
        async with self._database.transaction() as connection:
            job, schedule = await _find(connection, workspace_id, id_or_ref)
            if schedule.override is not None:
                declared = clock_of(job.version.definition.declared_triggers)
                if declared is not None:
                    await schedules.restart_timer(connection, job.id, declared.text, self._clock())
                changed = schedule.model_copy(update={"override": None})
                await self._save(connection, principal, job, changed, "schedule.revert", trigger=schedule.override)
        return await self._changed(workspace_id, job)

    async def graph(self, workspace_id: UUID, form: GraphFormat) -> str:
        """How the live jobs of a workspace depend on each other, drawn."""
        async with self._database.read() as connection:
            jobs = [job for job in await job_store.all_jobs(connection, workspace_id) if job.archived_at is None]
            said = await schedules.schedules_of(connection, workspace_id)
        overrides = {job.job_ref: text for job in jobs if (text := said[job.id].override)}
        return draw_graph([job.version.definition for job in jobs], form, overrides)

    async def _save(
        self, connection: Connection, principal: Principal, job: Job, schedule: Schedule, action: str, **detail: str
    ) -> None:
        await schedules.save_schedule(connection, job.id, schedule)
        await audit.record(
            connection,
            at=self._clock(),
            user_id=principal.user.id,
            workspace_id=job.workspace_id,
            action=action,
            subject=job.job_ref,
            detail=detail or None,
        )

    async def _changed(self, workspace_id: UUID, job: Job) -> ScheduleView:
        self._changes.announce(TIMERS, workspace_id)
        return await self.get(workspace_id, str(job.id))

    async def _view(self, connection: Connection, job: Job, upcoming: int) -> ScheduleView:
        now = self._clock()
        schedule = await schedules.find_schedule(connection, job.id)
        definition = job.version.definition
        would_run, explanation = await explain(connection, job, schedule, now)
        return ScheduleView(
            job=job,
            schedule=schedule,
            words=describe_schedule(definition, schedule.override, is_paused=schedule.paused_at is not None),
            next_ticks=tuple(await _upcoming(connection, job, schedule, upcoming, now)),
            would_run=would_run,
            explanation=explanation,
        )


async def explain(connection: Connection, job: Job, schedule: Schedule, now: datetime) -> tuple[bool, str]:
    """Whether a job would start if its default trigger came now, and why, in words."""
    definition = job.version.definition
    if job.archived_at is not None:
        return False, f"archived since {moment(job.archived_at)}: nothing starts it"
    trigger = effective_default(definition, schedule.override)
    if schedule.paused_at is not None and trigger in clock_triggers(definition, schedule.override):
        return False, f"paused since {moment(schedule.paused_at)}: no clock starts it until it is resumed"
    try:
        _, configuration = await active_versions(connection, job.workspace_id)
        facts = await facts_of(connection, job, configuration)
        decision = decide_start(
            job, trigger or f"manual:{job.job_ref}", facts, now, is_manual=trigger is None or _is_by_hand(trigger)
        )
    except (ConflictError, InvalidError) as error:  # nothing is deployed, or its interval cannot be read
        return False, error.message
    if isinstance(decision, Skip):
        return False, decision.reason
    refreshes = run_refreshes(definition, requested=False, pending=schedule.refresh_pending).refresh
    return True, _words(decision, refreshes=refreshes)


def _words(start: Start, *, refreshes: bool) -> str:
    is_point = start.interval_start == start.interval_end
    covering = "" if is_point else f", covering {moment(start.interval_start)} to {moment(start.interval_end)}"
    return f"ready to run{covering}{', with a refresh' if refreshes else ''}"


def _is_by_hand(trigger: str) -> bool:
    return trigger.partition(":")[0] in ("manual", "tag", "pipeline_name", "http")


async def _find(connection: Connection, workspace_id: UUID, id_or_ref: str) -> tuple[Job, Schedule]:
    job = await find_startable(connection, workspace_id, id_or_ref)
    return job, await schedules.find_schedule(connection, job.id)


async def _upcoming(
    connection: Connection, job: Job, schedule: Schedule, count: int, now: datetime
) -> Sequence[datetime]:
    """The next ticks of all the timed triggers of a job together."""
    if job.archived_at is not None or schedule.paused_at is not None:
        return ()
    definition = job.version.definition
    ticks: list[list[datetime]] = []
    for trigger in clock_triggers(definition, schedule.override):
        timer = await schedules.find_timer(connection, job.id, trigger)
        if timer is not None:
            ticks.append(
                next_ticks(
                    parse_trigger(trigger),
                    count,
                    timezone=definition.timezone,
                    since=timer.since,
                    last_tick=timer.last_tick_at,
                    now=now,
                )
            )
    return list(islice(merge(*ticks), count))
