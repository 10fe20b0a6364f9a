"""The `Host` header must be an address: the links that pages and logins hand out are made from it."""

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from runtime.errors import InvalidError
from runtime.listeners import is_host


class HostHeader(ASGIMiddleware):
    """Answers 400 to a request whose `Host` is none. Paths for which there is no route never get as far."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look at the header; a request without one is of HTTP/1.0 and may be."""
        header = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if not is_host(header.decode("latin-1")):
            raise InvalidError("the `Host` header of the request is no address", code="host")
        await next_app(scope, receive, send)
