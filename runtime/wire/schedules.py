"""This runtime's own additions to jobs: schedules, intervals, webhooks and the graph of dependencies."""

from typing import Literal
from uuid import UUID

from runtime.wire.model import Instant, WireModel
from runtime.wire.runs import RunResponse

IntervalState = Literal["done", "running", "failed", "missing"]
GraphFormat = Literal["text", "dot", "mermaid"]


class ScheduleResponse(WireModel):
    """A job's schedule.

    `in_words` is the schedule in force and empty for a job without one; `override` the trigger that an operator put in
    the place of the declared one; `next_ticks` are ascending. `would_run` and `explanation` say whether the job would
    start now by its default trigger, and why.
    """

    job_ref: str
    timezone: str
    in_words: str
    paused: bool
    date_paused: Instant | None = None
    override: str | None = None
    next_ticks: list[Instant]
    would_run: bool
    explanation: str


class OverrideRequest(WireModel):
    """`trigger` is `schedule:<cron>`, a bare cron expression, or `every:<period>`."""

    trigger: str


class IntervalSpanResponse(WireModel):
    """A stretch of an interval in one state, half-open."""

    state: IntervalState
    start: Instant
    end: Instant


class IntervalsResponse(WireModel):
    """What has passed of a job's interval, in order, without gap or overlap. `tick_by_tick`: see `backfill`."""

    job_ref: str
    timezone: str
    tick_by_tick: bool
    interval_start: Instant
    interval_end: Instant | None = None
    spans: list[IntervalSpanResponse]


class BackfillRequest(WireModel):
    """Does a part of a job's interval again: whole ticks between `start` and `end`.

    A job that does not work tick by tick goes back to `start` and does all from there on; it takes no `end`, and
    nothing in `parallel`.
    """

    start: Instant
    end: Instant | None = None
    parallel: int | None = None


class BackfillResponse(WireModel):
    """What is open again, and the runs that began at once; others follow as those succeed."""

    job_ref: str
    start: Instant
    end: Instant
    runs: list[RunResponse]


class HookResponse(WireModel):
    """A token for the webhooks of a job; `urls` are what it opens."""

    id: UUID
    job_ref: str
    urls: list[str]
    created_by: UUID
    date_added: Instant
    date_used: Instant | None = None
    date_revoked: Instant | None = None


class CreatedHookResponse(HookResponse):
    """A new token, with its secret this once."""

    token: str


class ListHooksResponse(WireModel):
    """Tokens of a job, newest first."""

    items: list[HookResponse]


class HookCallResponse(WireModel):
    """What a call of a webhook did: `status` is `triggered`, or why not, with the `reason` in words."""

    job_ref: str
    status: str
    run_id: UUID | None = None
    run_number: int | None = None
    reason: str | None = None


class GraphResponse(WireModel):
    """The jobs of a workspace and what connects them, as text of the format asked for."""

    format: GraphFormat
    drawing: str
