"""Whether somebody still waits, while nothing is being sent to an app yet: what they send meanwhile is kept for it."""

import asyncio
from collections import deque

from runtime.proxy.asgi import Message, Receive

_MOST_BYTES = 64 * 1024


class Ahead:
    """A request's `receive` that can be looked at ahead."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[Message] = deque()
        self._size = 0

    async def __call__(self) -> Message:
        """The next message, one that has been kept first."""
        return self._kept.popleft() if self._kept else await self._receive()

    async def until_gone(self) -> None:
        """Wait until who asked is gone; for ever where that cannot be seen, behind a body that is too much to keep."""
        while self._size <= _MOST_BYTES:
            message = await self._receive()
            self._kept.append(message)
            if message["type"] in ("http.disconnect", "websocket.disconnect"):
                return
            self._size += len(message.get("body", b""))
        await asyncio.Event().wait()
