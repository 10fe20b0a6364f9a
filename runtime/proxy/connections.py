"""Connections to one run of an app: new ones as they are needed, idle ones for what can safely be asked twice.

A server may close a connection that stands idle at the very moment that we ask something over it. So a used connection
serves only requests without a body whose method promises that asking twice does no harm, and those are asked once more
over a new one if it turns out to be dead.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from runtime.errors import JobRuntimeError
from runtime.proxy.upstream import AnswerError, Upstream

CONNECT_SECONDS = 10.0
_KEPT_SECONDS = 3.0
"""Less than the five seconds for which uvicorn keeps an idle connection."""
_MOST_KEPT = 32


class Connections:
    """The connections to one run."""

    def __init__(self, connect: Callable[[], Awaitable[socket.socket]]) -> None:
        self._connect = connect
        self._idle: list[tuple[Upstream, asyncio.TimerHandle]] = []

    def take_used(self) -> Upstream | None:
        """An idle connection that still stands, the one last used."""
        while self._idle:
            upstream, timer = self._idle.pop()
            timer.cancel()
            if upstream.is_reusable:
                return upstream
            upstream.abort()
        return None

    async def open(self) -> Upstream:
        """A new connection.

        Raises:
            AnswerError: nothing listens at the app's port, or takes no more connections.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await Upstream.connect(await self._connect())
        except JobRuntimeError as error:
            raise AnswerError(error.message) from error
        except TimeoutError as error:
            raise AnswerError(f"the app has taken no connection within {CONNECT_SECONDS:g} s") from error
        except OSError as error:
            raise AnswerError("nothing listens at the app's port") from error

    def give_back(self, upstream: Upstream) -> None:
        """Keep a connection for the next request, if it can carry one."""
        if not upstream.is_reusable or len(self._idle) >= _MOST_KEPT:
            upstream.abort()
            return
        timer = asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._drop, upstream)
        self._idle.append((upstream, timer))

    def close(self) -> None:
        """Hang up all idle ones."""
        while self._idle:
            upstream, timer = self._idle.pop()
            timer.cancel()
            upstream.abort()

    def _drop(self, upstream: Upstream) -> None:
        self._idle = [each for each in self._idle if each[0] is not upstream]
        upstream.abort()
