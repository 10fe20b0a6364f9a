"""One HTTP request through: the request's body up and the answer down at the same time, neither held.

An answer may come before the body has been sent, so a task of its own sends the body and then notices when the browser
goes away, which ends the exchange with the app. An answer that breaks off is broken off towards the browser too: to
end it properly would present half a file as a whole one.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from runtime.proxy.asgi import Receive, Scope, Send
from runtime.proxy.connections import Connections
from runtime.proxy.headers import Visit, first, towards_app, towards_browser
from runtime.proxy.places import Place
from runtime.proxy.upstream import AnswerError, BrokenOffError, Head, Upstream

CUT_KEY = "dlt_runtime_cut"
"""In a connection's state: what closes it without ceremony."""
VERSION_HEADER = b"x-dlt-runtime-version"
_ASKED_TWICE = frozenset(("GET", "HEAD", "OPTIONS"))
_LOOPBACK = ("127.0.0.1", "localhost", "0.0.0.0", "[::1]")  # noqa: S104 - names that apps call themselves by
_BODILESS = frozenset((204, 304))
_SANDBOX = (b"content-security-policy", b"sandbox")
_SOON_SECONDS = 0.05
"""So long a request without a body goes unwatched: most are answered by then, and a task for each costs more."""


class TooLateError(AnswerError):
    """The app has not begun to answer, or not taken what it was sent, in the time it has."""


@dataclass(frozen=True)
class Route:
    """Where a request goes.

    Attributes:
        is_foreign: Whether the address is one of the API's host, where nothing of an app's may run in a browser.
    """

    place: Place
    connections: Connections
    port: int
    version: int | None
    keeps_authorization: bool
    answer_seconds: float
    is_foreign: bool = False


@dataclass
class _Exchange:
    """What has happened so far; `began` once the browser has been told a status."""

    route: Route
    scope: Scope
    receive: Receive
    send: Send
    began: bool = False
    is_gone: asyncio.Event = field(default_factory=asyncio.Event)
    sent_body: asyncio.Event = field(default_factory=asyncio.Event)
    is_app_deaf: bool = False


async def forward(scope: Scope, receive: Receive, send: Send, route: Route) -> None:
    """Carry a request to the app and its answer back; a browser that goes away meanwhile says nothing of the app.

    Raises:
        AnswerError: the app gave no answer, and the browser has been told nothing yet.
        TooLateError: likewise, within the time it has.
    """
    exchange = _Exchange(route, scope, receive, send)
    try:
        await _carry(exchange)
    except BrokenOffError:
        if exchange.is_gone.is_set():
            return  # it was us who hung up
        if exchange.is_app_deaf:
            raise TooLateError(f"the app has not taken the request within {route.answer_seconds:g} s") from None
        raise


async def _carry(exchange: _Exchange) -> None:
    scope, route = exchange.scope, exchange.route
    method = scope["method"]
    has_body = _has_body(scope)
    used = route.connections.take_used() if method in _ASKED_TWICE and not has_body else None
    if used is not None:
        try:
            await _over(used, exchange, has_body)
        except BrokenOffError:
            if exchange.began or exchange.is_gone.is_set():
                raise
        else:
            return
    await _over(await route.connections.open(), exchange, has_body)


async def _over(upstream: Upstream, exchange: _Exchange, has_body: bool) -> None:
    scope, route, visit = exchange.scope, exchange.route, visit_of(exchange.scope)
    headers = towards_app(scope["headers"], route.place, visit, keeps_authorization=route.keeps_authorization)
    length = first(scope["headers"], b"content-length")
    if length is not None:
        headers.append((b"content-length", length))
    elif has_body:
        headers.append((b"transfer-encoding", b"chunked"))
    target = route.place.target(raw_path_of(scope), scope["query_string"])
    upstream.send_head(scope["method"].encode(), target, headers)
    is_done = False
    sending: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal sending
        sending = asyncio.create_task(_send_body(upstream, exchange, has_body, is_chunked=length is None))

    if has_body:
        begin()
    else:
        exchange.sent_body.set()
    soon = None if has_body else asyncio.get_running_loop().call_later(_SOON_SECONDS, begin)
    try:
        head = await _head(upstream, exchange)
        await _answer(upstream, exchange, head)
        is_done = exchange.sent_body.is_set()
    finally:
        if soon is not None:
            soon.cancel()
        if sending is not None:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        if is_done:
            route.connections.give_back(upstream)
        else:
            upstream.abort()


async def _send_body(upstream: Upstream, exchange: _Exchange, has_body: bool, *, is_chunked: bool) -> None:
    """Send the body, then wait for the browser to go away."""
    more, takes = has_body, True
    while (message := await exchange.receive())["type"] == "http.request":
        data = message.get("body", b"")
        if not more or not takes:
            continue
        more = message.get("more_body", False)
        pieces = [b"%x\r\n%b\r\n" % (len(data), data) if is_chunked else data] if data else []
        if is_chunked and not more:
            pieces.append(b"0\r\n\r\n")
        try:
            async with asyncio.timeout(exchange.route.answer_seconds):
                await upstream.write(b"".join(pieces))
        except BrokenOffError:
            takes = False  # what the app has said before it hung up still counts
        except TimeoutError:
            takes, exchange.is_app_deaf = False, True
            upstream.abort()
        if not more and takes:
            exchange.sent_body.set()
    exchange.is_gone.set()
    upstream.abort()


async def _head(upstream: Upstream, exchange: _Exchange) -> Head:
    """The head of the answer; the time to wait counts from when the app has got everything."""
    if not exchange.sent_body.is_set():
        answered, body_sent = asyncio.ensure_future(upstream.head()), asyncio.ensure_future(exchange.sent_body.wait())
        try:
            await asyncio.wait((answered, body_sent), return_when=asyncio.FIRST_COMPLETED)
        finally:
            body_sent.cancel()
            answered.cancel()
            with suppress(asyncio.CancelledError, AnswerError):
                await answered  # `head` says it again
    try:
        async with asyncio.timeout(exchange.route.answer_seconds):
            return (await upstream.head()).require_answer()
    except TimeoutError:
        raise TooLateError(f"the app has not answered within {exchange.route.answer_seconds:g} s") from None


async def _answer(upstream: Upstream, exchange: _Exchange, head: Head) -> None:
    scope, send = exchange.scope, exchange.send
    exchange.began = True
    headers = answer_headers(head, scope, exchange.route)
    await send({"type": "http.response.start", "status": head.status, "headers": headers})
    try:
        more = True
        while more:
            data = await upstream.read()
            more = not upstream.is_at_end
            await send({"type": "http.response.body", "body": data, "more_body": more})
    except AnswerError:
        cut(scope)
        await exchange.is_gone.wait()  # for the server to notice, which takes an early end for a mistake of ours
        return


def answer_headers(head: Head, scope: Scope, route: Route) -> list[tuple[bytes, bytes]]:
    """The headers of an app's answer as the browser gets them."""
    headers = towards_browser(head.headers, route.place, own_hosts(host_of(scope), route.port))
    if head.status in _BODILESS:  # 304 may say the length of what it does not send, which our server then waits for
        headers = [(name, value) for name, value in headers if name != b"content-length"]
    if route.version is not None:
        headers.append((VERSION_HEADER, b"%d" % route.version))
    if route.is_foreign:
        headers.append(_SANDBOX)
    return headers


def cut(scope: Scope) -> None:
    """Close the browser's connection, in the middle of an answer if there is one."""
    close: Callable[[], None] | None = scope["state"].get(CUT_KEY)
    if close is not None:
        close()


def visit_of(scope: Scope) -> Visit:
    """What of a request the app is told."""
    client = scope["client"]
    return Visit(client[0] if client else None, scheme_of(scope), host_of(scope))


def scheme_of(scope: Scope) -> str:
    """How the browser has reached us: `http` or `https`."""
    return "https" if scope["scheme"] in ("https", "wss") else "http"


def host_of(scope: Scope) -> str:
    """The host that was asked, as the browser says it."""
    return (first(scope["headers"], b"host") or b"").decode("latin-1")


@lru_cache(maxsize=256)
def own_hosts(host: str, port: int) -> frozenset[str]:
    """By which hosts the app may mean itself, where it was asked by this one and listens on this port."""
    return frozenset((host.lower(), *(f"{name}:{port}" for name in _LOOPBACK)))


def raw_path_of(scope: Scope) -> bytes:
    """The path as it came."""
    return scope["raw_path"] or b"/"


def _has_body(scope: Scope) -> bool:
    return (first(scope["headers"], b"content-length") or b"0") != b"0" or (
        first(scope["headers"], b"transfer-encoding") is not None
    )
