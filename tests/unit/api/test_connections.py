"""How many connections one network and all of them may hold, on the server's own protocol over transports in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.server import ServerState

from runtime.api import protocol
from runtime.server import FrontProtocol, server_config
from runtime.settings import Settings

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ENDLESS = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"
ONE, OTHER, THIRD = "192.0.2.1", "198.51.100.1", "203.0.113.1"


class Wire(asyncio.Transport):
    """A transport from an address; remembers what was written and whether it was closed."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 40000), "sockname": ("192.0.2.99", 8470)})
        self.written = b""
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self._is_closing = True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """The application."""
    if scope["path"] == "/endless":
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Listener:
    """A server's connections, without its sockets."""

    def __init__(self, **settings: Any) -> None:
        self.config = server_config(answer, Settings(**settings))
        self.config.load()
        self.state = ServerState()

    async def connect(self, address: str, sending: bytes = b"") -> Wire:
        """A connection, on which a request is answered before this returns, unless its answer takes for ever."""
        wire = Wire(address)
        made = FrontProtocol(config=self.config, server_state=self.state, app_state={})
        made.connection_made(wire)
        if sending:
            made.data_received(sending)
            answers = asyncio.gather(*self.state.tasks) if sending == REQUEST else asyncio.sleep(0)
            await answers
            assert wire.written.startswith(b"HTTP/1.1 204") is (sending == REQUEST)
        return wire

    def close(self) -> None:
        for task in self.state.tasks:
            task.cancel()
        for each in list(self.state.connections):
            each.connection_lost(None)


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
