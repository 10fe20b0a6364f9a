"""Newer code takes the place of running apps: in the deploy's own transaction, so that no start finds the old ones."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from runtime.dispatch.starting import active_app_run, start_job
from runtime.domain.apps import is_app, outdated_reason
from runtime.domain.jobs import Job
from runtime.domain.runs import Run
from runtime.domain.starting import StartRequest
from runtime.store import jobs, packages, runs
from runtime.store.database import Connection

APP_TRIGGER = "http:"
"""What a run records that a visit has started (semantics T5)."""


async def retire_outdated(connection: Connection, workspace_id: UUID, job_ids: Iterable[UUID], now: datetime) -> None:
    """Ask the apps of these jobs to end whose job was archived, or which show other code or settings than the latest.

    Whoever looks after such a run sees it asked to stop, and starts another where the app is in use.
    """
    deployment = await packages.latest_deployment(connection, workspace_id)
    configuration = await packages.latest_configuration(connection, workspace_id)
    for job in (await jobs.jobs_by_id(connection, list(job_ids))).values():
        run = await active_app_run(connection, job.id)
        words = outdated_reason(run, job, deployment, configuration) if run else None
        if run is None or words is None:
            continue
        version = await jobs.find_version(connection, job.id, run.job_version_id)
        if version is not None and is_app(version.definition):
            await stop_app(connection, run, words, now)


async def stop_app(connection: Connection, run: Run, words: str, now: datetime) -> None:
    """Ask an app to end for the sake of another; one that has not begun ends at once."""
    if run.status == "pending":
        ended = {"status": "cancelled", "reason": words, "ended_at": now, "updated_at": now}
        await runs.save_run(connection, run.model_copy(update=ended))
        return
    await runs.save_stop(connection, run.id, "replaced", now, words)
    await runs.save_run(connection, run.model_copy(update={"status": "cancelling", "updated_at": now}))


async def start_app(connection: Connection, job: Job, user_id: UUID | None, now: datetime) -> tuple[Run | None, str]:
    """The app's active run, or a new one; None, and why, where it does not start (semantics D5, S4)."""
    active = await active_app_run(connection, job.id)  # two visits at once are one start
    if active is not None:
        return active, ""
    request = StartRequest(trigger=APP_TRIGGER, triggered_by=user_id, is_manual=True, record_skip=False)
    started = await start_job(connection, job, request, now)
    return started.run, started.skip.reason if started.skip else ""


async def start_successor(connection: Connection, run: Run, now: datetime) -> Run | None:
    """Start the app of a run that is being replaced, for those who use it; None if its job starts no more."""
    job = await jobs.find_job(connection, run.workspace_id, run.job_id)
    if job is None or job.archived_at is not None or not is_app(job.version.definition):
        return None
    return (await start_app(connection, job, run.triggered_by, now))[0]
