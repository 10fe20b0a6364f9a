"""The end of a run: its final status and all that follows from it, in one transaction (semantics S1, T4, W, R)."""

from datetime import datetime

from runtime.dispatch.starting import cascade_refresh, start_awaited, start_batch, start_open_intervals
from runtime.domain.intervals import declared_interval
from runtime.domain.jobs import Job, live_trigger_refs
from runtime.domain.ranges import coalesce
from runtime.domain.refresh import settle_refresh
from runtime.domain.runs import Run, RunEnd, check_transition
from runtime.domain.starting import StartRequest
from runtime.store import hooks, schedules
from runtime.store import jobs as job_store
from runtime.store import runs as store
from runtime.store.database import Connection


async def settle(connection: Connection, run: Run, end: RunEnd, now: datetime) -> Run:
    """Record how a run ended and start the jobs that waited for it.

    Args:
        run: As the store holds it within this transaction.

    Returns:
        The final run. Its followups are pending runs, or skipped ones that say why (semantics D7).
    """
    check_transition(run.status, end.status)
    final = run.model_copy(
        update={
            "status": end.status,
            "exit_code": end.exit_code,
            "reason": end.reason,
            "ended_at": now,
            "updated_at": now,
        }
    )
    await store.save_run(connection, final)
    job = await job_store.find_job(connection, final.workspace_id, final.job_id)
    if job is not None and final.status == "completed":
        await _complete(connection, job, final)
    if event := _EVENTS.get(final.status):
        await _start_followups(connection, final, event, now)
    if job is not None and final.status == "completed" and _continues(job):
        request = StartRequest(trigger=final.trigger, prev_run_id=final.id, record_skip=False)
        if not await start_open_intervals(connection, job, request, now):
            await _end_backfill(connection, job)
    await start_awaited(connection, final, now)  # last: who waits for intervals waits for those that follow, too
    if final.trigger.startswith("webhook:"):
        await hooks.forget_payload(connection, final.id)
    return final


_EVENTS = {"completed": "job.success", "failed": "job.fail"}


async def _complete(connection: Connection, job: Job, run: Run) -> None:
    """What a success moves: the mark or the completed intervals, the refresh it spends, the refresh it sends."""
    definition = job.version.definition
    schedule = await schedules.find_schedule(connection, job.id)
    settled = settle_refresh(definition, run.status, run_refresh=run.refresh, pending=schedule.refresh_pending)
    schedule = schedule.model_copy(update={"refresh_pending": settled.is_pending})
    await schedules.save_schedule(connection, job.id, schedule)
    if settled.moves_mark and run.interval_start and run.interval_end:
        interval = declared_interval(definition)
        if interval is not None and interval.is_discrete:
            done = await schedules.completed_intervals(connection, job.id)
            window = (run.interval_start, run.interval_end)
            await schedules.save_completed_intervals(connection, job.id, coalesce([*done, window]))
        elif _moves_mark(job, run):
            await schedules.set_completed_until(connection, job.id, run.interval_end)
    if settled.originates:
        await cascade_refresh(connection, run.workspace_id, run.job_ref)


def _moves_mark(job: Job, run: Run) -> bool:
    """Whether what the run covered is completed.

    A point in time, of an event, completes nothing of a job that has windows: the window in which it lies is still to
    be covered as a whole. For other jobs it is all there is.
    """
    definition = job.version.definition
    is_timed = any(trigger.startswith(("schedule:", "every:")) for trigger in definition.declared_triggers)
    return run.interval_start != run.interval_end or not (is_timed or definition.interval_start)


def _continues(job: Job) -> bool:
    """Whether the next open interval follows at once (semantics W3)."""
    interval = declared_interval(job.version.definition)
    return job.archived_at is None and interval is not None and interval.is_discrete


async def _end_backfill(connection: Connection, job: Job) -> None:
    """Nothing is left to follow: how many intervals run together is the job's own affair again."""
    schedule = await schedules.find_schedule(connection, job.id)
    if schedule.at_once is not None and not await store.active_runs(connection, job.id):
        await schedules.save_schedule(connection, job.id, schedule.model_copy(update={"at_once": None}))


async def _start_followups(connection: Connection, upstream: Run, event: str, now: datetime) -> None:
    request = StartRequest(trigger=f"{event}:{upstream.job_ref}", prev_run_id=upstream.id)
    jobs = await job_store.live_jobs_naming(connection, upstream.workspace_id, request.trigger)
    live = {job.job_ref: job for job in jobs}
    definitions = [job.version.definition for job in jobs]
    followups = [(live[ref], request) for ref in live_trigger_refs(definitions, event, upstream.job_ref)]
    if followups:
        await start_batch(connection, upstream.workspace_id, followups, now)
