"""Schedules, intervals and the graph of dependencies: this runtime's own, beside the contract's jobs."""

from uuid import UUID

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.dispatch.intervals import IntervalsView
from runtime.dispatch.schedules import ScheduleView
from runtime.errors import InvalidError
from runtime.wire.schedules import (
    BackfillRequest,
    BackfillResponse,
    GraphFormat,
    GraphResponse,
    IntervalSpanResponse,
    IntervalsResponse,
    OverrideRequest,
    ScheduleResponse,
)

_JOB = "/v1/workspaces/{workspace_id:uuid}/scripts/{script_id_or_ref:str}"


class ScheduleController(Controller):
    """What an operator does to a schedule (semantics T8)."""

    path = _JOB
    opt = access("workspace")
    tags = ("schedules (this runtime's own)",)

    @get("/schedule", summary="A job's schedule")
    async def get_schedule(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services
    ) -> ScheduleResponse:
        """In words, with its next ticks, and whether the job would run now."""
        return _schedule(await services.schedules.get(workspace_id, script_id_or_ref))

    @put("/schedule", summary="Override a schedule")
    async def override(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        data: JSONBody[OverrideRequest],
        services: Services,
        principal: Principal,
    ) -> ScheduleResponse:
        """Until it is reverted, or a deploy changes the job's triggers."""
        return _schedule(await services.schedules.override(principal, workspace_id, script_id_or_ref, data.trigger))

    @delete("/schedule", status_code=200, summary="Undo an override")
    async def revert(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services, principal: Principal
    ) -> ScheduleResponse:
        """Doing it twice changes nothing."""
        return _schedule(await services.schedules.revert(principal, workspace_id, script_id_or_ref))

    @put("/pause", summary="Pause a schedule")
    async def pause(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services, principal: Principal
    ) -> ScheduleResponse:
        """No clock starts the job any more; doing it twice changes nothing."""
        return _schedule(await services.schedules.pause(principal, workspace_id, script_id_or_ref))

    @delete("/pause", status_code=200, summary="Resume a schedule")
    async def resume(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services, principal: Principal
    ) -> ScheduleResponse:
        """Doing it twice changes nothing."""
        return _schedule(await services.schedules.resume(principal, workspace_id, script_id_or_ref))


class IntervalController(Controller):
    """What is done of a job's interval (semantics W2, W3)."""

    path = _JOB
    opt = access("workspace")
    tags = ("intervals (this runtime's own)",)

    @get("/intervals", summary="What is done of a job's interval")
    async def intervals(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services
    ) -> IntervalsResponse:
        """Done, running, failed and missing."""
        return _intervals(await services.intervals.spans(workspace_id, script_id_or_ref))

    @post("/backfill", summary="Do a part of a job's interval again")
    async def backfill(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        data: JSONBody[BackfillRequest],
        services: Services,
        principal: Principal,
    ) -> BackfillResponse:
        """The first runs begin at once."""
        if data.parallel is not None and data.parallel < 1:
            raise InvalidError("`parallel` must be at least 1", code="invalid")
        done = await services.intervals.backfill(
            principal, workspace_id, script_id_or_ref, data.start, data.end, data.parallel
        )
        return BackfillResponse(
            job_ref=done.job.job_ref,
            start=done.window[0],
            end=done.window[1],
            runs=[render.run(run, done.job.version) for run in done.runs],
        )


class GraphController(Controller):
    """How jobs depend on each other."""

    path = "/v1/workspaces/{workspace_id:uuid}/graph"
    opt = access("workspace")
    tags = ("schedules (this runtime's own)",)

    @get(summary="The graph of dependencies")
    async def graph(
        self,
        workspace_id: FromPath[UUID],
        services: Services,
        format: FromQuery[GraphFormat] = "text",  # noqa: A002
    ) -> GraphResponse:
        """Triggers, freshness and refresh, as text, Graphviz dot or Mermaid."""
        return GraphResponse(format=format, drawing=await services.schedules.graph(workspace_id, format))


def _schedule(view: ScheduleView) -> ScheduleResponse:
    return ScheduleResponse(
        job_ref=view.job.job_ref,
        timezone=view.job.version.definition.timezone,
        in_words=view.words,
        paused=view.schedule.paused_at is not None,
        date_paused=view.schedule.paused_at,
        override=view.schedule.override,
        next_ticks=list(view.next_ticks),
        would_run=view.would_run,
        explanation=view.explanation,
    )


def _intervals(view: IntervalsView) -> IntervalsResponse:
    return IntervalsResponse(
        job_ref=view.job.job_ref,
        timezone=view.interval.timezone,
        tick_by_tick=view.interval.is_discrete,
        interval_start=view.interval.start,
        interval_end=view.interval.end,
        spans=[IntervalSpanResponse(state=span.state, start=span.start, end=span.end) for span in view.spans],
    )
