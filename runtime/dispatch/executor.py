"""Keeps runs alive: takes pending ones as there is room, finds those of an earlier daemon, passes on stop requests."""

import asyncio
from uuid import UUID

import structlog

from runtime.dispatch.changes import PENDING_RUNS, Changes
from runtime.dispatch.lifecycle import Lifecycle
from runtime.store import runs as store
from runtime.store.database import Database

log = structlog.get_logger()


class Executor:
    """One task for each live run, at most `max_running` at a time, oldest first (semantics D6)."""

    def __init__(self, database: Database, changes: Changes, lifecycle: Lifecycle, max_running: int) -> None:
        self._database = database
        self._changes = changes
        self._lifecycle = lifecycle
        self._max_running = max_running
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._stops: dict[UUID, asyncio.Event] = {}
        self._pump: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up every run that was live when the last daemon ended, then begin to take pending ones."""
        async with self._database.read() as connection:
            active = await store.active_runs(connection)
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

    @property
    def live_count(self) -> int:
        """How many runs are being looked after."""
        return len(self._tasks)

    async def _take_pending(self) -> None:
        while not self._changes.is_closed:
            event = self._changes.event(PENDING_RUNS)
            async with self._database.read() as connection:
                active = await store.active_runs(connection)
            for run in active:
                if len(self._tasks) >= self._max_running:
                    break
                if run.status == "pending" and run.id not in self._tasks:
                    self._begin(run.id)
            await event.wait()

    def _begin(self, run_id: UUID) -> None:
        self._stops[run_id] = asyncio.Event()
        task = asyncio.create_task(self._look_after(run_id), name=f"run {run_id}")
        self._tasks[run_id] = task
        task.add_done_callback(lambda _: self._ended(run_id))

    def _ended(self, run_id: UUID) -> None:
        del self._tasks[run_id], self._stops[run_id]
        self._changes.announce(PENDING_RUNS)

    async def _look_after(self, run_id: UUID) -> None:
        try:
            await self._lifecycle.live(run_id, self._stops[run_id])
        except Exception:
            log.exception("a run could not be looked after", action="run.error", run_id=str(run_id))
            await self._lifecycle.give_up(run_id)
