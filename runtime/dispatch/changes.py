"""Telling those who wait that something changed; what changed is in the store.

A waiter takes the event of a key first, reads the store, and waits for the event only if what it read was not enough.
An announcement sets the event and forgets it, so nothing that happens in between is missed and nothing queues up.
"""

import asyncio
from collections.abc import Hashable


class Changes:
    """Wake-ups by key: a run's identifier for its log and status, a workspace's for anything in it."""

    def __init__(self) -> None:
        self._events: dict[Hashable, asyncio.Event] = {}

    def event(self, key: Hashable) -> asyncio.Event:
        """The event that the next announcement of `key` sets."""
        return self._events.setdefault(key, asyncio.Event())

    def announce(self, *keys: Hashable) -> None:
        """Wake all who wait for one of these keys."""
        for key in keys:
            if event := self._events.pop(key, None):
                event.set()
