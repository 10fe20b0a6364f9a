"""Runs: their state, starting one and cancelling."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from runtime.wire.model import MOST_JOBS_AT_ONCE, Count, Flag, Instant, Name, PlausibleTime, WireModel

RunStatus = Literal["pending", "starting", "running", "cancelling", "completed", "failed", "cancelled", "skipped"]
FINAL_RUN_STATUSES: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled", "skipped"})
RunStatusFilter = Literal["succeeded", "failed", "cancelled", "other"]
_MOST_NAMED = 100
_Names = Annotated[tuple[Name, ...], Field(max_length=_MOST_NAMED)]

RunMode = Literal["always", "when_not_running"]


class PipelineRunSummaryResponse(WireModel):
    """What a pipeline reported of itself during a run; `duration_ms` is milliseconds.

    `rows_by_table` and `schema_changes`, the columns that came to be by table, are this runtime's own.
    """

    pipeline_name: str
    dataset_name: str | None = None
    destination_name: str | None = None
    duration_ms: Count | None = None
    finished_at: Instant | None = None
    started_at: Instant | None = None
    status: str | None = None
    total_rows: Count | None = None
    transaction_id: str | None = None
    rows_by_table: dict[str, Count] | None = None
    schema_changes: dict[str, tuple[str, ...]] | None = None


class UpsertPipelineRunSummaryRequest(PipelineRunSummaryResponse):
    """Attaches or replaces the summary of one pipeline on a run, of a size that suits lists of runs."""

    pipeline_name: Name
    dataset_name: Name | None = None
    destination_name: Name | None = None
    finished_at: PlausibleTime | None = None
    started_at: PlausibleTime | None = None
    status: Name | None = None
    transaction_id: Name | None = None
    rows_by_table: Annotated[dict[Name, Count], Field(max_length=_MOST_NAMED)] | None = None
    schema_changes: Annotated[dict[Name, _Names], Field(max_length=_MOST_NAMED)] | None = None


class RunResponse(WireModel):
    """One run. `number` counts per job from 1, `duration` is whole seconds and absent while the run goes on.

    `job_ref`, `job_name`, `reason` and `exit_code` are this runtime's own: the job, its label, why the run failed, was
    skipped or was cancelled, and what its process exited with. So are `scheduled_at`, the tick that a timed run stands
    for, and of a skipped run `outcome` and `skip_count`, how many equal skips in a row it stands for.
    """

    id: UUID
    workspace_id: UUID
    script_version_id: UUID
    deployment_id: UUID
    configuration_id: UUID
    number: int
    status: RunStatus
    trigger: str
    date_added: Instant
    date_updated: Instant
    duration: int | None = None
    interval_start: Instant | None = None
    interval_end: Instant | None = None
    logs: str | None = None
    pipeline_run_summaries: list[PipelineRunSummaryResponse] | None = None
    prev_run_id: UUID | None = None
    profile: str | None = None
    time_started: Instant | None = None
    time_ended: Instant | None = None
    triggered_by: UUID | None = None
    job_ref: str | None = None
    job_name: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    scheduled_at: Instant | None = None
    outcome: str | None = None
    skip_count: int | None = None


class CreateRunRequest(WireModel):
    """Starts one run of one job; `when_not_running` answers with the active run if there is one."""

    script_id_or_ref_or_secret: str
    trigger: str
    mode: RunMode = "always"
    profile: str | None = None
    refresh: Flag = False
    skip_freshness: Flag = False


class BulkCancelRequest(WireModel):
    """Cancels the newest active run of each job; a dry run only says which."""

    job_refs: Annotated[list[Name], Field(max_length=MOST_JOBS_AT_ONCE)]
    dry_run: Flag = False


class CancelledRunInfo(WireModel):
    """A run that is being cancelled, and the status it had."""

    job_ref: str
    run_id: UUID
    run_number: int
    previous_status: RunStatus


class BulkCancelResponse(WireModel):
    """`not_running` lists the jobs that had no active run."""

    cancelled: list[CancelledRunInfo]
    not_running: list[str]
