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
from runtime.api.dependencies import Principal, Services
from runtime.api.log_stream import document, events
from runtime.api.sse import LIVE_HEADERS, last_event_id
from runtime.wire.events import ServerSentEvent
from runtime.wire.logs import LogsResponse


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
        return Stream(document(render.detailed_run(view), await services.runs.logs(run_id)))

    @get(
        "/stream",
        media_type="text/event-stream",
        responses={
            200: ResponseSpec(
                ServerSentEvent,
                media_type="text/event-stream",
                generate_examples=False,
                description="`data` is an object with `channel`, `line_num`, `reported_at` and `content`",
            )
        },
        summary="Live lines",
    )
    async def stream(
        self,
        workspace_id: FromPath[UUID],
        run_id: FromPath[UUID],
        services: Services,
        principal: Principal,
        script_id: FromQuery[UUID | None] = None,
        last_seen: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    ) -> Stream:
        """Server-sent events: stored lines at once, new ones as they come; closed when the run has ended.

        A reader that comes back sends the number of its last line as `Last-Event-ID` and gets those after it. The
        stream is closed as well, within seconds, when the reader is no member any more, or came with a token or a login
        that has ended.
        """
        await find_run(services, workspace_id, run_id, script_id)
        last_line = last_event_id(last_seen)
        from_line = 0 if last_line is None else last_line + 1
        return Stream(events(services.runs.follow(run_id, from_line, principal)), headers=LIVE_HEADERS)
