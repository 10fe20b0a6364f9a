"""Doors: sockets made by another process, connected by this one. Networks of apps are `test_app_life`'s matter."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

import pytest

from runtime.errors import UnavailableError
from runtime.proxy.connections import Connections
from runtime.proxy.upstream import AnswerError
from runtime.sandbox import doors
from runtime.sandbox.doors import Door, open_door
from runtime.sandbox.identity import is_alive

HERE = [shutil.which("env") or "/usr/bin/env"]
"""An entry that leads nowhere else: the door's process stays in the machine's own network."""


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server that answers whatever it is told."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ask(door: Door, text: str) -> str:
    loop = asyncio.get_running_loop()
    with await door.connect() as connected:
        await loop.sock_sendall(connected, text.encode())
        return (await loop.sock_recv(connected, 100)).decode()


async def test_a_socket_from_the_door_reaches_the_port(echo: int) -> None:
    async with open_door(HERE, echo) as door:
        assert await ask(door, "apple") == "apple"


async def test_many_at_once_each_get_a_socket_of_their_own(echo: int) -> None:
    async with open_door(HERE, echo) as door:
        answers = await asyncio.gather(*(ask(door, str(number)) for number in range(100)))
    assert answers == [str(number) for number in range(100)]


async def test_a_door_that_was_killed_is_replaced(echo: int) -> None:
    async with open_door(HERE, echo) as door:
        assert await ask(door, "apple") == "apple"
        before = door.process
        assert before is not None
        os.kill(before.pid, signal.SIGKILL)
        assert await ask(door, "pear") == "pear"
        assert door.process != before


async def test_whoever_gives_up_does_not_put_the_next_one_out_of_step(echo: int) -> None:
    async with open_door(HERE, echo) as door:
        for _ in range(5):
            giving_up = asyncio.create_task(door.connect())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            giving_up.cancel()
            done, _ = await asyncio.wait({giving_up})
            for task in done:
                if not task.cancelled():
                    task.result().close()
            assert await ask(door, "apple") == "apple"


async def test_where_nothing_listens_nobody_is_let_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    async with open_door(HERE, port) as door:
        with pytest.raises(UnavailableError, match=f"nothing listens on the app's port {port}"):
            await door.connect()


async def test_an_app_that_takes_no_more_connections_is_told_from_one_that_does_not_listen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors, "_CONNECT_SECONDS", 0.1)
    with ExitStack() as waiting:
        listener = waiting.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(("127.0.0.1", port))
        for entry in ([], HERE):
            async with open_door(entry, port) as door:
                with pytest.raises(UnavailableError, match=f"takes no more connections on its port {port}"):
                    await door.connect()


async def test_visitors_are_told_why_there_is_no_connection() -> None:
    async def connect() -> socket.socket:
        raise UnavailableError("the app takes no more connections")

    with pytest.raises(AnswerError, match="the app takes no more connections"):
        await Connections(connect).open()


async def test_a_closed_door_stays_closed_and_leaves_nothing(echo: int) -> None:
    async with open_door(HERE, echo) as door:
        with await door.connect():
            process = door.process
    assert process is not None
    assert not is_alive(process)
    with pytest.raises(UnavailableError, match="cannot be entered"):
        await door.connect()


async def test_in_the_machines_own_network_there_is_no_process(echo: int) -> None:
    async with open_door([], echo) as door:
        assert await ask(door, "apple") == "apple"
        assert door.process is None


async def test_an_entry_that_fails_is_said(echo: int) -> None:
    async with open_door([shutil.which("false") or "/bin/false"], echo) as door:
        with pytest.raises(UnavailableError, match="cannot be entered"):
            await door.connect()
