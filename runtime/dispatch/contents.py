"""Stored contents are shared between deployments: whoever removes some must not meet an upload that counts on them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class ContentGate:
    """Lets many uploads in at a time, or one removal.

    An upload finds out which contents are stored already and stores the rest; until its deployment refers to them all,
    none may go.
    """

    def __init__(self) -> None:
        self._uploads = 0
        self._no_removal = asyncio.Event()
        self._no_removal.set()

    @asynccontextmanager
    async def uploading(self) -> AsyncIterator[None]:
        """No content is removed while this is open; waits for a removal to end, which takes milliseconds."""
        while not self._no_removal.is_set():
            await self._no_removal.wait()
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    @contextmanager
    def removing(self) -> Iterator[bool]:
        """Whether contents may be removed while this is open: not if an upload is under way."""
        if self._uploads or not self._no_removal.is_set():
            yield False
            return
        self._no_removal.clear()
        try:
            yield True
        finally:
            self._no_removal.set()
