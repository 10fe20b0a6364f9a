"""The only way to an app's port: sockets that were made inside its network.

A socket belongs for good to the network it was made in, whoever holds it. So a small process in the app's network (the
door) makes sockets there and passes them to the daemon, which connects them itself, to 127.0.0.1. No port of the
machine leads to the app, nothing copies bytes, and an app that listens on its loopback alone is reached as well.
A door ends with the daemon, whose successor opens another.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import structlog

import runtime.sandbox.door
from runtime.errors import UnavailableError
from runtime.sandbox.detached import kill_and_wait, reap, spawn_detached, wait_readable
from runtime.sandbox.identity import ProcessIdentity, identify

log = structlog.get_logger()

_PROGRAM = Path(runtime.sandbox.door.__file__)
NOTHING_LISTENS = "app_unreachable"
"""The code of the error where the network is there and the app's port is closed."""
TAKES_NONE = "app_busy"
"""Where something listens there, but takes no more connections: as many wait as may."""

_ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_ADDRESSES: tuple[tuple[Literal["4", "6"], str], ...] = (("4", "127.0.0.1"), ("6", "::1"))
_FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}


class Door:
    """Connects to a port of one network."""

    def __init__(self, entry: Sequence[str], port: int) -> None:
        """Open nothing yet.

        Args:
            entry: What leads into the network (`NetworkHolders.present`); empty where it is the machine's own.
            port: The app's.
        """
        self._entry = entry
        self._port = port
        self._asking = asyncio.Lock()
        self.process: ProcessIdentity | None = None
        """The door itself, while it is open; none is needed in the machine's own network."""
        self._channel: socket.socket | None = None
        self._is_closed = False

    async def connect(self) -> socket.socket:
        """A socket connected to the app, non-blocking; the caller closes it.

        Raises:
            UnavailableError: nothing listens there, or takes no more connections, or the network is gone.
        """
        is_busy = False
        for family, address in _ADDRESSES:
            made = await self._socket(family)
            if made is None:
                continue
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await asyncio.get_running_loop().sock_connect(made, (address, self._port))
            except OSError as error:
                is_busy |= isinstance(error, TimeoutError)
                made.close()
            except BaseException:
                made.close()
                raise
            else:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
        if is_busy:
            words = f"the app takes no more connections on its port {self._port}: too many wait to be taken"
            raise UnavailableError(words, code=TAKES_NONE)
        raise UnavailableError(f"nothing listens on the app's port {self._port}", code=NOTHING_LISTENS)

    async def close(self) -> None:
        """End the door's process for good; sockets that were handed out stay."""
        self._is_closed = True
        async with self._asking:
            await self._end()

    async def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.process is not None:
            await kill_and_wait(self.process)
            self.process = None

    async def _socket(self, family: Literal["4", "6"]) -> socket.socket | None:
        """A new socket of that network; None if it has no such addresses."""
        if not self._entry:
            with contextlib.suppress(OSError):
                return socket.socket(_FAMILIES[family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            return None
        async with self._asking:
            for _ in range(2):
                if self._is_closed:
                    break
                channel = self._channel or self._open()
                try:
                    return await _ask(channel, family)
                except (OSError, EOFError) as error:
                    # It has ended (who knows, for want of memory), or is out of step: another takes its place.
                    log.warning("A door does not answer, opening another", action="app.door", error=str(error))
                    await self._end()
                except BaseException:
                    await self._end()  # an answer that nobody took would be taken for the next one's
                    raise
        raise UnavailableError("the app's network cannot be entered", code="app_network_gone")

    def _open(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                argv = [*self._entry, sys.executable, "-I", "-S", str(_PROGRAM), str(theirs.fileno())]
                pid = spawn_detached(argv, environment={"PATH": os.defpath}, pass_fds=(theirs.fileno(),))
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._channel, self.process = ours, identify(pid)
        if self.process is None:
            reap(pid)
        return ours


async def _ask(channel: socket.socket, family: str) -> socket.socket | None:
    channel.send(family.encode())
    async with asyncio.timeout(_ANSWER_SECONDS):
        await wait_readable(channel.fileno())
    answer, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if not answer:
        raise EOFError("the door has ended")
    return socket.socket(fileno=descriptors[0]) if descriptors else None


@asynccontextmanager
async def open_door(entry: Sequence[str], port: int) -> AsyncIterator[Door]:
    """A door that is closed at the end."""
    door = Door(entry, port)
    try:
        yield door
    finally:
        await asyncio.shield(door.close())
