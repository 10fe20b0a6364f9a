"""Parts of a log by line numbers, and looking for lines: what it costs does not grow with the log's length."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from runtime.domain.logs import LogLine
from runtime.store import logs as store
from runtime.store.database import Database

_LINES_AT_ONCE = 200_000
"""So many lines are looked at for one answer, about a second's work; whoever wants more asks again."""


@dataclass(frozen=True)
class LogPage:
    """Consecutive lines, and how many there are in all."""

    total: int
    lines: Sequence[LogLine]


@dataclass(frozen=True)
class FoundLines:
    """Numbers of lines; `next_line` is where the search goes on, None at the end."""

    line_nums: Sequence[int]
    next_line: int | None


class LogPages:
    """Reads stored lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, run_id: UUID, first_line: int, limit: int) -> LogPage:
        """At most `limit` lines from `first_line` on."""
        async with self._database.read() as connection:
            total = await store.count_lines(connection, run_id)
            return LogPage(total, await store.read_page(connection, run_id, first_line, limit))

    async def find(
        self, run_id: UUID, pattern: re.Pattern[str], first_line: int, limit: int, *, backwards: bool
    ) -> FoundLines:
        """The next `limit` lines that match, in the direction of the search, `first_line` the first to be looked at."""
        async with self._database.read() as connection:
            total = await store.count_lines(connection, run_id)
            first = min(first_line, total - 1) if backwards else first_line
            low, high = (
                (max(0, first + 1 - _LINES_AT_ONCE), first + 1) if backwards else (first, first + _LINES_AT_ONCE)
            )
            found: list[int] = []
            async for chunk in store.chunks_from(connection, run_id, low, high, backwards=backwards):
                # In a thread: a log may be long, and others want to be served.
                places = await asyncio.to_thread(_places, chunk, pattern)
                numbers = [chunk.first_line + place for place in places]
                found += [number for number in (reversed(numbers) if backwards else numbers) if low <= number < high]
                if len(found) >= limit:
                    found = found[:limit]
                    last = found[-1] - 1 if backwards else found[-1] + 1
                    return FoundLines(found, last if 0 <= last < total else None)
        reached = low - 1 if backwards else high
        return FoundLines(found, reached if 0 <= reached < total else None)


def _places(chunk: store.Chunk, pattern: re.Pattern[str]) -> list[int]:
    return [place for place, content in enumerate(chunk.lines()) if pattern.search(content)]
