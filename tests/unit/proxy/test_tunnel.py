"""How WebSockets end, over transports in memory whose other sides take what they like."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from runtime.api import parting
from runtime.proxy.frames import close_frame
from runtime.proxy.tunnel import NOT_ALLOWED, tunnel_of
from runtime.proxy.upstream import Upstream
from runtime.server import FrontProtocol, server_config
from runtime.settings import Settings

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport whose other side leaves `untaken` bytes where they are."""

    def __init__(self, untaken: int = 0) -> None:
        super().__init__()
        self.untaken = untaken
        self.written = b""
        self.protocol: Any = None
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.untaken

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """No such thing."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True
        if not self.untaken:
            self.abort()

    def abort(self) -> None:
        self._is_closing = True
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class Joined:
    """A browser and an app that are joined."""

    def __init__(self, untaken: int) -> None:
        self.browser, self.app = Wire(untaken), Wire()
        self.state = ServerState()
        self.tunnel: Any = None
        config = server_config(self, Settings())
        config.load()
        made = FrontProtocol(config=config, server_state=self.state, app_state={})
        self.browser.protocol = made
        made.connection_made(self.browser)
        made.data_received(UPGRADE)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Join them, as the application."""
        upstream = Upstream()
        upstream.connection_made(self.app)
        self.tunnel = tunnel_of(scope)
        await self.tunnel.join(upstream, [])

    @property
    def is_open(self) -> bool:
        """Whether they count as open."""
        return bool(self.state.tasks)

    async def over(self) -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*self.state.tasks)


@pytest.fixture
async def unread(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Joined]:
    """Where the browser reads nothing."""
    monkeypatch.setattr(parting, "FAREWELL_SECONDS", 0.01)
    joined = Joined(untaken=9000)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    yield joined
    for task in joined.state.tasks:
        task.cancel()


def app_closes(joined: Joined) -> None:
    joined.app.protocol.data_received(close_frame(1000, ""))
    joined.app.protocol.connection_lost(None)


def app_dies(joined: Joined) -> None:
    joined.app.protocol.connection_lost(None)


def access_ends(joined: Joined) -> None:
    joined.tunnel.close(NOT_ALLOWED, "access to this app has ended")


@pytest.mark.parametrize("end", [app_closes, app_dies, access_ends])
async def test_a_websocket_that_has_ended_counts_until_its_browser_is_gone_and_that_is_soon(
    unread: Joined, end: Callable[[Joined], None]
) -> None:
    end(unread)
    await asyncio.sleep(0)
    assert unread.browser.is_closing()
    assert unread.is_open
    assert unread.app.is_closing()
    await unread.over()
    assert not unread.state.connections


async def test_nothing_follows_the_closing_frame(unread: Joined) -> None:
    access_ends(unread)
    written = unread.browser.written
    assert written.endswith(close_frame(NOT_ALLOWED, "access to this app has ended"))
    unread.app.protocol.data_received(b"\x81\x01x")
    unread.app.protocol.connection_lost(None)
    assert unread.browser.written == written
    await unread.over()
