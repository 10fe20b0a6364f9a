"""Jobs, which the contract calls scripts: their definitions, versions, and triggering them."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from runtime.wire.model import MOST_JOBS_AT_ONCE, Flag, Instant, Name, Page, WholeNumber, WireModel
from runtime.wire.runs import RunResponse

JobType = Literal["batch", "interactive", "stream"]
DASHBOARD_JOB_REF = "jobs.workspace.dashboard"
"""The job that serves a workspace's dashboard, which the SDK adds to every `__deployment__` manifest."""

# Every selector is held against every job's triggers.
_MOST_SELECTORS = 1000
_Selector = Annotated[str, StringConstraints(max_length=500)]

ArchivedFilter = Literal["all", "true", "false"]
TriggeredStatus = Literal[
    "triggered",
    "skipped_already_covered",
    "skipped_concurrency_limit",
    "skipped_fresh",
    "skipped_minutes_limit",
    "skipped_org_concurrency_limit",
    "skipped_out_of_interval",
    "skipped_trial_expired",
    "skipped_upstream_pending",
]


class _DefinedJob(WireModel):
    """What a job and a version of it have in common.

    `job_definition` is the definition as deployed: a plain object, whose nulls (`entry_point.function`) mean something.
    `name` is the label people read; `triggers` holds the synthetic ones too, since clients match selectors against it.
    """

    id: UUID
    job_ref: str
    script_type: JobType
    version: int
    job_definition: dict[str, Any]
    job_definition_engine_version: int
    job_definition_hash: str
    created_by: UUID
    date_added: Instant
    date_updated: Instant
    name: str | None = None
    description: str | None = None
    deployment_module: str | None = None
    default_trigger: str | None = None
    triggers: list[str] | None = None
    freshness: list[str] | None = None
    interval_start: Instant | None = None
    interval_end: Instant | None = None
    pipeline_name: str | None = None
    profile: str | None = None


class ScriptResponse(_DefinedJob):
    """A job with its current definition.

    `paused`, `schedule_override` (a trigger that an operator put in the place of the declared schedule) and
    `schedule_in_words` are this runtime's own.
    """

    workspace_id: UUID
    archived: bool = False
    next_scheduled_run: Instant | None = None
    public_secret: UUID | None = None
    public_url: str | None = None
    script_url: str | None = None
    paused: bool | None = None
    schedule_override: str | None = None
    schedule_in_words: str | None = None


class DetailedScriptResponse(ScriptResponse):
    """A job with its newest run."""

    last_run: RunResponse | None = None


class ScriptVersionResponse(_DefinedJob):
    """One version of a job's definition. `max_run_time_seconds` 0 means no limit."""

    script_id: UUID
    max_run_time_seconds: int
    provider: str


class ListScriptsResponse(Page[DetailedScriptResponse]):
    """Jobs, ordered by name."""


class ListScriptVersionsResponse(Page[ScriptVersionResponse]):
    """Versions of a job, newest first."""


class CreateScriptRequest(WireModel):
    """Adds or updates one job by its reference."""

    job_ref: str
    script_type: JobType
    job_definition: dict[str, Any]
    job_definition_engine_version: WholeNumber
    job_definition_hash: str
    deployment_module: str | None = None
    description: str | None = None
    name: str | None = None
    profile: str | None = None


class TriggerJobsRequest(WireModel):
    """Starts the jobs that selectors match and those named; at least one of the two lists is needed."""

    selectors: Annotated[list[_Selector], Field(max_length=_MOST_SELECTORS)] | None = None
    job_refs: Annotated[list[Name], Field(max_length=MOST_JOBS_AT_ONCE)] | None = None
    profile: str | None = None
    refresh: Flag = False
    dry_run: Flag = False


class TriggeredJob(WireModel):
    """What became of one job: a run, or the reason there is none.

    `trigger` is the one used, `matched_triggers` all that matched. `reason` is this runtime's own: one line on a skip.
    """

    script_id: UUID
    job_ref: str
    trigger: str
    matched_triggers: list[str]
    status: TriggeredStatus = "triggered"
    run_id: UUID | None = None
    run: RunResponse | None = None
    reason: str | None = None


class TriggerJobsResponse(WireModel):
    """One entry for each job meant."""

    triggered: list[TriggeredJob]
