"""What of the console is no page: the WebSocket behind a page, and files that are downloaded from it.

The page is the API's (`/w/<workspace>`) and so is this: the same origin, the same session, the same login. A request
counts only with the session's cookie and from a page of this origin, and goes on into that session's own sandbox.
"""

import asyncio
import re
from contextlib import suppress
from urllib.parse import urlsplit
from uuid import UUID

import structlog

from runtime.api.pages.browser import cookie_name
from runtime.auth.codes import is_secret
from runtime.console.hosts import LOOK_AGAIN_SECONDS, ConsoleHosts, Host
from runtime.dispatch.signing_in import SignInService
from runtime.dispatch.workspaces import WorkspaceService
from runtime.domain.identities import Principal, User
from runtime.errors import JobRuntimeError, sentence
from runtime.proxy.asgi import Message, Receive, Scope, Send
from runtime.proxy.forwarding import Route, forward, raw_path_of, visit_of
from runtime.proxy.headers import cookie_values
from runtime.proxy.origins import may_use_cookies
from runtime.proxy.pages import notice
from runtime.proxy.places import Place
from runtime.proxy.sockets import forward_websocket
from runtime.proxy.tunnel import NOT_ALLOWED, tunnel_of
from runtime.proxy.upstream import AnswerError
from runtime.settings import Settings

ANSWER_SECONDS = 30.0
_PAGE = re.compile(rb"/w/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/(?:runs|jobs|pipelines)/[\w.~%-]{1,300})?/ws")
_DOWNLOAD = re.compile(rb"/download/[\w-]{1,64}")
_CONFINED = (
    (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""What is downloaded is looked at as nothing of this origin, should a browser show it rather than keep it."""

log = structlog.get_logger()


class Console:
    """The ASGI application."""

    def __init__(
        self, sign_in: SignInService, workspaces: WorkspaceService, hosts: ConsoleHosts, settings: Settings
    ) -> None:
        self._sign_in = sign_in
        self._workspaces = workspaces
        self._hosts = hosts
        self._settings = settings

    def is_for_console(self, scope: Scope) -> bool:
        """Whether a request on the API's listener is for this."""
        path = raw_path_of(scope)
        if scope["type"] == "websocket":
            return _PAGE.fullmatch(path) is not None
        return scope["method"] == "GET" and _DOWNLOAD.fullmatch(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket."""
        try:
            secret = self._session_secret(scope)
            user = await self._sign_in.current(secret)
            if user is None or secret is None:
                await notice(scope, send, 401, "unauthenticated", "Who is there?", "Sign in to see this.")
            elif scope["type"] == "websocket":
                await self._page(scope, receive, send, secret, user)
            elif (host := self._hosts.present(secret)) is None:
                await _nothing(scope, send)
            else:
                await forward(scope, receive, _confined(send), _route(host))
        except AnswerError as error:
            log.error("The console does not answer", action="console", error=str(error))  # noqa: TRY400
            await notice(scope, send, 502, "console_answer", "That did not work", "The console did not answer.")
        except JobRuntimeError as error:
            log.warning(error.message, action="console", code=error.code)
            await notice(scope, send, 503, error.code, "That did not work", sentence(error.message))

    async def _page(self, scope: Scope, receive: Receive, send: Send, secret: str, user: User) -> None:
        found = _PAGE.fullmatch(raw_path_of(scope))
        workspace_id = UUID(found[1].decode()) if found else None
        if workspace_id is None or await self._workspaces.role(Principal(user=user), workspace_id) is None:
            await _nothing(scope, send)
            return
        with self._hosts.page(secret, user.id) as host:
            watching = asyncio.create_task(self._watch(scope, user, workspace_id))
            try:
                await forward_websocket(scope, receive, send, _route(host))
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching

    async def _watch(self, scope: Scope, user: User, workspace_id: UUID) -> None:
        """End a page when the membership behind it has ended; the end of a session ends its sandbox."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                role = await self._workspaces.role(Principal(user=user), workspace_id)
            except JobRuntimeError as error:  # nothing is known of it; the next look tells
                log.warning(error.message, action="console.watch", code=error.code)
                continue
            if role is None:
                tunnel_of(scope).close(NOT_ALLOWED, "you are no member of this workspace any more")
                return

    def _session_secret(self, scope: Scope) -> str | None:
        """What the session's cookie holds, where it counts."""
        if not may_use_cookies(scope):
            return None
        public = self._settings.public_url
        is_secure = (urlsplit(public).scheme if public else visit_of(scope).scheme) == "https"
        values = cookie_values(scope["headers"], cookie_name("session", is_secure=is_secure))
        return next((value for value in values if is_secret(value)), None)


def _route(host: Host) -> Route:
    return Route(
        place=Place(""),
        connections=host.connections,
        port=0,
        version=None,
        keeps_authorization=False,
        answer_seconds=ANSWER_SECONDS,
    )


def _confined(send: Send) -> Send:
    names = {name for name, _ in _CONFINED}

    async def confined(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if each[0] not in names]
            message = {**message, "headers": [*kept, *_CONFINED]}
        await send(message)

    return confined


async def _nothing(scope: Scope, send: Send) -> None:
    await notice(scope, send, 404, "not_found", "There is nothing here", "There is nothing here, or nothing of yours.")
