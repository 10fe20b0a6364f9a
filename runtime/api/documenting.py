"""What every route answers besides its success, put into the OpenAPI document in one place.

Which errors a route can give follows from who may use it and whether it takes a body, so routes need not list them; a
route that lists one for itself keeps it.
"""

from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from runtime.api.access import access_of
from runtime.api.revalidation import is_revalidated
from runtime.wire.errors import ErrorResponse

_MEANINGS = {
    400: "What was sent does not fit; repeating it does not help",
    401: "Nobody, or nobody known, is asking",
    403: "The caller's role does not allow it",
    404: "There is no such thing, or the caller may not know of it",
    408: "The body came too slowly",
    409: "It does not fit the present state",
    413: "The body is too large",
    429: "Too many requests from this address",
    503: "Something the runtime leans on does not work at present",
    507: "The disk of the runtime has no room for it",
}


class ErrorDocumentation(ReceiveRoutePlugin):
    """Documents errors, 304 where answers carry validators, and what needs no credentials."""

    def receive_route(self, route: BaseRoute) -> None:
        """Complete the responses of a route's handlers."""
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                handler.responses = {**_responses(handler), **(handler.responses or {})}
                if access_of(handler) == "public" and not handler.security:
                    handler.security = [{}]


def _responses(handler: HTTPRouteHandler) -> dict[int, ResponseSpec]:
    is_writing = bool(handler.http_methods - {"GET", "OPTIONS"})
    statuses = {400}
    if access_of(handler) != "public":
        statuses |= {401, 403, 404, 409} | ({429} if access_of(handler) == "workspace_or_link" else set())
    elif is_writing:
        statuses |= {401, 403, 409, 429, 503}
    if is_writing:
        statuses |= {503, 507}  # the database is held by others; the disk has no room
    if is_writing and {"data", "request"} & handler.parsed_fn_signature.parameters.keys():
        statuses |= {408, 413}  # it reads a body
    described = {
        status: ResponseSpec(ErrorResponse, generate_examples=False, description=_MEANINGS[status])
        for status in sorted(statuses)
    }
    if is_revalidated(handler.opt):
        described[304] = ResponseSpec(None, generate_examples=False, description="Nothing has changed meanwhile")
    return described
