"""The application under the real server, in a thread of its own, for tools that speak HTTP and know no event loop."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from litestar.types import Receive, Scope, Send

from runtime.api.access import PEER_KEY
from runtime.server import server_config
from runtime.store.database import Database
from tests.api_client import ROOT
from tests.house import build_house
from tests.tenants import Estate, Tenant, add_tenant, build_estate

ADMINISTRATOR = "the-administrator"
"""A token that stands for the Unix socket: who brings it is root on this machine."""


@dataclass(frozen=True)
class ServedEstate:
    """Where it is served, and who lives there."""

    url: str
    estate: Estate
    tenant: Tenant


Filling = Callable[[Estate, Tenant], Awaitable[None]]


@contextmanager
def serve_estate(fill: Filling | None = None, **options: Any) -> Iterator[ServedEstate]:
    """Serve an estate with one tenant, to whom `fill` may give more, until the end of the block.

    Args:
        options: As `build_estate` takes them.
    """
    started: list[ServedEstate] = []
    ready, end = threading.Event(), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        thread = threading.Thread(target=lambda: asyncio.run(_serve(Path(folder), started, ready, end, fill, options)))
        thread.start()
        try:
            assert ready.wait(30), "the server did not start"
            yield started[0]
        finally:
            end.set()
            thread.join()


async def _serve(
    folder: Path,
    started: list[ServedEstate],
    ready: threading.Event,
    end: threading.Event,
    fill: Filling | None,
    options: dict[str, Any],
) -> None:
    database = await Database.open(folder / "runtime.db")
    try:
        estate = await build_estate(await build_house(database, folder), folder, **options)
        tenant = await add_tenant(estate, "anna")
        if fill is not None:
            await fill(estate, tenant)
        server = uvicorn.Server(server_config(_with_administrator(estate), estate.settings))
        with socket.create_server(("127.0.0.1", 0)) as tcp:
            serving = asyncio.create_task(server._serve(sockets=[tcp]))  # without its signal handlers
            started.append(ServedEstate(f"http://127.0.0.1:{tcp.getsockname()[1]}", estate, tenant))
            ready.set()
            await asyncio.to_thread(end.wait)
            estate.house.changes.close()
            server.should_exit = True
            await serving
    finally:
        await database.close()


def _with_administrator(estate: Estate) -> Any:
    """The application, which takes a token for the socket's word."""
    header = (b"authorization", f"Bearer {ADMINISTRATOR}".encode())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if str(scope["type"]) == "http" and header in scope["headers"]:
            headers = [each for each in scope["headers"] if each != header]
            scope = {**scope, "headers": headers, "state": {**scope["state"], PEER_KEY: ROOT}}  # type: ignore[assignment]
        await estate.app(scope, receive, send)

    return app
