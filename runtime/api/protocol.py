"""The server's side of a connection: uvicorn's, and who the peer of a Unix socket is."""

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.api.access import PEER_KEY
from runtime.auth.peers import peer_of


class PeerProtocol(HttpToolsProtocol):
    """Asks the kernel who connected (SO_PEERCRED), once for each connection.

    Use it as `uvicorn.Config(http=PeerProtocol)`. The answer travels in `scope["state"]`, which no client can write to.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Note the peer before the first request is read."""
        super().connection_made(transport)
        endpoint = transport.get_extra_info("socket")
        if endpoint is not None and endpoint.family == socket.AF_UNIX:
            # The state is shared by all connections; this one gets a copy of its own.
            self.app_state = {**self.app_state, PEER_KEY: peer_of(endpoint.fileno())}
