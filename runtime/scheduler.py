"""The clock: says "look at this trigger again" at the moment the domain names, and nothing more.

APScheduler holds one timer for each timed trigger of a live job. What is due is reported without an answer: whether a
tick is dispatched, skipped or was taken long ago is decided in a transaction of its own, so a timer that fires twice,
or late, or after the machine's clock was set, does no harm. Timers follow the store: whenever jobs, schedules or ticks
change, the timers there are are compared with those there should be.
"""

import asyncio
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from runtime.dispatch.ticking import Due, Ticker
from runtime.errors import JobRuntimeError

_LOOK_AROUND_SECONDS = 15
"""How late a tick may be when the wall clock was set or the machine slept: timers count the seconds awake."""

_AGAIN_SECONDS = 1.0
"""Until the timers are compared again where the store could not be read."""

log = structlog.get_logger()


class TickTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler is not typed
    """Fires once, at the tick that the domain has named; the next one comes with the next comparison."""

    def __init__(self, tick: datetime) -> None:
        self.tick = tick

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:  # noqa: ARG002
        """The tick, until it has fired."""
        return self.tick if previous_fire_time is None else None


class Scheduler:
    """Keeps a timer for every timed trigger that is live."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._timers = AsyncIOScheduler(timezone=UTC)
        self._set: dict[Due, datetime] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Set all timers; those whose tick passed while no daemon ran are due at once."""
        self._timers.start()
        self._timers.add_job(self._timers.wakeup, "interval", seconds=_LOOK_AROUND_SECONDS, coalesce=True)
        self._tasks = [asyncio.create_task(self._ticker.run()), asyncio.create_task(self._keep_up())]

    async def close(self) -> None:
        """Stop; ticks that pass until the next start are caught up then."""
        self._timers.shutdown(wait=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_up(self) -> None:
        while True:
            changed = self._ticker.timers_changed()
            try:
                self._compare(await self._ticker.next_ticks())
            except JobRuntimeError as error:  # else no timer would ever be set again for one look that failed
                log.warning("timers wait to be set", action="timers.wait", error=error.message)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            await changed.wait()

    def _compare(self, wanted: dict[Due, datetime]) -> None:
        for due in self._set.keys() - wanted.keys():
            self._remove(due)
        for due, tick in wanted.items():
            if self._set.get(due) != tick:
                self._timers.add_job(
                    self._fire,
                    TickTrigger(tick),
                    args=[due],
                    id=_key(due),
                    replace_existing=True,
                    misfire_grace_time=None,
                )
                self._set[due] = tick

    def _remove(self, due: Due) -> None:
        del self._set[due]
        if self._timers.get_job(_key(due)):
            self._timers.remove_job(_key(due))

    async def _fire(self, due: Due) -> None:
        self._set.pop(due, None)
        self._ticker.report(due)


def _key(due: Due) -> str:
    return f"{due.job_id} {due.trigger}"
