"""Turning a decision to start a job into a run row, inside the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from runtime.domain.jobs import Job
from runtime.domain.packages import Configuration, Deployment
from runtime.domain.runs import Run
from runtime.domain.starting import Skip, Start, StartFacts, decide_start
from runtime.errors import ConflictError
from runtime.store import packages, schedules
from runtime.store import runs as store
from runtime.store.database import Connection


@dataclass(frozen=True)
class StartRequest:
    """Why and how a job is to start. `record_skip` makes a skip a row of the run list (semantics D7)."""

    trigger: str
    profile: str | None = None
    refresh: bool = False
    prev_run_id: UUID | None = None
    triggered_by: UUID | None = None
    record_skip: bool = False


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


async def start_job(
    connection: Connection, job: Job, request: StartRequest, now: datetime
) -> tuple[Run | None, Skip | None]:
    """Decide whether `job` starts and record it: a pending run, or a skip (with its row if so requested)."""
    deployment, configuration = await active_versions(connection, job.workspace_id)
    facts = StartFacts(
        configuration=configuration,
        active_runs=len(await store.active_runs(connection, job.id)),
        completed_until=await schedules.completed_until(connection, job.id),
    )
    decision = decide_start(job, request.trigger, facts, now, request.profile)
    if isinstance(decision, Skip) and not request.record_skip:
        return None, decision
    run = Run(
        id=uuid4(),
        workspace_id=job.workspace_id,
        job_id=job.id,
        job_ref=job.job_ref,
        job_version_id=job.version.id,
        deployment_id=deployment.id,
        configuration_id=configuration.id,
        number=await store.next_number(connection, job.id),
        trigger=request.trigger,
        refresh=request.refresh,
        prev_run_id=request.prev_run_id,
        triggered_by=request.triggered_by,
        created_at=now,
        updated_at=now,
        **_outcome(decision, now),
    )
    await store.add_run(connection, run)
    return run, decision if isinstance(decision, Skip) else None


def _outcome(decision: Start | Skip, now: datetime) -> dict[str, Any]:
    if isinstance(decision, Skip):
        return {"status": "skipped", "profile": decision.profile, "reason": decision.reason, "ended_at": now}
    return {
        "status": "pending",
        "profile": decision.profile,
        "interval_start": decision.interval_start,
        "interval_end": decision.interval_end,
    }
