"""What an app's answer may be made of, over a transport in memory."""

import asyncio
import tracemalloc

import pytest

from runtime.proxy.upstream import MOST_HEAD_BYTES, AnswerError, Upstream

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Line(asyncio.Transport):
    """A transport that remembers whether it is read, and whether it was broken off."""

    is_paused = is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads it."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is held."""

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self.is_aborted = True


def asked(method: bytes = b"GET") -> tuple[Line, Upstream]:
    """A connection over which something has been asked."""
    line, upstream = Line(), Upstream()
    upstream.connection_made(line)
    upstream.send_head(method, b"/", ())
    return line, upstream


async def body_of(upstream: Upstream) -> bytes:
    got = b""
    while piece := await upstream.read():
        got += piece
    return got


@pytest.mark.parametrize(
    ("begin", "piece"),
    [(b"0\r\n", b"X-A: b\r\n" * 1000), (b"0\r\nX: ", b"y" * 8000), (b"1;", b"y" * 8000)],
    ids=["many trailers", "a long trailer", "what follows a chunk's size"],
)
async def test_what_frames_an_answer_is_broken_off_when_it_is_too_much(begin: bytes, piece: bytes) -> None:
    line, upstream = asked()
    upstream.data_received(CHUNKED)
    upstream.data_received(begin)
    sent = 0
    while not line.is_aborted and sent < 10 * MOST_HEAD_BYTES:
        upstream.data_received(piece)
        sent += len(piece)
    assert line.is_aborted
    assert sent <= MOST_HEAD_BYTES + len(piece)
    assert (await upstream.head()).status == 200
    with pytest.raises(AnswerError, match="trailers of the app's answer are too large"):
        await upstream.read()


async def test_interim_answers_are_of_the_head_that_is_waited_for() -> None:
    """However many come before it."""
    line, upstream = asked()
    for _ in range(MOST_HEAD_BYTES // 1000 + 1):
        upstream.data_received(b"HTTP/1.1 103 Early Hints\r\nlink: " + b"x" * 1000 + b"\r\n\r\n")
    assert line.is_aborted


async def test_trailers_are_dropped() -> None:
    _, upstream = asked()
    upstream.data_received(CHUNKED + b"2\r\nok\r\n0\r\nContent-Type: text/html\r\nSet-Cookie: a=1\r\n\r\n")
    assert (await upstream.head()).headers == [(b"Transfer-Encoding", b"chunked")]
    assert await body_of(upstream) == b"ok"
    assert upstream.is_reusable


@pytest.mark.parametrize(
    ("answers", "status", "body"), [(OK + NOT_FOUND, 200, b"ok"), (NOT_FOUND + OK, 404, b"")], ids=["200", "404"]
)
async def test_a_second_answer_that_comes_with_the_first_is_nobodys(answers: bytes, status: int, body: bytes) -> None:
    _, upstream = asked()
    upstream.data_received(answers)
    head = await upstream.head()
    assert (head.status, len(head.headers)) == (status, 1)
    assert await body_of(upstream) == body
    assert not upstream.is_reusable


async def test_the_answer_to_head_has_no_body_whatever_the_app_sends() -> None:
    _, upstream = asked(b"HEAD")
    upstream.data_received(OK)
    assert (await upstream.head()).headers == [(b"Content-Length", b"2")]
    assert await body_of(upstream) == b""
    assert not upstream.is_reusable


async def test_a_body_in_tiny_chunks_costs_little_more_than_its_bytes() -> None:
    line, upstream = asked()
    upstream.data_received(CHUNKED)
    read = b"2\r\nab\r\n" * 37_000
    tracemalloc.start()
    try:
        sent = 0
        while not line.is_paused:
            upstream.data_received(read)
            sent += 1
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 512 * 1024
    assert await upstream.read() == b"ab" * 37_000 * sent
    assert not line.is_paused


async def test_what_trickles_is_read_ahead_no_further() -> None:
    """Each read is held by itself, and costs more than its bytes."""
    line, upstream = asked()
    upstream.data_received(CHUNKED)
    reads = 0
    while not line.is_paused and reads < 10_000:
        upstream.data_received(b"2\r\nab\r\n")
        reads += 1
    assert reads < 5_000
    assert await upstream.read() == b"ab" * reads
