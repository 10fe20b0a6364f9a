"""WebSockets through: the opening handshake is ours to judge, what follows belongs to the two ends.

After the app has said 101 the two connections are joined and bytes pass as they come. So subprotocols, extensions,
fragments, pings, close codes and their reasons are the ends' own, nothing is held that could grow, a side that does not
read stops the other from sending, and a WebSocket may be quiet for as long as it likes. (uvicorn's own implementation
and a client library would each take every message apart and put it together again.) Of the frames only their ends are
followed, and only from the app's side, so that a WebSocket that has to end gets a proper closing frame.

A browser that has vanished without a word is noticed by TCP's own probes, or its app would never be idle.
"""

import asyncio
import socket
from collections.abc import Sequence

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from runtime.proxy.asgi import Message, Scope
from runtime.proxy.frames import Boundary, close_frame
from runtime.proxy.upstream import Upstream

TUNNEL = "dlt_runtime.tunnel"
"""The ASGI extension: `scope["extensions"][TUNNEL]` is the `Tunnel`."""

GOING_AWAY, NOT_ALLOWED, BAD_GATEWAY, RESTART = 1001, 1008, 1014, 1012
_BUFFER_BYTES = 256 * 1024
_PROBE_AFTER, _PROBE_EVERY, _PROBES = 60, 15, 4


class Tunnel(asyncio.Protocol):
    """The browser's side of a WebSocket; the server makes one when it is asked for one.

    The application either answers with `websocket.http.response.*` or joins the tunnel with an app's connection.
    """

    def __init__(self, config: uvicorn.Config, server_state: ServerState) -> None:
        self._config = config
        self._state = server_state
        self._transport: asyncio.Transport | None = None
        self._far_side: _FarSide | None = None
        self._boundary = Boundary()
        self._ended = asyncio.Event()
        self._left = asyncio.Event()
        self._early: list[bytes] = []
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._has_begun = False

    def take_over(self, transport: asyncio.Transport, http_scope: Scope) -> None:
        """Go on with a connection on which a browser has asked for a WebSocket.

        Args:
            transport: Its own; `close` hangs up on a browser that does not take what is left.
        """
        self._transport = transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        _probe(transport)
        self._state.connections.add(self)  # type: ignore[arg-type]
        task = asyncio.get_running_loop().create_task(self._run(_websocket_scope(http_scope, self)))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def join(self, upstream: Upstream, head: Sequence[tuple[bytes, bytes]]) -> None:
        """Pass on that the app has agreed, and then everything, until either side ends or the tunnel is closed.

        Returns when the browser has taken what was left for it, or is gone: so long it holds a connection.
        """
        transport = self._the_transport
        transport.write(_head(101, head))
        self._has_begun = True
        self._far_side = far_side = _FarSide(self, upstream.transport)
        upstream.transport.set_protocol(far_side)
        if not self._may_write.is_set():
            upstream.transport.pause_reading()
        if upstream.rest:
            far_side.data_received(upstream.rest)
        for piece in self._early:
            upstream.transport.write(piece)
        if upstream.is_lost:
            far_side.connection_lost(None)
        elif self._may_write.is_set():
            upstream.transport.resume_reading()
        await self._ended.wait()
        upstream.transport.abort()
        await self._left.wait()

    def close(self, code: int, reason: str) -> None:
        """End it, from our side: with a closing frame where the app is not in the middle of one."""
        transport = self._transport
        if transport is None or self._ended.is_set():
            return
        if self._has_begun and self._boundary.is_between and not self._boundary.has_closed:
            transport.write(close_frame(code, reason))
        self._ended.set()
        transport.close()

    def shutdown(self) -> None:
        """The server is about to end."""
        self.close(RESTART, "the runtime is being stopped")

    # What the two transports call.

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """The browser is gone."""
        self._state.connections.discard(self)
        self._transport = None
        self._may_write.set()
        self._ended.set()
        self._left.set()

    def data_received(self, data: bytes) -> None:
        """From the browser."""
        if self._far_side is not None:
            self._far_side.transport.write(data)
        elif sum(map(len, self._early)) < _BUFFER_BYTES:
            self._early.append(data)
        else:
            self._the_transport.abort()

    def pause_writing(self) -> None:
        """The browser does not keep up: the app has to wait."""
        self._may_write.clear()
        if self._far_side is not None:
            self._far_side.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._may_write.set()
        if self._far_side is not None and not self._far_side.transport.is_closing():
            self._far_side.transport.resume_reading()

    def write_from_app(self, data: bytes) -> None:
        """From the app."""
        if self._transport is not None and not self._ended.is_set():
            self._boundary.feed(data)
            self._transport.write(data)

    def pause_browser(self, *, paused: bool) -> None:
        """The app does not keep up, or does again."""
        if self._transport is not None and not self._transport.is_closing():
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def app_is_gone(self) -> None:
        """The app has hung up: properly, after closing frames, or because it has ended."""
        if self._boundary.has_closed:
            self._ended.set()
            if self._transport is not None:
                self._transport.close()
        else:
            self.close(BAD_GATEWAY, "the app has ended")

    @property
    def _the_transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise ConnectionResetError("the browser is gone")
        return self._transport

    async def _run(self, scope: Scope) -> None:
        try:
            await self._config.loaded_app(scope, self._receive, self._send)
        except ConnectionResetError:
            pass
        finally:
            if self._transport is not None:
                self._transport.close()

    async def _receive(self) -> Message:
        await self._ended.wait()
        return {"type": "websocket.disconnect", "code": GOING_AWAY}

    async def _send(self, message: Message) -> None:
        transport = self._the_transport
        match message["type"]:
            case "websocket.http.response.start":
                transport.write(_head(message["status"], [*message["headers"], (b"connection", b"close")]))
            case "websocket.http.response.body":
                transport.write(message.get("body", b""))
                await self._may_write.wait()
                if not message.get("more_body", False):
                    transport.close()
            case _:  # `websocket.close` before anything else: as the ASGI specification has it
                transport.write(_head(403, [(b"content-length", b"0"), (b"connection", b"close")]))
                transport.close()


class _FarSide(asyncio.Protocol):
    """The app's side."""

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._tunnel.write_from_app(data)

    def pause_writing(self) -> None:
        self._tunnel.pause_browser(paused=True)

    def resume_writing(self) -> None:
        self._tunnel.pause_browser(paused=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._tunnel.app_is_gone()


def tunnel_of(scope: Scope) -> Tunnel:
    """The tunnel that a WebSocket's scope comes with."""
    tunnel: Tunnel = scope["extensions"][TUNNEL]
    return tunnel


def _websocket_scope(http_scope: Scope, tunnel: Tunnel) -> Scope:
    protocols = [value for name, value in http_scope["headers"] if name == b"sec-websocket-protocol"]
    return {
        **http_scope,
        "type": "websocket",
        "scheme": {"http": "ws", "https": "wss"}.get(http_scope["scheme"], http_scope["scheme"]),
        "subprotocols": [each.strip() for line in protocols for each in line.decode("latin-1").split(",")],
        "extensions": {"websocket.http.response": {}, TUNNEL: tunnel},
    }


def _head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [STATUS_LINE[status]]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _probe(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_EVERY)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
