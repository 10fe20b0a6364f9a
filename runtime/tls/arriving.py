"""Connections that are to be encrypted, known to their protocol from the moment they come.

A loop's own server tells a protocol of a connection only when its handshake is done. Those before it would count
nowhere, and whoever opens thousands and says nothing would have as many of our file descriptors, with the buffers that
TLS keeps for each. So they are accepted here: the protocol hears of a connection as it comes and may close it at any
time, and hears of it again, with the transport that counts, when it is encrypted.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_AGAIN_SECONDS = 1.0
"""Until connections are taken again, where file descriptors or memory have run out."""

log = structlog.get_logger()


class TlsServer:
    """Takes connections from a listening socket; of `asyncio.Server` it has what uvicorn asks for.

    Args:
        make: Makes the protocol of each connection. Its `connection_made` is called with an `Arriving`, and again with
            the encrypted transport; its `connection_lost` once, whichever of the two ends.
    """

    def __init__(
        self, listening: socket.socket, make: Callable[[], HttpToolsProtocol], context: ssl.SSLContext, backlog: int
    ) -> None:
        listening.setblocking(False)
        listening.listen(backlog)
        self._listening, self._make, self._context = listening, make, context
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Take no more."""
        self._accepting.cancel()

    async def wait_closed(self) -> None:
        """Return when no more are taken."""
        await asyncio.wait([self._accepting])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except ConnectionError:  # it has gone before it was its turn
                continue
            except OSError as error:
                log.warning("Connections wait to be accepted", action="tls.accept", error=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            Arriving(connection).begin(self._make(), self._context)
            await asyncio.sleep(0)  # where many wait, accepting one is no pause


class Arriving(asyncio.Transport):
    """A connection until it is encrypted: it can be looked at and closed."""

    _protocol: HttpToolsProtocol
    _handshake: "asyncio.Task[None] | None" = None

    def __init__(self, connection: socket.socket) -> None:
        super().__init__({"socket": connection})
        self._connection = connection
        self._is_closing = False

    def begin(self, protocol: HttpToolsProtocol, context: ssl.SSLContext) -> None:
        """Tell the protocol, and unless it closes this at once, encrypt."""
        self._protocol = protocol
        protocol.connection_made(self)
        if self._is_closing:
            self._end()
        else:
            self._handshake = asyncio.create_task(self._encrypt(context))
            self._handshake.add_done_callback(self._handshake_ended)

    def close(self) -> None:
        """Hang up, so that the handshake fails: one that is cancelled before it has begun would go on by itself."""
        if not self._is_closing:
            self._is_closing = True
            with suppress(OSError):  # the peer has gone
                self._connection.shutdown(socket.SHUT_RDWR)

    abort = close

    def is_closing(self) -> bool:
        """Whether it has been closed."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Nothing is written here."""
        return 0

    async def _encrypt(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # the peer's matter: it speaks no TLS, or has gone
            await loop.connect_accepted_socket(lambda: self._protocol, self._connection, ssl=context)

    def _handshake_ended(self, handshake: "asyncio.Task[None]") -> None:
        self._end()
        if not handshake.cancelled():
            handshake.result()  # what is no matter of the peer's is one for the loop to tell

    def _end(self) -> None:
        if self._protocol.scheme != "https":  # it has not come to be encrypted
            self._is_closing = True
            self._connection.close()
            self._protocol.connection_lost(None)
