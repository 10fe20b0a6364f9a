"""The end of a connection. What was written is still sent, but nobody is waited for who does not take it.

A transport that is closed stays open until the other side has taken everything, for ever if it takes nothing, and
counts as closed all the while: whoever counts connections to bound them would miss it.
"""

import asyncio
from typing import Any

FAREWELL_SECONDS = 30.0
"""In which somebody must have taken something of what is left. A slow line takes it in large gulps, as the kernel asks
for more only when a good part of its own buffer is empty. (Over TLS nothing of that is to be seen; there uvloop gives
everybody this long, and no longer.)"""


class Parting:
    """A transport whose `close` has an end; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close; hang up on who takes nothing more."""
        if not self._transport.is_closing():
            self._transport.close()
            self._look(None)

    def _look(self, before: int | None) -> None:
        left = self._transport.get_write_buffer_size()
        if before is not None and left >= before:
            self._transport.abort()
        elif left:
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._look, left)
