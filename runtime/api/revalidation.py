"""Lists that are polled need not be sent again while nothing changes: weak validators, `If-None-Match` and 304.

A validator is the number of the last change of whatever an answer shows. It is read before the answer is made, so it
may be older than the answer, which costs one needless answer, and never newer, which would hide a change for good.
"""

from typing import Any
from uuid import UUID

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from runtime.api.access import is_reading
from runtime.api.version import VERSION
from runtime.dispatch.feed import FeedService
from runtime.store.changes import ChangeKind

_OPT = "revalidated"
_STATE = "validator"
_HEADERS = ((b"cache-control", b"private, no-cache"), (b"vary", b"authorization"))


def revalidated(*shows: ChangeKind) -> dict[str, Any]:
    """The `opt` of a handler whose answer shows things of these kinds; without any, one run and its job."""
    return {_OPT: shows}


def is_revalidated(opt: dict[str, Any]) -> bool:
    """Whether a handler's answers carry validators."""
    return _OPT in opt


class Revalidation(ASGIMiddleware):
    """Puts validators on answers, answers 304, and wakes those who follow a workspace that somebody has written to."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, feed: FeedService) -> None:
        self._feed = feed

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on, and the answer back with its validator."""

        async def send_validated(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 304):
                validator = scope["state"].get(_STATE)
                if validator is not None:
                    headers = [*message["headers"], (b"etag", validator.encode("ascii")), *_HEADERS]
                    message = {**message, "headers": headers}
            await send(message)

        await next_app(scope, receive, send_validated)
        workspace_id = scope["path_params"].get("workspace_id")
        if isinstance(workspace_id, UUID) and not is_reading(scope):
            self._feed.wake(workspace_id)

    async def before_request(self, request: Request[Any, Any, Any]) -> Response[None] | None:
        """Read the validator of what is asked for, once the guard has let the request through."""
        shows = request.route_handler.opt.get(_OPT)
        if shows is None:
            return None
        validator = await self._validator(request, shows)
        request.scope["state"][_STATE] = validator
        if validator is not None and _has(request, validator):
            return Response(None, status_code=304)
        return None

    async def _validator(self, request: Request[Any, Any, Any], shows: tuple[ChangeKind, ...]) -> str | None:
        workspace_id: UUID = request.path_params["workspace_id"]
        if shows:
            number = await self._feed.version(workspace_id, shows)
        else:
            number = await self._feed.run_version(workspace_id, request.path_params["run_id"])
        return f'W/"{number}-{VERSION}"' if number else None


def _has(connection: ASGIConnection[Any, Any, Any, Any], validator: str) -> bool:
    """Whether the client holds the answer already (RFC 9110, 13.1.2, weak comparison)."""
    known = connection.headers.getall("if-none-match", [])
    tags = {tag.strip().removeprefix("W/") for header in known for tag in header.split(",")}
    return "*" in tags or validator.removeprefix("W/") in tags
