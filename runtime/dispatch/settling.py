"""The end of a run: its final status and everything that follows from it, in one transaction (semantics T4, S1)."""

from datetime import datetime

from runtime.dispatch.starting import StartRequest, start_job
from runtime.domain.jobs import live_trigger_refs
from runtime.domain.runs import Run, RunEnd, check_transition
from runtime.store import jobs as job_store
from runtime.store import runs as store
from runtime.store import schedules
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
    if final.status == "completed" and final.interval_end is not None:
        await schedules.set_completed_until(connection, final.job_id, final.interval_end)
    if event := _EVENTS.get(final.status):
        await _start_followups(connection, final, event, now)
    return final


_EVENTS = {"completed": "job.success", "failed": "job.fail"}


async def _start_followups(connection: Connection, upstream: Run, event: str, now: datetime) -> None:
    live = {
        job.job_ref: job
        for job in await job_store.all_jobs(connection, upstream.workspace_id)
        if job.archived_at is None
    }
    definitions = [job.version.definition for job in live.values()]
    for job_ref in live_trigger_refs(definitions, event, upstream.job_ref):
        request = StartRequest(trigger=f"{event}:{upstream.job_ref}", prev_run_id=upstream.id, record_skip=True)
        await start_job(connection, live[job_ref], request, now)
