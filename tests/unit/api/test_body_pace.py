"""How slowly a body may come."""

import asyncio
from typing import Any

import pytest
from litestar.exceptions import HTTPException
from litestar.types import Message, Receive, Scope, Send

from runtime.api.pace import BodyPace


async def read_all(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message: Any = await receive()
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def run(pace: BodyPace, messages: "asyncio.Queue[Any]", *, then_wait: bool = False) -> bytes:
    """What a handler reads that is sent these messages."""
    read: list[bytes] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        read.append(await read_all(receive))
        if then_wait:
            await receive()

    async def send(message: Message) -> None:
        """Nobody listens."""

    await pace.handle({"type": "http"}, messages.get, send, handler)  # type: ignore[arg-type]
    return read[0]


def body_messages(*pieces: bytes, complete: bool = True) -> "asyncio.Queue[Any]":
    messages: asyncio.Queue[Any] = asyncio.Queue()
    for number, piece in enumerate(pieces):
        is_last = complete and number == len(pieces) - 1
        messages.put_nowait({"type": "http.request", "body": piece, "more_body": not is_last})
    return messages


async def test_a_body_that_comes_is_passed_on() -> None:
    assert await run(BodyPace(), body_messages(b"apples ", b"pears")) == b"apples pears"


async def test_a_body_that_stops_coming_is_given_up() -> None:
    with pytest.raises(HTTPException) as refused:
        await run(BodyPace(grace_seconds=0.05), body_messages(b"apples", complete=False))
    assert refused.value.status_code == 408


async def test_what_has_come_buys_time_for_the_rest() -> None:
    messages = body_messages(b"x" * 1000, complete=False)
    reading = asyncio.create_task(run(BodyPace(grace_seconds=0.0, least_bytes_per_second=100), messages))
    await asyncio.sleep(0)
    messages.put_nowait({"type": "http.request", "body": b"y", "more_body": False})
    assert len(await reading) == 1001


async def test_time_spent_by_the_handler_is_not_the_clients() -> None:
    messages = body_messages(b"x", b"y")
    pace = BodyPace(grace_seconds=0.05)

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(asyncio.sleep(0.1)))
        await receive()

    async def send(message: Message) -> None:
        """Nobody listens."""

    await pace.handle({"type": "http"}, messages.get, send, handler)  # type: ignore[arg-type]


async def test_a_stream_may_wait_for_its_reader_to_leave_once_the_body_is_complete() -> None:
    messages = body_messages(b"")
    streaming = asyncio.create_task(run(BodyPace(grace_seconds=0.01), messages, then_wait=True))
    done, _ = await asyncio.wait({streaming}, timeout=0.1)
    assert not done
    messages.put_nowait({"type": "http.disconnect"})
    await streaming
