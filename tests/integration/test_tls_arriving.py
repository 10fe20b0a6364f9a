"""Connections to the TLS socket before they are encrypted: how many there may be, and what becomes of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from uvicorn.server import ServerState

from runtime.api import protocol
from runtime.api.app import create_app
from runtime.dispatch.changes import Changes
from runtime.server import Server, server_config
from runtime.settings import Settings
from runtime.tls.serving import TlsListener
from runtime.wire.addresses import API_PREFIX
from runtime.wire.certificates import trusting_file
from tests.api_client import fake_services
from tests.integration.test_tls_listener import make, until
from tests.proxied import on_uvloop

MOST = 5


@dataclass(frozen=True)
class Encrypted:
    """A server under test, in this process."""

    port: int
    cert: Path
    server: Server

    @property
    def state(self) -> ServerState:
        return self.server.server_state

    async def ping(self) -> int:
        async with httpx.AsyncClient(verify=trusting_file(self.cert)) as client:
            return (await client.get(f"https://127.0.0.1:{self.port}{API_PREFIX}/v1/ping")).status_code

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def holds(self, connections: int) -> None:
        """Wait until it holds so many."""

        async def does() -> bool:
            return len(self.state.connections) == connections

        await until(does)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def descriptors_fall_to(most: int) -> None:
    """Wait until no more are open."""

    async def do() -> bool:
        return descriptors() <= most

    await until(do)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Encrypted]:
    own = make(folder, "own")
    settings = Settings(state_dir=folder, socket=folder / "api.sock")
    config = server_config(create_app(fake_services(), settings), settings)
    server = Server(config, Changes(), TlsListener(own.cert, own.key))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        encrypted = Encrypted(listening.getsockname()[1], own.cert, server)
        assert await encrypted.ping() == 200
        await encrypted.holds(0)
        try:
            yield encrypted
        finally:
            server.stop()
            await task


Test = Callable[[Path], Awaitable[None]]
both_loops = pytest.mark.parametrize("run", [on_uvloop, lambda test: lambda path: asyncio.run(test(path))])


@both_loops
def test_who_says_nothing_has_no_more_connections_than_others(
    run: Callable[[Test], Callable[[Path], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest silent makes room for who comes."""
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", MOST)

    async def test(folder: Path) -> None:
        async with serving(folder) as server:
            before = descriptors()
            silent = [await server.connect() for _ in range(4 * MOST)]
            for reader, _ in silent[:-MOST]:
                assert await reader.read() == b""
            await server.holds(MOST)
            await descriptors_fall_to(before + len(silent) + MOST)  # both ends are ours; the server's have a bound
            assert await server.ping() == 200
            for _, writer in silent:
                writer.close()
            await server.holds(0)
            await descriptors_fall_to(before)

    run(test)(tmp_path)


@both_loops
def test_a_handshake_that_comes_to_nothing_leaves_nothing(
    run: Callable[[Test], Callable[[Path], None]], tmp_path: Path
) -> None:
    async def test(folder: Path) -> None:
        async with serving(folder) as server:
            before = descriptors()
            reader, writer = await server.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP" not in await reader.read()
            writer.close()
            _, gone = await server.connect()
            gone.transport.abort()
            await server.holds(0)
            await descriptors_fall_to(before)

    run(test)(tmp_path)


@both_loops
def test_a_handshake_has_the_time_of_a_head(
    run: Callable[[Test], Callable[[Path], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)

    async def test(folder: Path) -> None:
        async with serving(folder) as server:
            reader, writer = await server.connect()
            assert await reader.read() == b""
            writer.close()
            await server.holds(0)

    run(test)(tmp_path)


@both_loops
def test_a_server_ends_whoever_is_silent(run: Callable[[Test], Callable[[Path], None]], tmp_path: Path) -> None:
    async def test(folder: Path) -> None:
        async with serving(folder) as server:
            before = descriptors()
            reader, writer = await server.connect()
            await server.holds(1)
        assert await reader.read() == b""
        writer.close()
        assert not server.state.connections
        await descriptors_fall_to(before)

    run(test)(tmp_path)
