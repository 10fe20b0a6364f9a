"""Turning decisions to start jobs into run rows, inside the caller's transaction (semantics D1-D7).

Jobs that are triggered together are one batch: those without gates go first, and a gated job whose upstreams are in
the batch is not skipped for good but waits for them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from runtime.domain.apps import is_app
from runtime.domain.freshness import UpstreamFacts, upstreams_needed
from runtime.domain.graph import dependency_edges, upstream_first
from runtime.domain.intervals import declared_interval
from runtime.domain.jobs import Job
from runtime.domain.packages import Configuration, Deployment
from runtime.domain.refresh import refresh_targets, run_refreshes
from runtime.domain.runs import Run
from runtime.domain.schedules import clock_triggers
from runtime.domain.starting import Skip, Start, StartFacts, StartRequest, decide_start
from runtime.domain.ticks import elapsed_tick
from runtime.domain.triggers import parse_trigger
from runtime.errors import ConflictError
from runtime.store import awaited, jobs, packages, schedules
from runtime.store import runs as store
from runtime.store.database import Connection
from runtime.store.schedules import Schedule


@dataclass(frozen=True)
class Started:
    """What came of a request: a pending run, or a skip, with its row where one was asked for."""

    job: Job
    run: Run | None = None
    skip: Skip | None = None


@dataclass
class Batch:
    """Jobs of one workspace that are triggered together.

    `is_repeated`: its job has waited already, so that it still waits is no news.
    """

    workspace_id: UUID
    deployment: Deployment
    configuration: Configuration
    starting: list[str] = field(default_factory=list)
    is_repeated: bool = False


async def active_versions(connection: Connection, workspace_id: UUID) -> tuple[Deployment, Configuration]:
    """What a run created now pins (semantics J4).

    Raises:
        ConflictError: code or configuration has never been uploaded.
    """
    deployment = await packages.latest_deployment(connection, workspace_id)
    configuration = await packages.latest_configuration(connection, workspace_id)
    if deployment is None or configuration is None:
        missing = "code" if deployment is None else "configuration"
        raise ConflictError(f"this workspace has no {missing} yet", code="not_deployed", hint="deploy it first")
    return deployment, configuration


async def start_batch(
    connection: Connection, workspace_id: UUID, requests: Sequence[tuple[Job, StartRequest]], now: datetime
) -> list[Started]:
    """Decide on jobs triggered together and record what comes of each; answers in the order of the requests.

    Raises:
        ConflictError: nothing has been deployed yet.
    """
    batch = Batch(workspace_id, *await active_versions(connection, workspace_id))
    # An upstream before whoever waits for it, so that a gate knows who starts.
    definitions = [job.version.definition for job, _ in requests]
    order = upstream_first([job.job_ref for job, _ in requests], dependency_edges(definitions))
    position = {job_ref: place for place, job_ref in enumerate(order)}
    answers: dict[int, Started] = {}
    # A job may be asked for twice at once, by its schedule and a `once` for example.
    for index in sorted(range(len(requests)), key=lambda index: position[requests[index][0].job_ref]):
        answers[index] = await _start(connection, batch, *requests[index], now)
    return [answers[index] for index in range(len(requests))]


async def start_job(connection: Connection, job: Job, request: StartRequest, now: datetime) -> Started:
    """A batch of one."""
    return (await start_batch(connection, job.workspace_id, [(job, request)], now))[0]


async def active_app_run(connection: Connection, job_id: UUID) -> Run | None:
    """The newest run of an app that goes on or is about to; one that is being ended is none (semantics D5, S4)."""
    active = await store.active_runs(connection, job_id)
    return next((run for run in reversed(active) if run.status != "cancelling"), None)


async def start_open_intervals(connection: Connection, job: Job, request: StartRequest, now: datetime) -> list[Run]:
    """Start runs for open intervals, as many as may be in work (semantics W3)."""
    started: list[Run] = []
    while True:
        answer = await start_job(connection, job, request, now)
        if answer.run is None or answer.skip:
            return started
        started.append(answer.run)


async def start_awaited(connection: Connection, upstream: Run, now: datetime) -> None:
    """Look again at the jobs that wait for the job which has just settled (semantics D3).

    Who waits for others too goes on waiting. Who waits in vain is skipped, and whoever waits for that one is looked at
    in turn.
    """
    settled = [upstream.job_ref]
    for settled_ref in settled:
        requests = dict(await awaited.of_workspace(connection, upstream.workspace_id))
        waiting = await jobs.jobs_by_id(connection, list(requests))
        for job in sorted(waiting.values(), key=lambda job: job.job_ref):
            needed = upstreams_needed(job.version.definition)
            if settled_ref not in needed:
                continue
            await awaited.forget(connection, job.id)
            in_vain = settled[1:]
            others = {other.job_ref for other in waiting.values()} - {job.job_ref, *in_vain}
            if job.archived_at is not None or not await _start_after_wait(
                connection, job, requests[job.id], others, now
            ):
                settled.append(job.job_ref)


async def _start_after_wait(
    connection: Connection, job: Job, request: StartRequest, waiting: Collection[str], now: datetime
) -> bool:
    """Decide again on a job that waited; whether it has started or waits on."""
    underway = []
    for ref in upstreams_needed(job.version.definition):
        upstream = await jobs.find_job(connection, job.workspace_id, ref)
        if upstream and (ref in waiting or await store.active_runs(connection, upstream.id)):
            underway.append(ref)
    versions = await active_versions(connection, job.workspace_id)
    batch = Batch(job.workspace_id, *versions, starting=underway, is_repeated=True)
    answer = await _start(connection, batch, job, request, now)
    return answer.skip is None or answer.skip.outcome == "skipped_upstream_pending"


async def facts_of(
    connection: Connection,
    job: Job,
    configuration: Configuration,
    starting: Sequence[str] = (),
    *,
    schedule: Schedule | None = None,
    anew: bool = False,
    continues: bool = False,
) -> StartFacts:
    """What the store says before a start of `job` is decided.

    Args:
        schedule: The job's, where it is known already.
        continues: The job's own success starts it, so intervals that failed meanwhile are left for the next trigger.
        anew: As if nothing were complete: a refresh begins at the beginning (semantics R1).
    """
    definition = job.version.definition
    active = await store.active_runs(connection, job.id)
    if is_app(definition):
        active = [run for run in active if run.status != "cancelling"]  # its successor need not wait for its end
    schedule = schedule or await schedules.find_schedule(connection, job.id)
    return StartFacts(
        configuration=configuration,
        active_runs=len(active),
        completed_until=None if anew else await schedules.completed_until(connection, job.id),
        completed=() if anew else await _completed(connection, job),
        active_windows=tuple(
            (run.interval_start, run.interval_end) for run in active if run.interval_start and run.interval_end
        ),
        set_aside=tuple(await store.failed_windows(connection, job.id, since_triggered=True)) if continues else (),
        override=schedule.override,
        at_once=schedule.at_once,
        is_refreshing=anew or schedule.refresh_pending,
        upstreams={
            ref: await _upstream_facts(connection, upstream)
            for ref in upstreams_needed(definition)
            if (upstream := await jobs.find_job(connection, job.workspace_id, ref)) and upstream.archived_at is None
        },
        starting=tuple(starting),
    )


async def cascade_refresh(connection: Connection, workspace_id: UUID, root_ref: str) -> None:
    """Clear the last-completed mark of every job that a refresh of `root_ref` reaches (semantics R1)."""
    live = {job.job_ref: job for job in await jobs.all_jobs(connection, workspace_id) if job.archived_at is None}
    targets = refresh_targets(root_ref, [job.version.definition for job in live.values()])
    await schedules.clear_marks(connection, [live[ref].id for ref in targets])


async def _start(connection: Connection, batch: Batch, job: Job, request: StartRequest, now: datetime) -> Started:
    schedule = await schedules.find_schedule(connection, job.id)
    refreshing = run_refreshes(
        job.version.definition, requested=request.refresh, pending=schedule.refresh_pending
    ).refresh
    is_asked = request.refresh and refreshing
    cause = await store.find_run(connection, request.prev_run_id) if request.prev_run_id else None
    continues = cause is not None and cause.job_id == job.id
    facts = await facts_of(
        connection,
        job,
        batch.configuration,
        [*batch.starting, *await _starting_at_same_tick(connection, job, request, now)],
        schedule=schedule,
        anew=is_asked,
        continues=continues,
    )
    decision = decide_start(
        job,
        request.trigger,
        facts,
        now,
        request.profile,
        is_manual=request.is_manual,
        skip_freshness=request.skip_freshness,
    )
    if isinstance(decision, Skip):
        if decision.outcome == "skipped_upstream_pending":
            batch.starting.append(job.job_ref)
            await awaited.remember(connection, job.id, request)
            if batch.is_repeated:
                return Started(job, None, decision)
        run = await _record_skip(connection, batch, job, request, decision, now) if request.record_skip else None
        return Started(job, run, decision)
    batch.starting.append(job.job_ref)
    if is_asked:
        await schedules.clear_marks(connection, [job.id])
        await cascade_refresh(connection, job.workspace_id, job.job_ref)
    run = await _new_run(connection, batch, job, request, now, refresh=refreshing, **_window(decision))
    await store.add_run(connection, run)
    return Started(job, run)


async def _starting_at_same_tick(connection: Connection, job: Job, request: StartRequest, now: datetime) -> list[str]:
    """Upstreams whose tick is the very same, and is being run or yet to be taken: one batch, in parts (D3)."""
    starting: list[str] = []
    if request.scheduled_at is None:
        return starting
    for ref in upstreams_needed(job.version.definition):
        upstream = await jobs.find_job(connection, job.workspace_id, ref)
        if upstream is None or upstream.archived_at is not None:
            continue
        runs = await store.active_runs(connection, upstream.id)
        if any(run.scheduled_at == request.scheduled_at for run in runs) or await _is_due(
            connection, upstream, request.scheduled_at, now
        ):
            starting.append(ref)
    return starting


async def _is_due(connection: Connection, job: Job, tick: datetime, now: datetime) -> bool:
    definition = job.version.definition
    schedule = await schedules.find_schedule(connection, job.id)
    if schedule.paused_at is not None:
        return False
    for trigger in clock_triggers(definition, schedule.override):
        timer = await schedules.find_timer(connection, job.id, trigger)
        if timer and tick == elapsed_tick(
            parse_trigger(trigger),
            timezone=definition.timezone,
            since=timer.since,
            last_tick=timer.last_tick_at,
            now=now,
        ):
            return True
    return False


async def _record_skip(
    connection: Connection, batch: Batch, job: Job, request: StartRequest, skip: Skip, now: datetime
) -> Run:
    """A skipped run; one more of the same kind in a row is counted on the row that is there (semantics D7)."""
    ended = {"reason": skip.reason, "ended_at": now, "updated_at": now, "scheduled_at": request.scheduled_at}
    last = await store.latest_run(connection, job.workspace_id, job.id)
    if last and (last.status, last.outcome, last.trigger) == ("skipped", skip.outcome, request.trigger):
        folded = last.model_copy(update={**ended, "skip_count": last.skip_count + 1})
        await store.save_skip(connection, folded)
        return folded
    outcome = {"status": "skipped", "profile": skip.profile, "outcome": skip.outcome, **ended}
    run = await _new_run(connection, batch, job, request, now, **outcome)
    await store.add_run(connection, run)
    return run


async def _new_run(
    connection: Connection, batch: Batch, job: Job, request: StartRequest, now: datetime, **fields: Any
) -> Run:
    return Run(
        **{
            "id": uuid4(),
            "workspace_id": job.workspace_id,
            "job_id": job.id,
            "job_ref": job.job_ref,
            "job_version_id": job.version.id,
            "deployment_id": batch.deployment.id,
            "configuration_id": batch.configuration.id,
            "number": await store.next_number(connection, job.id),
            "trigger": request.trigger,
            "refresh": request.refresh,
            "prev_run_id": request.prev_run_id,
            "triggered_by": request.triggered_by,
            "scheduled_at": request.scheduled_at,
            "created_at": now,
            "updated_at": now,
            **fields,
        }
    )


def _window(start: Start) -> dict[str, Any]:
    return {
        "status": "pending",
        "profile": start.profile,
        "interval_start": start.interval_start,
        "interval_end": start.interval_end,
    }


async def _upstream_facts(connection: Connection, upstream: Job) -> UpstreamFacts:
    schedule = await schedules.find_schedule(connection, upstream.id)
    return UpstreamFacts(
        definition=upstream.version.definition,
        completed_until=await schedules.completed_until(connection, upstream.id),
        completed=await _completed(connection, upstream),
        override=schedule.override,
        is_paused=schedule.paused_at is not None,
    )


async def _completed(connection: Connection, job: Job) -> tuple[schedules.Range, ...]:
    """The completed intervals of a job that keeps them; reading those of others would be for nothing."""
    interval = declared_interval(job.version.definition)
    if interval is None or not interval.is_discrete:
        return ()
    return tuple(await schedules.completed_intervals(connection, job.id))
