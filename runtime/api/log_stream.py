"""Log lines as bytes on the wire: one JSON document of all there are, and a live stream of server-sent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

import structlog

from runtime.domain.logs import LogLine
from runtime.errors import UnavailableError
from runtime.wire.run_details import DetailedRunResponse

KEEP_ALIVE_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies and dead connections show themselves."""
_LINES_AT_ONCE = 2000

# ASCII only: some readers of event streams take U+2028 and its like for line ends.
_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))

log = structlog.get_logger()


async def events(
    batches: AsyncIterator[Sequence[LogLine]], keep_alive_seconds: float = KEEP_ALIVE_SECONDS
) -> AsyncGenerator[bytes, None]:
    """Server-sent events, one for each line as it comes; ends when `batches` does, with an error event if that fails.

    Closing the generator, as the server does when the client goes away, stops waiting for lines.
    """
    upcoming = asyncio.create_task(_next(batches))
    try:
        while True:
            done, _ = await asyncio.wait({upcoming}, timeout=keep_alive_seconds)
            if not done:
                yield b": still here\n\n"
                continue
            batch = upcoming.result()
            if batch is None:
                return
            upcoming = asyncio.create_task(_next(batches))
            for lines in _slices(batch):
                yield "".join(_event(line) for line in lines).encode("ascii")
    except UnavailableError as error:
        yield b"event: error\ndata: " + _ENCODER.encode({"detail": error.message}).encode("ascii") + b"\n\n"
    except Exception:
        log.exception("A log stream broke off", action="log_stream")
        yield b'event: error\ndata: {"detail":"the log stream broke off; the log of the runtime says why"}\n\n'
    finally:
        upcoming.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await upcoming


async def document(run: DetailedRunResponse, lines: Sequence[LogLine]) -> AsyncGenerator[bytes, None]:
    """A `LogsResponse`, written piece by piece: a log may have a million lines, and others want to be served."""
    yield b'{"run":' + _ENCODER.encode(run.to_wire()).encode("ascii") + b',"logs":['
    separator = ""
    for piece in _slices(lines):
        yield (separator + ",".join(_stored(line) for line in piece)).encode("ascii")
        separator = ","
        await asyncio.sleep(0)
    yield b"]}"


async def _next(batches: AsyncIterator[Sequence[LogLine]]) -> Sequence[LogLine] | None:
    return await anext(batches, None)


def _slices(lines: Sequence[LogLine]) -> Iterator[Sequence[LogLine]]:
    for start in range(0, len(lines), _LINES_AT_ONCE):
        yield lines[start : start + _LINES_AT_ONCE]


def _event(line: LogLine) -> str:
    return f"data: {_ENCODER.encode(_fields(line, 'channel'))}\n\n"


def _stored(line: LogLine) -> str:
    return _ENCODER.encode(_fields(line, "phase"))


def _fields(line: LogLine, phase_key: str) -> dict[str, object]:
    return {
        phase_key: line.phase,
        "line_num": line.line_num,
        "reported_at": line.reported_at.isoformat(),
        "content": line.content,
    }
