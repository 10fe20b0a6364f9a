"""The live stream as the public client reads it: one `data: ` line for each log line, and an end."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from runtime.api.log_stream import events
from runtime.domain.logs import LogLine
from tests.factories import NOW


def make_line(number: int, content: str = "apples") -> LogLine:
    return LogLine(line_num=number, phase="program", reported_at=NOW, content=content)


class Source:
    """Batches as a run would write them; `ended` tells whether the reader let go of it."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Sequence[LogLine] | Exception | None] = asyncio.Queue()
        self.ended = False

    async def follow(self) -> AsyncIterator[Sequence[LogLine]]:
        try:
            while (batch := await self.batches.get()) is not None:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.ended = True


def parse(text: bytes) -> list[dict[str, Any]]:
    lines = text.decode("ascii").split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def test_each_line_is_one_event_and_the_stream_ends_with_the_run() -> None:
    source = Source()
    source.batches.put_nowait([make_line(0), make_line(1, 'two\r "lines" \u2028\u0085 \N{GRAPES}')])
    source.batches.put_nowait(None)
    text = b"".join([chunk async for chunk in events(source.follow())])
    assert text.startswith(b'data: {"channel":"program","line_num":0,"reported_at":"2026-03-10T12:00:00+00:00"')
    assert [event["content"] for event in parse(text)] == ["apples", 'two\r "lines" \u2028\u0085 \N{GRAPES}']
    assert len(text.splitlines()) == 4  # a line and a blank one for each, whatever a reader takes for a line end
    assert source.ended


async def test_silence_is_filled_with_comments() -> None:
    source = Source()
    stream = events(source.follow(), keep_alive_seconds=0.01)
    assert (await anext(stream)).startswith(b": ")
    source.batches.put_nowait([make_line(0)])
    while (chunk := await anext(stream)).startswith(b": "):
        pass
    assert parse(chunk)[0]["line_num"] == 0
    await stream.aclose()


async def test_a_client_that_leaves_stops_the_waiting() -> None:
    source = Source()
    source.batches.put_nowait([make_line(0)])
    stream = events(source.follow())
    await anext(stream)
    await asyncio.sleep(0)
    await stream.aclose()
    assert source.ended


async def test_a_failure_under_way_is_an_error_event() -> None:
    source = Source()
    source.batches.put_nowait([make_line(0)])
    source.batches.put_nowait(RuntimeError("password is hunter2"))
    text = b"".join([chunk async for chunk in events(source.follow())])
    assert text.count(b"event: error\n") == 1
    assert b"hunter2" not in text
