"""A workspace, live."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter
from litestar.response import Stream

from runtime.api.access import access
from runtime.api.change_stream import changes
from runtime.api.dependencies import Principal, Services, Settings
from runtime.api.sse import LIVE_HEADERS, last_event_id
from runtime.wire.events import ServerSentEvent


class EventController(Controller):
    """What changes in one workspace."""

    path = "/v1/workspaces/{workspace_id:uuid}/events"
    opt = access("workspace")
    tags = ("events (this runtime's own)",)

    @get(
        media_type="text/event-stream",
        responses={
            200: ResponseSpec(
                ServerSentEvent,
                media_type="text/event-stream",
                generate_examples=False,
                description="`data` is an object with `kind`, `id`, and under the name of its kind the thing as it is "
                "now: `run`, `script`, `deployment`, `configuration` or `workspace`; `deleted` where it is gone",
            )
        },
        summary="Changes of runs, jobs and deployments",
    )
    async def events(
        self,
        workspace_id: FromPath[UUID],
        services: Services,
        settings: Settings,
        principal: Principal,
        last_seen: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
    ) -> Stream:
        """Server-sent events, each with the thing as it is now; what changes twice in a moment may come once.

        The first, `position`, says where the stream begins. A reader that comes back with the `id` of the last event
        it has seen, as `Last-Event-ID`, gets everything that has changed since, however long that is ago. The stream is
        closed after the lifetime of an access token, and as a log's when the reader may not look any more.
        """
        newest = await services.feed.position(workspace_id)
        seen = last_event_id(last_seen)
        position = newest if seen is None else min(seen, newest)
        updates = services.feed.follow(principal, workspace_id, position)
        lifetime = settings.auth.access_token_seconds
        return Stream(changes(updates, position, settings.app_addresses, lifetime), headers=LIVE_HEADERS)
