"""Logs of a run, stored and live."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter
from litestar.response import Stream

from runtime.api import render
from runtime.api.access import access
from runtime.api.controllers.runs import find_run
from runtime.api.dependencies import Services
from runtime.api.log_stream import document, events
from runtime.wire.logs import LogsResponse, LogStreamEvent

_LIVE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # no proxy may hold lines back


class LogController(Controller):
    """Log lines of one run."""

    path = "/v1/workspaces/{workspace_id:uuid}/runs/{run_id:uuid}/logs"
    opt = access("workspace")
    tags = ("logs",)

    @get(
        media_type="application/json",
        responses={200: ResponseSpec(LogsResponse, generate_examples=False, description="The run and its lines")},
        summary="Stored lines",
    )
    async def logs(
        self,
        workspace_id: FromPath[UUID],
        run_id: FromPath[UUID],
        services: Services,
        script_id: FromQuery[UUID | None] = None,
    ) -> Stream:
        """All there are at the moment."""
        view = await find_run(services, workspace_id, run_id, script_id)
        lines = await services.runs.logs(run_id)
        return Stream(document(render.detailed_run(view), lines))

    @get(
        "/stream",
        media_type="text/event-stream",
        responses={
            200: ResponseSpec(
                LogStreamEvent,
                media_type="text/event-stream",
                generate_examples=False,
                description="One such object in the data of each event",
            )
        },
        summary="Live lines",
    )
    async def stream(
        self,
        workspace_id: FromPath[UUID],
        run_id: FromPath[UUID],
        services: Services,
        script_id: FromQuery[UUID | None] = None,
        last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    ) -> Stream:
        """Server-sent events: stored lines at once, new ones as they come; closed when the run has ended.

        A reader that comes back sends the number of its last line as `Last-Event-ID` and gets those after it.
        """
        await find_run(services, workspace_id, run_id, script_id)
        from_line = int(last_event_id) + 1 if last_event_id and last_event_id.isdecimal() else 0
        return Stream(events(services.runs.follow(run_id, from_line)), headers=_LIVE_HEADERS)
