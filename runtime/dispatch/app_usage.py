"""Which apps run here and who uses them: kept in memory, since both end with the daemon."""

import asyncio
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from runtime.dispatch.clock import Clock
from runtime.dispatch.racing import first_of
from runtime.domain.apps import CROWDED_IDLE_SECONDS, idle_at, idle_reason

TOLD_FOR = timedelta(minutes=1)
"""So long one line in an app's log stands for all visitors who get the same kind of error."""

Pause = Callable[[float], Awaitable[object]]


class ConnectsToApp(Protocol):
    """A way to an app's port."""

    async def connect(self) -> socket.socket:
        """A connected, non-blocking socket, the caller's to close; UnavailableError says why there is none."""


@dataclass(frozen=True)
class Backend:
    """A run that answers as an app.

    `base_path` is the prefix that the app itself expects in the paths of requests: `/apps/<slug>`, or empty.
    """

    run_id: UUID
    run_number: int
    deployment_version: int
    base_path: str
    door: ConnectsToApp

    async def connect(self) -> socket.socket:
        """A connected, non-blocking socket, the caller's to close.

        Raises:
            UnavailableError: nothing listens on the app's port, or takes no more connections, or its network is gone.
        """
        return await self.door.connect()


@dataclass
class _Use:
    used_at: datetime
    in_use: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    told: dict[str, datetime] = field(default_factory=dict)


class RunningApps:
    """The apps that answer, by job, and the requests under way to each."""

    def __init__(self, clock: Clock, pause: Pause = asyncio.sleep) -> None:
        """Know of no app yet.

        Args:
            pause: Waits for some seconds, as the clock counts them.
        """
        self._clock = clock
        self._pause = pause
        self._backends: defaultdict[UUID, list[Backend]] = defaultdict(list)
        self._uses: dict[UUID, _Use] = {}
        self._is_crowded = False
        self._crowd_changed = asyncio.Event()

    @contextmanager
    def serving(self, job_id: UUID, backend: Backend) -> Iterator[None]:
        """Hand out this backend meanwhile; of several of one job the newest run counts."""
        self._uses[backend.run_id] = _Use(self._clock())
        self._backends[job_id].append(backend)
        try:
            yield
        finally:
            self._backends[job_id].remove(backend)
            if not self._backends[job_id]:
                del self._backends[job_id]
            del self._uses[backend.run_id]

    def of_job(self, job_id: UUID) -> Backend | None:
        """The backend of a job's newest run that answers."""
        return max(self._backends.get(job_id, ()), key=lambda backend: backend.run_number, default=None)

    @contextmanager
    def using(self, run_id: UUID) -> Iterator[None]:
        """One request or WebSocket is under way meanwhile; of a run that has ended nothing is noted."""
        use = self._uses.get(run_id)
        if use is None:
            yield
            return
        self._note(use, 1)
        try:
            yield
        finally:
            self._note(use, -1)

    def in_use(self, run_id: UUID) -> int:
        """How many requests and WebSockets are under way."""
        use = self._uses.get(run_id)
        return use.in_use if use else 0

    def is_news(self, run_id: UUID, kind: str) -> bool:
        """Whether what has gone wrong is to be told now; of a run that has ended nothing is, of others not too often.

        Args:
            kind: One of few.
        """
        use, now = self._uses.get(run_id), self._clock()
        if use is None or (kind in use.told and now - use.told[kind] < TOLD_FOR):
            return False
        use.told[kind] = now
        return True

    def crowd(self, *, is_crowded: bool) -> None:
        """Say whether apps wait for others to end: then these need not be unused for as long (semantics D6)."""
        if is_crowded != self._is_crowded:
            self._is_crowded = is_crowded
            self._crowd_changed.set()
            self._crowd_changed = asyncio.Event()

    async def until_idle(self, run_id: UUID, idle_seconds: float) -> str:
        """Wait until nobody has used an app that is being served for too long, and say for how long (semantics S4)."""
        use = self._uses[run_id]
        while True:
            use.changed.clear()
            makes_room = self._is_crowded and idle_seconds > CROWDED_IDLE_SECONDS
            limit = CROWDED_IDLE_SECONDS if makes_room else idle_seconds
            at = idle_at(use.used_at, use.in_use, limit)
            if at is None:
                await use.changed.wait()
            elif (seconds := (at - self._clock()).total_seconds()) <= 0:
                return idle_reason(limit, makes_room=makes_room)
            else:
                await self._pause_or_crowd(seconds)

    async def crowded_before(self, other: asyncio.Event) -> bool:
        """Wait until apps wait for others to end, or something else happens; whether it is the former."""
        while not (self._is_crowded or other.is_set()):
            await first_of(other.wait(), self._crowd_changed.wait())
        return self._is_crowded

    async def _pause_or_crowd(self, seconds: float) -> None:
        await first_of(self._pause(seconds), self._crowd_changed.wait())

    def _note(self, use: _Use, change: int) -> None:
        use.in_use += change
        use.used_at = self._clock()
        if not use.in_use:
            use.changed.set()
