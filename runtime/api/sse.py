"""Server-sent events: a source that yields batches becomes bytes on the wire, with signs of life in between."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import TypeVar

import structlog

from runtime.errors import UnavailableError

KEEP_ALIVE_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies and dead connections show themselves."""
LIVE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""No proxy may hold events back."""
_MOST_DIGITS = 18  # beyond that the store's integers end

# ASCII only: some readers of event streams take U+2028 and its like for line ends.
ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))

Batch = TypeVar("Batch")

log = structlog.get_logger()


async def pump(
    batches: AsyncIterator[Batch],
    encode: Callable[[Batch], Iterable[bytes]],
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    lifetime_seconds: float = float("inf"),
) -> AsyncGenerator[bytes, None]:
    """The bytes of each batch as it comes; ends when `batches` does, with an error event if that fails.

    Closing the generator, as the server does when the client goes away, stops waiting for more.

    Args:
        lifetime_seconds: After so long the stream ends and its reader comes back, with credentials that are good then.
    """
    ends_at = time.monotonic() + lifetime_seconds
    upcoming = asyncio.create_task(_next(batches))
    try:
        while time.monotonic() < ends_at:
            done, _ = await asyncio.wait({upcoming}, timeout=keep_alive_seconds)
            if not done:
                yield b": still here\n\n"
                continue
            batch = upcoming.result()
            if batch is None:
                return
            upcoming = asyncio.create_task(_next(batches))
            for piece in encode(batch):
                yield piece
    except UnavailableError as error:
        yield b"event: error\ndata: " + ENCODER.encode({"detail": error.message}).encode("ascii") + b"\n\n"
    except Exception:
        log.exception("A stream of events broke off", action="event_stream")
        yield b'event: error\ndata: {"detail":"the stream broke off; the log of the runtime says why"}\n\n'
    finally:
        upcoming.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await upcoming


def last_event_id(text: str | None) -> int | None:
    """The place that a reader who comes back has reached; None if it says none that could be ours."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        return None
    return int(text)


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)
