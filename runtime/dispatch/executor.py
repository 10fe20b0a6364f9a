"""Keeps runs alive: takes pending ones as there is room, finds those of an earlier daemon, passes on stop requests."""

import asyncio
from contextlib import suppress
from uuid import UUID

import structlog

from runtime.dispatch.app_usage import RunningApps
from runtime.dispatch.changes import PENDING_RUNS, Changes
from runtime.dispatch.lifecycle import Lifecycle
from runtime.dispatch.space import Space
from runtime.errors import PassingError, StoreError
from runtime.store import runs as store
from runtime.store.apps import active_app_runs
from runtime.store.database import Database

log = structlog.get_logger()

_ROOM_SECONDS = 1.0
"""Between looks at whether what passes, a full disk for one, has passed."""


class Executor:
    """One task for each live run, oldest first (semantics D6).

    At most `max_running` at a time, and as many as `max_apps` apps besides: these mostly wait for visitors, and would
    keep others from running for as long as a tab is open. While apps wait, those that nobody uses end sooner.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        lifecycle: Lifecycle,
        max_running: int,
        max_apps: int,
        space: Space | None = None,
        running_apps: RunningApps | None = None,
    ) -> None:
        self._database = database
        self._changes = changes
        self._lifecycle = lifecycle
        self._max_running = max_running
        self._max_apps = max_apps
        self._space = space
        self._running_apps = running_apps
        self._is_waiting = False
        self._apps: set[UUID] = set()
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._stops: dict[UUID, asyncio.Event] = {}
        self._pump: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up every run that was live when the last daemon ended, then begin to take pending ones."""
        async with self._database.read() as connection:
            active = await store.active_runs(connection)
            self._apps = await active_app_runs(connection)
        for run in active:
            if run.status != "pending":
                log.info("takes up a run of an earlier daemon", action="run.adopt", run_id=str(run.id))
                self._begin(run.id)
        self._pump = asyncio.create_task(self._take_pending())

    async def close(self) -> None:
        """Stop taking runs and let go of the live ones: their processes go on, the next daemon finds them."""
        tasks = [*self._tasks.values(), *([self._pump] if self._pump else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self, run_id: UUID) -> None:
        """Make the run's task look at what was asked of it."""
        if event := self._stops.get(run_id):
            event.set()

    async def _take_pending(self) -> None:
        while not self._changes.is_closed:
            event = self._changes.event(PENDING_RUNS)
            try:
                if self._space is not None and self._space.is_short:
                    await self._wait_for_room(event)
                    continue
                await self._begin_pending()
            except (StoreError, PassingError, OSError) as error:
                # Else no run would ever begin again for one look that failed.
                log.warning("pending runs cannot be read", action="run.hold", error=str(error))
                await asyncio.sleep(_ROOM_SECONDS)
                continue
            await event.wait()

    async def _begin_pending(self) -> None:
        async with self._database.read() as connection:
            active = await store.active_runs(connection)
            self._apps = await active_app_runs(connection) | (self._apps & self._tasks.keys())
        waiting: set[UUID] = set()
        for run in active:
            if run.status != "pending" or run.id in self._tasks:
                continue
            if self._has_room(run.id):
                self._begin(run.id)
            else:
                waiting.add(run.id)
        if self._running_apps is not None:
            self._running_apps.crowd(is_crowded=not waiting.isdisjoint(self._apps))

    async def _wait_for_room(self, event: asyncio.Event) -> None:
        """Take nothing while the reserve is touched; said once, for as long as it lasts."""
        if not self._is_waiting:
            log.warning("pending runs wait: the disk is nearly full", action="run.hold")
        self._is_waiting = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_ROOM_SECONDS):
                await event.wait()
        self._is_waiting = self._space is not None and self._space.is_short

    def _has_room(self, run_id: UUID) -> bool:
        apps = len(self._tasks.keys() & self._apps)
        return apps < self._max_apps if run_id in self._apps else len(self._tasks) - apps < self._max_running

    def _begin(self, run_id: UUID) -> None:
        self._stops[run_id] = asyncio.Event()
        task = asyncio.create_task(self._look_after(run_id), name=f"run {run_id}")
        self._tasks[run_id] = task
        task.add_done_callback(lambda _: self._ended(run_id))

    def _ended(self, run_id: UUID) -> None:
        del self._tasks[run_id], self._stops[run_id]
        self._changes.announce(PENDING_RUNS)

    async def _look_after(self, run_id: UUID) -> None:
        """Live a run's life; what passes, a full disk, a database that others hold, is waited out where the run stands.

        A run that the daemon fails at is given up, and nobody waits for it: not even if that fails at first.
        """
        is_given_up = False
        while True:
            try:
                if is_given_up:
                    await self._lifecycle.give_up(run_id)
                else:
                    await self._lifecycle.live(run_id, self._stops[run_id])
            except Exception as error:
                if _is_passing(error):
                    log.warning("a run waits to be recorded", action="run.wait", run_id=str(run_id), error=str(error))
                else:
                    log.exception("a run could not be looked after", action="run.error", run_id=str(run_id))
                    if not is_given_up:
                        is_given_up = True
                        continue
            else:
                return
            await asyncio.sleep(_ROOM_SECONDS)


def _is_passing(error: BaseException) -> bool:
    """Whether nothing went wrong that will not be right again by itself."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_passing(one) for one in error.exceptions)
    return isinstance(error, PassingError)
