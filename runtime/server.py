"""The HTTP server: uvicorn on a Unix socket and a TCP socket, TLS on the latter only.

uvicorn gives all its sockets one and the same TLS setting. Two servers would mean two lifespans, two counts of what is
under way and two ends to wait for; so it is one server, to whose start one step is added: the TCP socket is opened by
the same call that uvicorn makes for the others, with a context.
"""

import asyncio
import socket
from contextlib import nullcontext

import uvicorn

from runtime.api.protocol import PeerProtocol
from runtime.dispatch.changes import Changes
from runtime.settings import Settings
from runtime.tls.serving import TlsListener

_LAST_REQUESTS_SECONDS = 3
_HANDSHAKE_SECONDS = 10.0


class Server(uvicorn.Server):
    """uvicorn, without its own signal handling: it would raise the signal again before our parts are closed."""

    capture_signals = nullcontext  # type: ignore[assignment]

    def __init__(self, config: uvicorn.Config, changes: Changes, tls: TlsListener | None = None) -> None:
        super().__init__(config)
        self._changes = changes
        self._tls = tls

    def stop(self) -> None:
        """Take no more connections, finish what is under way; who follows something is told to come back."""
        self.should_exit = True
        self._changes.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the listeners: TLS on every socket of the network, none on Unix sockets."""
        if self._tls is None:
            await super().startup(sockets)
            return
        given = sockets or []
        await super().startup([each for each in given if each.family == socket.AF_UNIX])
        for each in given:
            if each.family != socket.AF_UNIX:
                self.servers.append(
                    await asyncio.get_running_loop().create_server(
                        self._protocol,
                        sock=each,
                        ssl=self._tls.context,
                        ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                        backlog=self.config.backlog,
                    )
                )

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes one for each connection."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def server_config(app: object, settings: Settings) -> uvicorn.Config:
    """How the server is set up; proxies are believed only where the settings name them."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=PeerProtocol,
        lifespan="on",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
    )
