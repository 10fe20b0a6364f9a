"""One piece of work for all who want it: the first caller starts it, the others wait for it and hear its lines."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Report = Callable[[str], None]
"""Takes one line of a build's output."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_LINES_KEPT = 2000


class SharedWork(Generic[K, T]):
    """Runs at most one piece of work per key at a time."""

    def __init__(self) -> None:
        self._running: dict[K, _Work[T]] = {}

    async def run(self, key: K, start: Callable[[Report], Awaitable[T]], report: Report) -> T:
        """The result of the work under `key`, started now unless it is under way.

        `report` gets every line of the work, those from before this call too (the last 2000). An error reaches
        everybody who waits. The work is cancelled when the last of them is, and has ended when that one returns.
        """
        work = self._running.get(key)
        if work is None:
            work = self._running[key] = _Work(start)
            work.task.add_done_callback(lambda _: self._forget(key, work))
        leave = work.join(report)
        try:
            return await asyncio.shield(work.task)
        finally:
            if leave() and not work.task.done():
                self._forget(key, work)  # whoever comes now starts anew
                work.task.cancel()
                await asyncio.wait([work.task])

    def _forget(self, key: K, work: "_Work[T]") -> None:
        if self._running.get(key) is work:
            del self._running[key]


class _Work(Generic[T]):
    def __init__(self, start: Callable[[Report], Awaitable[T]]) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._listeners: list[Report] = []
        self.task: asyncio.Task[T] = asyncio.ensure_future(self._do(start))

    async def _do(self, start: Callable[[Report], Awaitable[T]]) -> T:
        return await start(self._tell)

    def join(self, report: Report) -> Callable[[], bool]:
        """Listen from now on; the function returned stops that and says whether nobody listens any more."""
        for line in self._lines:
            report(line)
        self._listeners.append(report)

        def leave() -> bool:
            self._listeners.remove(report)
            return not self._listeners

        return leave

    def _tell(self, line: str) -> None:
        self._lines.append(line)
        for listener in tuple(self._listeners):
            listener(line)
