"""The server's side of a connection: uvicorn's, who the peer of a Unix socket is, and what strangers may cost.

uvicorn bounds neither the head of a request nor the time it takes, nor what follows an answer that came early.
"""

import asyncio
import json
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from runtime.api.access import PEER_KEY
from runtime.auth.peers import peer_of

MOST_HEAD_BYTES = 64 * 1024
"""Of request line and headers. A little more passes where it arrives at once."""
HEAD_SECONDS = 10.0
"""In which the head must be complete, from the connection's or the head's first byte on."""
LINGER_SECONDS = 30.0
"""How long a client may go on sending a body that has been answered already, before its connection is closed."""
MOST_CONNECTIONS = 500
"""From the network, at a time; those through the Unix socket neither count nor wait."""


class PeerProtocol(HttpToolsProtocol):
    """Asks the kernel who connected (SO_PEERCRED), once for each connection, and closes those that cost too much.

    Use it as `uvicorn.Config(http=PeerProtocol)`. The kernel's answer travels in `scope["state"]`, which no client can
    write to.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_head_complete = False
        self._head_bytes = 0
        self._has_message_ended = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Note the peer before the first request is read."""
        super().connection_made(transport)
        endpoint = transport.get_extra_info("socket")
        if endpoint is not None and endpoint.family == socket.AF_UNIX:
            # The state is shared by all connections; this one gets a copy of its own.
            self.app_state = {**self.app_state, PEER_KEY: peer_of(endpoint.fileno())}
        elif len(self.connections) > MOST_CONNECTIONS:
            transport.close()
            return
        self._set_timer(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer too."""
        self._set_timer(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request; a head that grows too large is answered with 431."""
        if not self._is_head_complete and self._timer is None:
            self._set_timer(HEAD_SECONDS)
        self._has_message_ended = False
        super().data_received(data)
        # A piece in which a message ended is that message's body, not the next one's head.
        if not self._is_head_complete and not self._has_message_ended and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(431, "head_too_large", "the headers of the request are too large")

    def on_headers_complete(self) -> None:
        """The head has come; how long the body takes is the application's matter."""
        self._is_head_complete = True
        self._set_timer(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is another head."""
        self._is_head_complete = False
        self._has_message_ended = True
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Whoever has an answer and still sends gets a moment to notice."""
        if self._is_head_complete:
            self._set_timer(LINGER_SECONDS)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets an error of the common shape."""
        self._refuse(400, "http", msg.rstrip(".").replace("Invalid", "invalid"))

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int, code: str, detail: str) -> None:
        body = json.dumps({"status_code": status, "detail": detail, "extra": {"code": code}}).encode("ascii")
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode("ascii") + body)
        self.transport.close()
