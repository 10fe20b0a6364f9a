"""A connection to an app: one request at a time, its answer as it comes.

`httptools`, which reads what browsers send us, reads what apps answer too: it is strict about framing, quick, and
hands over headers and bodies as they are. What it does not bound is bounded here: the head of an answer, what frames
its body, and what is read ahead of a browser that does not keep up. No content is decoded, no redirect followed and no
cookie kept. Trailers are dropped: behind the head they could only be taken for what they are not.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools

MOST_HEAD_BYTES = 64 * 1024
"""Of a head, and of what comes after it without being body: the sizes of chunks with what may follow, and trailers."""
MOST_HEADERS = 256
_READ_AHEAD_BYTES = 256 * 1024
_PIECE_BYTES = 64
"""What a piece of a body costs besides its bytes."""
_WRITE_AHEAD_BYTES = 256 * 1024
_CHUNK_FREE = frozenset((204, 304))


class AnswerError(Exception):
    """The app did not answer, or not in HTTP; the message says how."""


class BrokenOffError(AnswerError):
    """The connection has ended before the answer was complete."""


@dataclass(frozen=True)
class Head:
    """Status and headers of an answer; names as the app spells them."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]

    def require_answer(self) -> "Head":
        """Itself, if it is that of an answer.

        Raises:
            AnswerError: its status is none that was asked for, as a switch to another protocol is not.
        """
        if not 200 <= self.status < 600:
            raise AnswerError(f"the app answers with status {self.status}, which was not asked for")
        return self


@dataclass
class _Reading:
    """What is known of the answer that is coming."""

    is_head_request: bool = False
    bytes_of_framing: int = 0
    has_got_on: bool = False
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    head: Head | None = None
    is_framed: bool = False
    is_complete: bool = False
    error: AnswerError | None = None
    fresh: list[bytes] = field(default_factory=list)
    pieces: deque[bytes] = field(default_factory=deque)
    size: int = 0

    def keep_fresh(self) -> None:
        """Make one piece of what has come of the body at once: in tiny chunks it would cost many times its size."""
        if self.fresh:
            piece = self.fresh[0] if len(self.fresh) == 1 else b"".join(self.fresh)
            self.fresh.clear()
            self.pieces.append(piece)
            self.size += len(piece) + _PIECE_BYTES


class Upstream(asyncio.Protocol):
    """One connection; make it with `connect`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._reading = _Reading()
        self._news = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._is_paused = False
        self._keeps_alive = False
        self.is_lost = False
        self.rest = b""
        """What has come after the head of an answer that switches protocols."""

    @classmethod
    async def connect(cls, connected: socket.socket) -> "Upstream":
        """Over a socket that is connected already, which becomes ours."""
        connected.setblocking(False)
        _, protocol = await asyncio.get_running_loop().create_connection(cls, sock=connected)
        return protocol

    @property
    def transport(self) -> asyncio.Transport:
        """What it runs over."""
        assert self._transport is not None  # noqa: S101 - there is none before `connect` returns
        return self._transport

    @property
    def is_reusable(self) -> bool:
        """Whether the exchange has ended in a way after which another can follow."""
        reading = self._reading
        return (
            not self.is_lost and reading.is_complete and reading.error is None and self._keeps_alive and not self.rest
        )

    @property
    def is_at_end(self) -> bool:
        """Whether all of the answer has been read."""
        return self._reading.is_complete and not self._reading.pieces

    def send_head(self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Begin an exchange."""
        self._reading = _Reading(is_head_request=method == b"HEAD")
        self._parser = httptools.HttpResponseParser(self)
        self._keeps_alive = False
        lines = [method, b" ", target, b" HTTP/1.1\r\n"]
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; waits while the app does not read.

        Raises:
            BrokenOffError: the app has hung up.
        """
        if self.is_lost:
            raise BrokenOffError("the app has closed the connection")
        self.transport.write(data)
        if not self._may_write.is_set():
            await self._may_write.wait()

    async def head(self) -> Head:
        """The head of the answer, once it is complete.

        Raises:
            AnswerError: what comes is no HTTP, too large, or nothing.
        """
        while self._reading.head is None:
            await self._wait()
        return self._reading.head

    async def read(self) -> bytes:
        """What has come of the body, at least a byte; empty at its end.

        Raises:
            AnswerError: it broke off.
        """
        reading = self._reading
        while not reading.pieces:
            if reading.is_complete:
                return b""
            await self._wait()
        data = reading.pieces.popleft() if len(reading.pieces) == 1 else b"".join(reading.pieces)
        reading.pieces.clear()
        reading.size = 0
        if self._is_paused and not self.is_lost:
            self._is_paused = False
            self.transport.resume_reading()
        return data

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class
        self._transport.set_write_buffer_limits(high=_WRITE_AHEAD_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """The app has hung up, which ends an answer that says nothing of its length."""
        self.is_lost = True
        self._may_write.set()
        reading = self._reading
        if not reading.is_complete:
            if reading.head is not None and not reading.is_framed and exc is None:
                reading.is_complete = True
            else:
                self._fail(BrokenOffError("the app has closed the connection"))
        self._news.set()

    def pause_writing(self) -> None:
        """The app reads more slowly than we send."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        reading = self._reading
        if self._parser is None or reading.is_complete:
            self.abort()  # nothing was asked
            return
        reading.has_got_on = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.rest += data[upgrade.args[0] :]
            self.transport.pause_reading()
        except httptools.HttpParserError:
            self._fail(AnswerError("what the app answers is no HTTP"))
        reading.keep_fresh()
        if not reading.has_got_on:  # else there is little besides
            reading.bytes_of_framing += len(data)
            if reading.bytes_of_framing > MOST_HEAD_BYTES:
                part = "headers" if reading.head is None else "trailers"
                self._fail(AnswerError(f"the {part} of the app's answer are too large"))
        if reading.size > _READ_AHEAD_BYTES and not self._is_paused and not self.is_lost:
            self._is_paused = True
            self.transport.pause_reading()
        self._news.set()

    def on_message_begin(self) -> None:
        """The parser's; an answer after the one that was asked for says that the app counts otherwise than we do."""
        if self._reading.is_complete:
            self._keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser's."""
        if self._reading.head is not None:
            return  # a trailer, or an answer that was not asked for
        if len(self._reading.headers) < MOST_HEADERS:
            self._reading.headers.append((name, value))
        else:
            self._fail(AnswerError("the app's answer has too many headers"))

    def on_headers_complete(self) -> None:
        """The parser's."""
        assert self._parser is not None  # noqa: S101 - it calls us
        reading, status = self._reading, self._parser.get_status_code()
        if reading.head is not None:
            return
        if status < 200 and status != 101:
            reading.headers = []
            return
        reading.is_framed = any(
            name.lower() in (b"content-length", b"transfer-encoding") for name, _ in reading.headers
        )
        self._keeps_alive = self._parser.should_keep_alive()
        if reading.error is None:
            reading.head = Head(status, reading.headers)
        self._get_on()
        if reading.is_head_request or status in _CHUNK_FREE or status == 101:
            reading.is_complete = True

    def on_body(self, body: bytes) -> None:
        """The parser's."""
        if self._reading.is_complete:
            self._keeps_alive = False  # nobody has asked for it
            return
        self._reading.fresh.append(body)
        self._get_on()

    def on_message_complete(self) -> None:
        """The parser's; also after an interim answer, which is none yet."""
        if self._reading.head is not None:
            self._reading.is_complete = True
            self._get_on()

    def _get_on(self) -> None:
        self._reading.has_got_on = True
        self._reading.bytes_of_framing = 0

    def _fail(self, error: AnswerError) -> None:
        if self._reading.error is None:
            self._reading.error = error
        self._news.set()
        self.abort()

    async def _wait(self) -> None:
        if self._reading.error is not None:
            raise self._reading.error
        self._news.clear()
        await self._news.wait()
