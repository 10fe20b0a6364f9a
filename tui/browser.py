"""The interface in the browser, seen from within its sandbox: a server that starts one process for each page.

    python -m tui.browser CHANNEL SOCKET

It listens nowhere. Connections come over the channel, a socket that is inherited: for each a byte, with the connection
beside it. The daemon has found out before who asks and what for, and hands nothing on that it has not. What a page asks
the daemon it asks through the SOCKET of the API, with the key in the environment.
"""

import asyncio
import copy
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web
from textual_serve.server import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BrowserServer(Server):
    """Serves pages, of whichever workspace they are."""

    def __init__(self, api_socket: str) -> None:
        super().__init__("", title="dlt-runtime")
        self._api_socket = api_socket

    async def make_app(self) -> web.Application:
        """What of the package's own server is wanted: no index, no files, nothing printed."""
        app = web.Application()
        app.router.add_get("/w/{workspace}/ws", self.handle_websocket)
        app.router.add_get("/w/{workspace}/{kind}/{name}/ws", self.handle_websocket)
        app.router.add_get("/download/{key}", self.handle_download)
        return app

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One page, which lives as long as its process."""
        asked = [request.match_info[name] for name in ("workspace", "kind", "name") if name in request.match_info]
        words = [sys.executable, "-s", "-P", "-m", "tui.browser_page", self._api_socket, *asked]
        page = copy.copy(self)
        page.command = f"exec {shlex.join(words)}"
        return await Server.handle_websocket(page, request)


async def serve(channel: socket.socket, api_socket: str) -> None:
    """Answer what comes over the channel, until its other end is closed."""
    runner = web.AppRunner(await BrowserServer(api_socket).make_app(), access_log=None)
    await runner.setup()
    server = runner.server
    if server is None:
        raise LookupError("there is a server once it is set up")
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    taken: set[asyncio.Task[object]] = set()

    def take() -> None:
        told, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not told:
            loop.remove_reader(channel)
            ended.set()
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            connection.setblocking(False)
            task: asyncio.Task[object] = loop.create_task(loop.connect_accepted_socket(server, connection))
            taken.add(task)
            task.add_done_callback(taken.discard)

    loop.add_reader(channel, take)
    await ended.wait()
    await runner.cleanup()


def main(argv: list[str]) -> None:
    """Serve."""
    with socket.socket(fileno=int(argv[1])) as channel:
        asyncio.run(serve(channel, argv[2]))


if __name__ == "__main__":
    main(sys.argv)
