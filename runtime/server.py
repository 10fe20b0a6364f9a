"""The HTTP server: uvicorn on a Unix socket and TCP sockets, TLS on the latter only.

uvicorn gives all its sockets one and the same TLS setting. Two servers would mean two lifespans, two counts of what is
under way and two ends to wait for; so it is one server, to whose start one step is added: the TCP sockets are opened
with a context, and their connections counted before they are encrypted.
"""

import asyncio
import socket
from contextlib import nullcontext
from urllib.parse import unquote

import httptools
import uvicorn

from runtime.api.access import CONSOLE_KEY
from runtime.api.protocol import PeerProtocol
from runtime.dispatch.changes import Changes
from runtime.proxy.forwarding import CUT_KEY
from runtime.proxy.tunnel import Tunnel
from runtime.settings import Settings
from runtime.tls.arriving import TlsServer
from runtime.tls.serving import TlsListener

_LAST_REQUESTS_SECONDS = 3
# Longer than clients keep an unused connection (httpx 5 s, nginx 60 s): who closes first must not be the one who is
# being asked, as a request on its way then meets a reset.
_IDLE_SECONDS = 75


class Server(uvicorn.Server):
    """uvicorn, without its own signal handling: it would raise the signal again before our parts are closed."""

    capture_signals = nullcontext  # type: ignore[assignment]

    def __init__(
        self,
        config: uvicorn.Config,
        changes: Changes,
        tls: TlsListener | None = None,
        console: socket.socket | None = None,
    ) -> None:
        """Prepare to serve; `console` is the socket over which the console asks the API."""
        super().__init__(config)
        self._console = console
        self._changes = changes
        self._tls = tls

    def stop(self) -> None:
        """Take no more connections, finish what is under way; who follows something is told to come back."""
        self.should_exit = True
        self._changes.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the listeners: TLS on every socket of the network, none on Unix sockets."""
        await self._open(sockets)
        if self._console is not None:
            self.servers.append(
                await asyncio.get_running_loop().create_unix_server(self._console_protocol, sock=self._console)
            )

    async def _open(self, sockets: list[socket.socket] | None) -> None:
        if self._tls is None:
            await super().startup(sockets)
            return
        given = sockets or []
        await super().startup([each for each in given if each.family == socket.AF_UNIX])
        for each in given:
            if each.family != socket.AF_UNIX:
                listener = TlsServer(each, self._protocol, self._tls.context, self.config.backlog)
                self.servers.append(listener)  # type: ignore[arg-type] # of a server, uvicorn only wants it closed

    def _protocol(self, **state: bool) -> "FrontProtocol":
        """As uvicorn makes one for each connection."""
        return FrontProtocol(
            config=self.config, server_state=self.server_state, app_state={**self.lifespan.state, **state}
        )

    def _console_protocol(self) -> "FrontProtocol":
        return self._protocol(**{CONSOLE_KEY: True})


class FrontProtocol(PeerProtocol):
    """A connection that can be cut in the middle of an answer, and that becomes a tunnel for a WebSocket."""

    def on_message_begin(self) -> None:
        """Put the way to cut it into the request's state."""
        super().on_message_begin()
        self.scope["state"][CUT_KEY] = self.transport.abort

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        try:
            parsed = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            self.send_400_response("Invalid URL.")
            return
        self.connections.discard(self)
        self.scope["raw_path"] = parsed.path
        self.scope["path"] = unquote(parsed.path.decode("ascii"))
        self.scope["query_string"] = parsed.query or b""
        Tunnel(self.config, self.server_state).take_over(self.transport, dict(self.scope))


def server_config(app: object, settings: Settings) -> uvicorn.Config:
    """How the server is set up; proxies are believed only where the settings name them."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=FrontProtocol,
        ws=Tunnel,  # only that there is one counts; `FrontProtocol` makes it
        lifespan="on",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
    )
