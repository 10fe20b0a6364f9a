"""How many connections one network and all of them may hold, and what may come over one, on transports in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.server import ServerState

from runtime.api import parting, protocol
from runtime.server import FrontProtocol, server_config
from runtime.settings import Settings

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ENDLESS = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"
ONE, OTHER, THIRD = "192.0.2.1", "198.51.100.1", "203.0.113.1"


class Wire(asyncio.Transport):
    """A transport from an address; remembers what was written, and whether it was closed or broken off.

    Attributes:
        untaken: Bytes that the other side has not taken yet, as the transport says when it is asked; the last for ever.
    """

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 40000), "sockname": ("192.0.2.99", 8470)})
        self.written = b""
        self.is_aborted = False
        self.untaken = [0]
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self._is_closing = True

    def get_write_buffer_size(self) -> int:
        return self.untaken.pop(0) if len(self.untaken) > 1 else self.untaken[0]

    def abort(self) -> None:
        self._is_closing = self.is_aborted = True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""


class Listener:
    """A server's connections, without its sockets, and what its application was asked."""

    def __init__(self, **settings: Any) -> None:
        self.asked: list[Any] = []
        self.config = server_config(self, Settings(**settings))
        self.config.load()
        self.state = ServerState()

    async def connect(self, address: str, sending: bytes = b"") -> Wire:
        """A connection, on which a request is answered before this returns, unless its answer takes for ever."""
        wire, made = self.open(address)
        if sending:
            made.data_received(sending)
            answers = asyncio.gather(*self.state.tasks) if sending == REQUEST else asyncio.sleep(0)
            await answers
            assert wire.written.startswith(b"HTTP/1.1 204") is (sending == REQUEST)
        return wire

    def open(self, address: str = ONE) -> tuple[Wire, FrontProtocol]:
        """A connection over which nothing has come yet."""
        wire = Wire(address)
        made = FrontProtocol(config=self.config, server_state=self.state, app_state={})
        made.connection_made(wire)
        return wire, made

    def close(self) -> None:
        for task in self.state.tasks:
            task.cancel()
        for each in list(self.state.connections):
            each.connection_lost(None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, as the application."""
        self.asked.append(scope)
        if scope["path"] == "/endless":
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 6)
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS_OF_NETWORK", 3)


@pytest.fixture
async def listener(small_numbers: None) -> AsyncIterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


async def closed(wires: list[Wire]) -> list[bool]:
    return [wire.is_closing() for wire in wires]


async def test_a_network_that_holds_too_many_connections_gives_up_the_longest_idle(listener: Listener) -> None:
    other = await listener.connect(OTHER, REQUEST)
    held = [await listener.connect(ONE, REQUEST) for _ in range(5)]
    assert await closed(held) == [True, True, False, False, False]
    assert not other.is_closing()


async def test_a_network_whose_connections_are_all_in_use_gets_no_more(listener: Listener) -> None:
    held = [await listener.connect(ONE, ENDLESS) for _ in range(4)]
    assert await closed(held) == [False, False, False, True]
    assert not (await listener.connect(OTHER)).is_closing()


async def test_the_addresses_of_one_ipv6_customer_share_their_connections(listener: Listener) -> None:
    held = [await listener.connect(f"2001:db8::{number:x}:1", ENDLESS) for number in range(4)]
    assert await closed(held) == [False, False, False, True]


async def test_where_all_connections_are_taken_the_network_that_holds_most_makes_room(listener: Listener) -> None:
    few = await listener.connect(OTHER, REQUEST)
    many = [await listener.connect(ONE, REQUEST) for _ in range(3)]
    rest = [await listener.connect(THIRD, REQUEST) for _ in range(2)]
    newcomer = await listener.connect("203.0.113.2", REQUEST)
    assert await closed([few, *many, *rest, newcomer]) == [False, True] + [False] * 5


async def test_where_all_connections_are_in_use_nobody_gets_one(listener: Listener) -> None:
    for address in (ONE, OTHER) * 3:
        assert not (await listener.connect(address, ENDLESS)).is_closing()
    assert (await listener.connect(THIRD)).is_closing()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1", "10.1.2.3"])
async def test_the_loopback_and_named_proxies_have_the_total_only(small_numbers: None, address: str) -> None:
    listener = Listener(trusted_proxies=("10.0.0.0/8",))
    held = [await listener.connect(address, ENDLESS) for _ in range(6)]
    assert await closed(held) == [False] * 6
    assert (await listener.connect(address)).is_closing()
    listener.close()


async def test_what_proxies_hold_is_given_up_last(small_numbers: None) -> None:
    listener = Listener(trusted_proxies=("10.0.0.0/8",))
    proxied = [await listener.connect("10.1.2.3", REQUEST) for _ in range(5)]
    idle = await listener.connect(ONE, REQUEST)
    assert not (await listener.connect(OTHER)).is_closing()
    assert await closed([*proxied, idle]) == [False] * 5 + [True]
    listener.close()


CHUNKED = b"POST /endless HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"X-A: b\r\n" * 1000


@pytest.mark.parametrize(
    ("begin", "piece"),
    [(b"0\r\n", PIECE), (b"0\r\nX: ", b"y" * 8000), (b"0\r\n", b"y" * 8000), (b"1;", b"y" * 8000)],
    ids=["many trailers", "a long trailer", "a long name of a trailer", "what follows a chunk's size"],
)
async def test_what_frames_a_body_is_broken_off_when_it_is_too_much(
    listener: Listener, begin: bytes, piece: bytes
) -> None:
    wire, made = listener.open()
    made.data_received(CHUNKED)
    made.data_received(begin)
    sent = 0
    while not wire.is_aborted and sent < 10 * protocol.MOST_HEAD_BYTES:
        made.data_received(piece)
        sent += len(piece)
    assert wire.is_aborted
    assert sent <= protocol.MOST_HEAD_BYTES + len(piece)


async def test_a_body_in_tiny_chunks_may_be_as_long_as_it_likes(listener: Listener) -> None:
    wire, made = listener.open()
    made.data_received(CHUNKED)
    for _ in range(protocol.MOST_HEAD_BYTES // 1000):
        made.data_received(b"1;some=thing\r\na\r\n" * 500)
    made.data_received(b"0\r\nX-Trailer: 1\r\n\r\n")
    assert not wire.is_closing()


async def test_requests_that_come_at_once_are_no_trailers_of_each_other(listener: Listener) -> None:
    wire, made = listener.open()
    made.data_received(CHUNKED)
    made.data_received(b"0\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 60_000 + b"\r\n")
    made.data_received(b"X: " + b"y" * 60_000 + b"\r\n\r\n")
    assert not wire.is_closing()


async def test_trailers_are_no_headers(listener: Listener) -> None:
    _, made = listener.open()
    made.data_received(CHUNKED + b"0\r\nX-Forwarded-For: 6.6.6.6\r\nHost: other\r\n\r\n")
    await asyncio.sleep(0)
    assert listener.asked[-1]["headers"] == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]


async def test_only_some_requests_wait_for_the_answers_to_others(listener: Listener) -> None:
    few, made = listener.open()
    made.data_received(ENDLESS * (1 + protocol.MOST_PIPELINED))
    assert not few.is_closing()
    many, made = listener.open()
    made.data_received(ENDLESS * 14_000)
    assert len(made.pipeline) == protocol.MOST_PIPELINED
    assert many.is_closing()
    assert many.written.startswith(b"HTTP/1.1 400 ")
    assert b"too many requests" in many.written


async def test_who_waits_for_answers_asks_as_often_as_they_like(listener: Listener) -> None:
    wire, made = listener.open()
    for _ in range(3 * protocol.MOST_PIPELINED):
        made.data_received(REQUEST * 2)
        while listener.state.tasks:
            await asyncio.gather(*listener.state.tasks)
    assert wire.written.count(b"HTTP/1.1 204") == 6 * protocol.MOST_PIPELINED


async def test_a_request_names_one_host(listener: Listener) -> None:
    wire, made = listener.open()
    made.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n")
    assert wire.written.startswith(b"HTTP/1.1 400 ")
    assert b"more than one host" in wire.written
    assert not listener.state.tasks


@pytest.fixture
def short_farewells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parting, "FAREWELL_SECONDS", 0.001)


async def is_hung_up_on(wire: Wire) -> bool:
    """Whether a connection is broken off once the other side has been asked often enough for what it has taken."""
    for _ in range(50):
        await asyncio.sleep(0.002)
    return wire.is_aborted


CLOSING = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("sent", [CLOSING, b"no HTTP\r\n\r\n"], ids=["an answer", "an error"])
async def test_who_does_not_take_the_last_answer_is_hung_up_on(
    listener: Listener, short_farewells: None, sent: bytes
) -> None:
    wire, made = listener.open()
    wire.untaken = [9000]
    made.data_received(sent)
    await asyncio.gather(*listener.state.tasks)
    assert wire.is_closing()
    assert await is_hung_up_on(wire)


async def test_who_is_idle_and_has_not_taken_the_answer_keeps_no_connection(
    listener: Listener, short_farewells: None
) -> None:
    held = [await listener.connect(ONE, REQUEST) for _ in range(3)]
    held[0].untaken = [9000]
    await listener.connect(ONE)
    assert await is_hung_up_on(held[0])


@pytest.mark.parametrize("untaken", [[0], [9000, 5000, 4000, 1, 0]], ids=["all at once", "slowly"])
async def test_who_takes_the_last_answer_is_waited_for(
    listener: Listener, short_farewells: None, untaken: list[int]
) -> None:
    wire, made = listener.open()
    wire.untaken = untaken
    made.data_received(CLOSING)
    await asyncio.gather(*listener.state.tasks)
    assert wire.is_closing()
    assert not await is_hung_up_on(wire)
    assert wire.untaken == [0]
