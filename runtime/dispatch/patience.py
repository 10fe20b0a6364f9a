"""Waiting for the store: for as long as what hinders it passes (`PassingError`), or for no more than a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from runtime.errors import PassingError

log = structlog.get_logger()
T = TypeVar("T")

_AGAIN_SECONDS = 1.0
_MOMENT_SECONDS = 1.0
"""Longer than that no run that is to stop goes on for want of a database to write it into."""


async def patiently(work: Callable[[], Awaitable[T]], **about: str) -> T:
    """The result of `work`, done again each second for as long as only what passes keeps it from being done.

    Args:
        about: What the daemon's log says of the work, `run_id` for one.
    """
    while True:
        try:
            return await work()
        except PassingError as error:
            log.warning("something waits to be recorded", action="store.wait", error=error.message, **about)
            await asyncio.sleep(_AGAIN_SECONDS)


async def for_a_moment(recording: asyncio.Task[Any]) -> None:
    """Let it be recorded why a run is stopped, at most for a second; the task goes on where it takes longer.

    First, so that the next daemon knows it where this one ends in between; but the run is stopped, whether it can be
    recorded or not.
    """
    await asyncio.wait({recording}, timeout=_MOMENT_SECONDS)
