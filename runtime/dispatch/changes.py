"""Telling those who wait that something changed; what changed is in the store.

A waiter takes the event of a key first, reads the store, and waits for the event only if what it read was not enough.
An announcement sets the event and forgets it, so nothing that happens in between is missed and nothing queues up.
"""

import asyncio
from collections.abc import Hashable
from weakref import WeakValueDictionary

PENDING_RUNS = "pending-runs"
"""Announced when there may be a new pending run for the executor."""
TIMERS = "timers"
"""Announced when jobs, their triggers or their schedules have changed."""


class Changes:
    """Wake-ups by key: a run's identifier for its log and status, a workspace's for anything in it."""

    def __init__(self) -> None:
        # Who has stopped waiting takes the event along: keys are never announced again once their run is over.
        self._events = WeakValueDictionary[Hashable, asyncio.Event]()
        self.is_closed = False
        """Whether the daemon is about to end: nothing more will be announced, nobody may wait."""

    def event(self, key: Hashable) -> asyncio.Event:
        """The event that the next announcement of `key` sets."""
        event = self._events.setdefault(key, asyncio.Event())
        if self.is_closed:
            event.set()
        return event

    def announce(self, *keys: Hashable) -> None:
        """Wake all who wait for one of these keys."""
        for key in keys:
            if event := self._events.pop(key, None):
                event.set()

    def close(self) -> None:
        """Wake everybody for the last time, whatever they wait for."""
        self.is_closed = True
        self.announce(*list(self._events))
