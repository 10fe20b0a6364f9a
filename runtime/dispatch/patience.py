"""Trying again what passes: a disk that is full, a database that others hold (`PassingError`)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from runtime.errors import PassingError

log = structlog.get_logger()
T = TypeVar("T")

_AGAIN_SECONDS = 1.0


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
