"""Who may do what: one middleware that finds out who asks, one guard that compares that with what a route needs.

Every route carries a marker in its `opt`, usually through its controller. A route without one lets nobody in.
"""

from typing import Any, Literal
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Guard, Receive, Scope, Send

from runtime.auth.codes import digest, is_same_digest
from runtime.auth.peers import Peer
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.console_keys import ConsoleKeys
from runtime.dispatch.workspaces import WorkspaceService
from runtime.domain.identities import Principal
from runtime.errors import NotFoundError, RefusedError, UnauthenticatedError

Access = Literal[
    "public",
    "authenticated",
    "workspace",
    "workspace_or_link",
    "organization",
    "organization_member",
    "admin",
    "metrics",
]
"""What a route needs.

`public`: nothing. `authenticated`: to be somebody. `workspace`: a role in the workspace of the path, `owner` where the
method writes. `workspace_or_link`: that, or no credentials at all but the secret of a public link in the body, which is
the handler's to look at (`scope["user"]` is None). `organization`: to be somebody for reading, an administrator for
writing; `organization_member`: to be somebody. `admin`: to have come through the Unix socket. `metrics`: that, or the
token that the settings hold for it.
"""

METRICS_PATH = "/metrics"
METRICS_KEY = "metrics_listener"
"""In the state of a request that came to the listener for metrics alone."""
CONSOLE_KEY = "console_listener"
"""In the state of a request that came to the console's own socket, where its keys count and nothing else does."""
PEER_KEY = "peer"
"""Where the server's protocol class puts the Unix peer, in the connection's state."""
_OPT = "access"
_READING = frozenset({"GET", "HEAD"})
_METRICS_READER = object()
"""Who has come with the token for metrics, in the place of a principal."""


def access(needed: Access) -> dict[str, Any]:
    """The `opt` of a controller or handler."""
    return {_OPT: needed}


def access_of(handler: BaseRouteHandler) -> Access | None:
    """The marker of a route, if it has one."""
    marker: Access | None = handler.opt.get(_OPT)
    return marker


def is_reading(scope: Scope) -> bool:
    """Whether a request only reads."""
    return scope["method"] in _READING  # type: ignore[typeddict-item] # only HTTP routes here


class Authentication(ASGIMiddleware):
    """Puts the principal into `scope["user"]`, or answers 401.

    A bearer token counts on either listener; without one, the kernel's word on a Unix peer does. Nothing a client can
    put into a header makes it a peer.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(
        self, accounts: AccountService, metrics_token: str | None = None, console_keys: ConsoleKeys | None = None
    ) -> None:
        self._accounts = accounts
        self._console_keys = console_keys
        self._metrics_digest = digest(metrics_token) if metrics_token else None

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Authenticate, then go on."""
        if access_of(scope["route_handler"]) != "public":
            scope["user"] = await self._authenticate(scope)
        await next_app(scope, receive, send)

    def _opens_metrics(self, token: str) -> bool:
        return self._metrics_digest is not None and is_same_digest(self._metrics_digest, digest(token))

    async def _authenticate(self, scope: Scope) -> object:
        header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if header is not None:
            scheme, _, token = header.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise UnauthenticatedError("the authorization header must be `Bearer <token>`")
            if CONSOLE_KEY in scope["state"] and self._console_keys is not None:
                return await self._console_keys.principal(token.strip())
            if access_of(scope["route_handler"]) == "metrics" and self._opens_metrics(token.strip()):
                return _METRICS_READER
            return await self._accounts.authenticate(token.strip())
        peer = scope["state"].get(PEER_KEY)
        if isinstance(peer, Peer):
            return await self._accounts.local_principal(peer)
        if access_of(scope["route_handler"]) == "workspace_or_link":
            return None
        if self._metrics_digest is None and METRICS_KEY in scope["state"]:
            return _METRICS_READER  # without a token, the settings see to it that this listener is on loopback
        raise UnauthenticatedError("no access token was sent", hint="run `dlt-runtime login`")


def access_guard(workspaces: WorkspaceService) -> Guard:
    """The guard of all routes."""

    async def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        needed = access_of(handler)
        if needed == "public":
            return
        principal: Principal = connection.user
        reading = is_reading(connection.scope)
        if needed == "metrics" and connection.user is _METRICS_READER:
            return
        if needed == "workspace_or_link" and connection.user is None:
            return
        if needed in ("workspace", "workspace_or_link"):
            await _check_workspace(workspaces, principal, connection.path_params["workspace_id"], reading)
        elif needed in ("organization", "organization_member"):
            await _check_organization(workspaces, connection.path_params.get("organization_id"))
            if needed == "organization" and not reading and workspaces.organization_role(principal) != "owner":
                raise RefusedError("only administrators may change the organization")
        elif needed in ("admin", "metrics"):
            if not principal.is_admin:
                raise RefusedError(
                    "only administrators may do this", hint="run the command on the runtime's own machine"
                )
        elif needed != "authenticated":
            raise RefusedError("this is not open to anybody")

    return check


async def _check_workspace(
    workspaces: WorkspaceService, principal: Principal, workspace_id: UUID, reading: bool
) -> None:
    role = await workspaces.role(principal, workspace_id)
    if role is None:
        # One answer for "is not there" and "is not yours": nobody learns of other people's workspaces.
        raise NotFoundError(
            f"there is no workspace `{workspace_id}`",
            code="workspace_not_found",
            hint="`dlt-runtime workspace switch NAME` connects a directory to one of yours",
        )
    if role != "owner" and not reading:
        raise RefusedError("you may look at this workspace, but not change or run anything in it")


async def _check_organization(workspaces: WorkspaceService, organization_id: UUID | None) -> None:
    if organization_id is not None and organization_id != (await workspaces.organization()).id:
        raise NotFoundError(f"there is no organization `{organization_id}`", code="organization_not_found")
