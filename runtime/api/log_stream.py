"""Log lines as bytes on the wire: one JSON document of all there are, and a live stream of server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

from runtime.api.sse import ENCODER, KEEP_ALIVE_SECONDS, pump
from runtime.domain.logs import LogLine
from runtime.wire.run_details import DetailedRunResponse


def events(
    batches: AsyncIterator[Sequence[LogLine]], keep_alive_seconds: float = KEEP_ALIVE_SECONDS
) -> AsyncGenerator[bytes, None]:
    """Server-sent events, one for each line as it comes."""
    return pump(batches, _encode, keep_alive_seconds)


async def document(run: DetailedRunResponse, batches: AsyncIterator[Sequence[LogLine]]) -> AsyncGenerator[bytes, None]:
    """A `LogsResponse`, written batch by batch: a log may have a million lines, and others want to be served."""
    yield b'{"run":' + ENCODER.encode(run.to_wire()).encode("ascii") + b',"logs":['
    separator = ""
    async for lines in batches:
        yield (separator + ",".join(_stored(line) for line in lines)).encode("ascii")
        separator = ","
        await asyncio.sleep(0)
    yield b"]}"


def _encode(batch: Sequence[LogLine]) -> Iterator[bytes]:
    yield "".join(_event(line) for line in batch).encode("ascii")


def _event(line: LogLine) -> str:
    return f"data: {ENCODER.encode(_fields(line, 'channel'))}\n\n"


def _stored(line: LogLine) -> str:
    return ENCODER.encode(_fields(line, "phase"))


def _fields(line: LogLine, phase_key: str) -> dict[str, object]:
    return {
        phase_key: line.phase,
        "line_num": line.line_num,
        "reported_at": line.reported_at.isoformat(),
        "content": line.content,
    }
