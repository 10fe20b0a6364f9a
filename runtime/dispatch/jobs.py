"""Looking at jobs, archiving them, and starting them by hand or by selector."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from runtime.dispatch.app_succession import retire_outdated
from runtime.dispatch.changes import PENDING_RUNS, TIMERS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.lookup import require, uuid_or_text, version_or_id
from runtime.dispatch.starting import Started, active_app_run, start_batch, start_job
from runtime.domain.apps import is_app
from runtime.domain.identities import Principal
from runtime.domain.jobs import Job, JobDefinition, JobType, JobVersion
from runtime.domain.profiles import choose_profile
from runtime.domain.runs import Run, TriggerOutcome
from runtime.domain.schedules import clock_triggers
from runtime.domain.starting import StartRequest
from runtime.domain.summaries import PipelineSummary
from runtime.domain.ticks import next_tick
from runtime.domain.triggers import match_selectors, parse_trigger, pick_trigger
from runtime.errors import ConflictError, InvalidError, NotFoundError
from runtime.store import apps, audit, packages, public_links, runs, schedules, summaries
from runtime.store import jobs as store
from runtime.store.database import Connection, Database
from runtime.store.paging import Page
from runtime.store.schedules import Schedule, Timer


@dataclass(frozen=True)
class JobView:
    """A job as shown: with the profile it would run with now, its newest run, and what the clock will do.

    `public_secret` is part of its public link, where it has one, `slug` of its address, where it is interactive;
    `summaries` is what the newest run's pipelines said of themselves.
    """

    job: Job
    profile: str
    last_run: Run | None
    schedule: Schedule = field(default_factory=Schedule)
    next_tick_at: datetime | None = None
    public_secret: UUID | None = None
    slug: str | None = None
    summaries: tuple[PipelineSummary, ...] = ()


@dataclass(frozen=True)
class Triggered:
    """What came of starting one job; `run` is None where it did not start, and `reason` says why."""

    job: Job
    trigger: str
    matched: tuple[str, ...]
    outcome: TriggerOutcome
    run: Run | None = None
    reason: str | None = None


@dataclass(frozen=True)
class TriggerInput:
    """Which jobs to start: by selectors over their triggers, by reference, or both."""

    selectors: Sequence[str] = ()
    job_refs: Sequence[str] = ()
    profile: str | None = None
    refresh: bool = False
    skip_freshness: bool = False
    dry_run: bool = False


class JobService:
    """Reads jobs and starts them."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def list(
        self, workspace_id: UUID, job_type: JobType | None, archived: bool | None, limit: int, offset: int
    ) -> Page[JobView]:
        """A page of jobs by reference; None filters nothing."""
        async with self._database.read() as connection:
            page = await store.list_jobs(
                connection, workspace_id, job_type=job_type, archived=archived, limit=limit, offset=offset
            )
            return Page(await _views(connection, workspace_id, page.items), page.total)

    async def several(self, workspace_id: UUID, job_ids: Sequence[UUID]) -> Sequence[JobView]:
        """Those of these jobs that the workspace has."""
        async with self._database.read() as connection:
            found = await store.jobs_by_id(connection, job_ids)
            own = [job for job in found.values() if job.workspace_id == workspace_id]
            return await _views(connection, workspace_id, own)

    async def get(self, workspace_id: UUID, id_or_ref: str) -> JobView:
        """One job by identifier or reference.

        Raises:
            NotFoundError: there is none.
        """
        async with self._database.read() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            return (await _views(connection, workspace_id, [job]))[0]

    async def versions(self, workspace_id: UUID, id_or_ref: str, limit: int, offset: int) -> Page[JobVersion]:
        """The versions of a job, newest first."""
        async with self._database.read() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            return await store.list_versions(connection, job, limit, offset)

    async def version(self, workspace_id: UUID, id_or_ref: str, which: str) -> JobVersion:
        """One version of a job: `latest`, an identifier or a number."""
        async with self._database.read() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            if which == "latest":
                return job.version
            found = await store.find_version(connection, job.id, version_or_id(which))
        return require(found, f"job `{job.job_ref}` has no version `{which}`")

    async def archive(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> JobView:
        """Keep a job from running; its runs and logs stay. Archiving twice changes nothing."""
        return await self._set_archived(principal, workspace_id, id_or_ref, archived=True)

    async def unarchive(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> JobView:
        """Undo `archive`."""
        return await self._set_archived(principal, workspace_id, id_or_ref, archived=False)

    async def trigger(self, principal: Principal, workspace_id: UUID, wanted: TriggerInput) -> Sequence[Triggered]:
        """Start every job that the input matches, all in one transaction; a dry run only says which those are.

        A job named by reference starts by its default trigger, else by `manual:<ref>`. For an app that runs already
        that run is the answer (semantics D5).

        Raises:
            InvalidError: neither selectors nor references were given.
            NotFoundError: a reference names no job.
            ConflictError: a named job is archived, or nothing has been deployed.
        """
        if not wanted.selectors and not wanted.job_refs:
            raise InvalidError("give at least one selector or job reference", code="trigger_nothing")
        if wanted.dry_run:
            async with self._database.read() as connection:
                chosen = await _choose(connection, workspace_id, wanted)
            return [Triggered(job, trigger, matched, "triggered") for job, trigger, matched in chosen]
        async with self._database.transaction() as connection:
            chosen = await _choose(connection, workspace_id, wanted)
            serving = await _serving(connection, [job for job, _, _ in chosen])
            begun = [one for one in chosen if one[0].id not in serving]
            requests = [(job, _request(principal, wanted, trigger)) for job, trigger, _ in begun]
            started = (
                await start_batch(connection, workspace_id, requests, self._clock()) if requests or not serving else []
            )
            answers = {answer.job.id: answer for answer in started} | serving
            triggered = [_triggered(answers[job.id], trigger, matched) for job, trigger, matched in chosen]
            await audit.record(
                connection,
                at=self._clock(),
                user_id=principal.user.id,
                workspace_id=workspace_id,
                action="job.trigger",
                subject=", ".join([*wanted.selectors, *wanted.job_refs]),
                detail={"runs": [str(item.run.id) for item in triggered if item.run]},
            )
        self._changes.announce(workspace_id, PENDING_RUNS)
        return triggered

    async def start(
        self,
        principal: Principal,
        workspace_id: UUID,
        job_or_secret: str,
        trigger: str,
        request: TriggerInput,
        *,
        when_not_running: bool = False,
    ) -> Triggered:
        """Start one job by one of its triggers.

        Args:
            job_or_secret: Its identifier, its reference, or the secret of its public link.
            when_not_running: Answer with the newest active run, if the job has one, and start nothing; for an app it
                is so in any case (semantics D5).

        Raises:
            NotFoundError: there is no such job.
            InvalidError: the job has no such trigger.
        """
        async with self._database.transaction() as connection:
            job = await find_startable(connection, workspace_id, await _opened_by(connection, job_or_secret))
            triggers = job.version.definition.triggers
            if trigger not in triggers:
                raise InvalidError(f"`{trigger}` is no trigger of `{job.job_ref}`", code="trigger_unknown")
            if serving := await _serving(connection, [job]):
                return _triggered(serving[job.id], trigger, (trigger,))
            if when_not_running and (active := await runs.active_runs(connection, job.id)):
                return Triggered(job, active[-1].trigger, (trigger,), "triggered", active[-1])
            started = await start_job(connection, job, _request(principal, request, trigger), self._clock())
            await audit.record(
                connection,
                at=self._clock(),
                user_id=principal.user.id,
                workspace_id=workspace_id,
                action="job.trigger",
                subject=job.job_ref,
                detail={"runs": [str(started.run.id)] if started.run else []},
            )
        self._changes.announce(workspace_id, PENDING_RUNS)
        return _triggered(started, trigger, (trigger,))

    async def _set_archived(
        self, principal: Principal, workspace_id: UUID, id_or_ref: str, *, archived: bool
    ) -> JobView:
        now = self._clock()
        async with self._database.transaction() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            if (job.archived_at is not None) != archived:
                job = job.model_copy(update={"archived_at": now if archived else None, "updated_at": now})
                await store.set_archived(connection, job)
                await retire_outdated(connection, workspace_id, [job.id], now)
                await audit.record(
                    connection,
                    at=now,
                    user_id=principal.user.id,
                    workspace_id=workspace_id,
                    action="job.archive" if archived else "job.unarchive",
                    subject=job.job_ref,
                )
        self._changes.announce(workspace_id, TIMERS)
        return await self.get(workspace_id, id_or_ref)


async def find_job(connection: Connection, workspace_id: UUID, id_or_ref: str) -> Job:
    """A job by identifier or reference; NotFoundError if there is none."""
    found = await store.find_job(connection, workspace_id, uuid_or_text(id_or_ref))
    if found is None:
        raise NotFoundError(f"there is no job `{id_or_ref}` in this workspace", code="job_not_found")
    return found


async def _opened_by(connection: Connection, job_or_secret: str) -> str:
    """The identifier of the job whose public link has this secret, else the text as it came."""
    secret = uuid_or_text(job_or_secret)
    job_id = await public_links.find_job_of_link(connection, secret) if isinstance(secret, UUID) else None
    return str(job_id or job_or_secret)


async def find_startable(connection: Connection, workspace_id: UUID, id_or_ref: str) -> Job:
    """As `find_job`; ConflictError if the job is archived."""
    job = await find_job(connection, workspace_id, id_or_ref)
    if job.archived_at is not None:
        raise ConflictError(
            f"job `{job.job_ref}` is archived", code="job_archived", hint="deploy a manifest that names it"
        )
    return job


async def _choose(
    connection: Connection, workspace_id: UUID, wanted: TriggerInput
) -> list[tuple[Job, str, tuple[str, ...]]]:
    """Jobs, each with the trigger its run records and all that matched; a job is chosen once."""
    chosen: dict[UUID, tuple[Job, str, tuple[str, ...]]] = {}
    for job_ref in wanted.job_refs:
        job = await find_startable(connection, workspace_id, job_ref)
        trigger = job.version.definition.default_trigger or f"manual:{job.job_ref}"
        chosen[job.id] = (job, trigger, (trigger,))
    if wanted.selectors:
        for job in await store.all_jobs(connection, workspace_id):
            definition = job.version.definition
            if job.archived_at is not None or job.id in chosen:
                continue
            matched = match_selectors(definition.entry_point.job_type, definition.triggers, wanted.selectors)
            if picked := pick_trigger(matched, definition.default_trigger):
                chosen[job.id] = (job, picked, tuple(matched))
    return list(chosen.values())


async def _serving(connection: Connection, chosen: Sequence[Job]) -> dict[UUID, Started]:
    """Those of these jobs that are apps and run, with the run: serving one twice is serving it once (semantics D5)."""
    interactive = [job for job in chosen if is_app(job.version.definition)]
    active = [(job, await active_app_run(connection, job.id)) for job in interactive]
    return {job.id: Started(job, run) for job, run in active if run is not None}


def _request(principal: Principal, wanted: TriggerInput, trigger: str) -> StartRequest:
    return StartRequest(
        trigger=trigger,
        profile=wanted.profile,
        refresh=wanted.refresh,
        triggered_by=principal.user.id,
        is_manual=True,
        skip_freshness=wanted.skip_freshness,
        record_skip=False,
    )


def _triggered(answer: Started, trigger: str, matched: tuple[str, ...]) -> Triggered:
    if answer.skip:
        return Triggered(answer.job, trigger, matched, answer.skip.outcome, reason=answer.skip.reason)
    return Triggered(answer.job, trigger, matched, "triggered", answer.run)


@dataclass(frozen=True)
class _Names:
    """What is part of the addresses of a workspace's jobs."""

    secrets: dict[UUID, UUID]
    slugs: dict[UUID, str]


async def _names(connection: Connection, workspace_id: UUID, found: Sequence[Job]) -> _Names:
    interactive = [job.id for job in found if is_app(job.version.definition)]
    return _Names(
        await public_links.links_of(connection, workspace_id),
        await apps.slugs_of(connection, interactive) if interactive else {},
    )


async def _profiles(connection: Connection, workspace_id: UUID) -> tuple[str, ...]:
    configuration = await packages.latest_configuration(connection, workspace_id)
    return configuration.profiles if configuration else ()


@dataclass(frozen=True)
class _Clocks:
    """Schedules and timers of some jobs."""

    schedules: dict[UUID, Schedule]
    timers: dict[tuple[UUID, str], Timer]


async def _clocks(connection: Connection, job_ids: Sequence[UUID]) -> _Clocks:
    return _Clocks(
        await schedules.schedules_by_job(connection, job_ids), await schedules.timers_by_trigger(connection, job_ids)
    )


async def _views(connection: Connection, workspace_id: UUID, found: Sequence[Job]) -> list[JobView]:
    job_ids = [job.id for job in found]
    latest = await runs.latest_runs(connection, workspace_id, job_ids)
    said = await summaries.summaries_of(connection, [run.id for run in latest.values()])
    profiles, clocks = await _profiles(connection, workspace_id), await _clocks(connection, job_ids)
    names = await _names(connection, workspace_id, found)
    views = []
    for job in found:
        last = latest.get(job.id)
        views.append(_view(job, last, said.get(last.id, ()) if last else (), profiles, clocks, names))
    return views


def _view(
    job: Job,
    last_run: Run | None,
    said: tuple[PipelineSummary, ...],
    profiles: tuple[str, ...],
    clocks: _Clocks,
    names: _Names,
) -> JobView:
    definition = job.version.definition
    profile = choose_profile(definition.entry_point.job_type, definition.required_profile, profiles)
    schedule = clocks.schedules[job.id]
    upcoming: list[datetime] = []
    if job.archived_at is None and schedule.paused_at is None:
        for trigger in clock_triggers(definition, schedule.override):
            timer = clocks.timers.get((job.id, trigger))
            if timer and (tick := timer_tick(timer, definition)):
                upcoming.append(tick)
    return JobView(
        job,
        profile,
        last_run,
        schedule,
        min(upcoming, default=None),
        names.secrets.get(job.id),
        names.slugs.get(job.id),
        said,
    )


def timer_tick(timer: Timer, definition: JobDefinition) -> datetime | None:
    """When a timer has to be looked at next, which may lie in the past; None if never again."""
    return next_tick(
        parse_trigger(timer.trigger),
        timezone=definition.timezone,
        since=timer.since,
        last_tick=timer.last_tick_at,
    )
