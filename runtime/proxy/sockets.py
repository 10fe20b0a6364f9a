"""A WebSocket through: the opening handshake with the app, then the tunnel; a refusal is passed on as it is."""

import asyncio

from runtime.proxy.asgi import Receive, Scope, Send
from runtime.proxy.forwarding import Route, TooLateError, answer_headers, cut, raw_path_of, visit_of
from runtime.proxy.headers import first, towards_app
from runtime.proxy.tunnel import tunnel_of
from runtime.proxy.upstream import AnswerError, BrokenOffError, Head, Upstream

_UPGRADE = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))


async def forward_websocket(scope: Scope, receive: Receive, send: Send, route: Route) -> None:
    """Ask the app for a WebSocket, and join the two ends if it agrees, unless the browser goes away before.

    Raises:
        AnswerError: the app gave no answer.
    """
    upstream = await route.connections.open()
    leaving = asyncio.create_task(_hang_up_after(receive, upstream))
    try:
        visit = visit_of(scope)
        headers = towards_app(scope["headers"], route.place, visit, keeps_authorization=route.keeps_authorization)
        target = route.place.target(raw_path_of(scope), scope["query_string"])
        upstream.send_head(b"GET", target, [*headers, *_UPGRADE])
        head = await _head(upstream, route.answer_seconds)
        answer = answer_headers(head, scope, route)
        if head.status == 101:
            await tunnel_of(scope).join(upstream, [*answer, *_UPGRADE])
        else:
            await _refuse(scope, send, upstream, head.status, answer)
    except BrokenOffError:
        if not leaving.done():  # else it was us who hung up
            raise
    finally:
        leaving.cancel()
        upstream.abort()


async def _hang_up_after(receive: Receive, upstream: Upstream) -> None:
    """Wait until the browser is gone, or the tunnel was closed; an app that has not answered need not go on."""
    await receive()
    upstream.abort()


async def _head(upstream: Upstream, seconds: float) -> Head:
    try:
        async with asyncio.timeout(seconds):
            head = await upstream.head()
    except TimeoutError:
        raise TooLateError(f"the app has not answered within {seconds:g} s") from None
    if head.status != 101:
        return head.require_answer()
    if (first([(n.lower(), v) for n, v in head.headers], b"upgrade") or b"").lower() != (b"websocket"):
        raise AnswerError("the app switches to a protocol that was not asked for")
    return head


async def _refuse(
    scope: Scope, send: Send, upstream: Upstream, status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    try:
        while data := await upstream.read():
            await send({"type": "websocket.http.response.body", "body": data, "more_body": True})
    except AnswerError:
        cut(scope)  # neither half an answer as a whole one, nor one of ours after its head
        return
    await send({"type": "websocket.http.response.body", "body": b"", "more_body": False})
