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
    """Reads stored lines; of those who search, one at a time looks at some lines, and all take turns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Semaphore(1)

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
        low, high = (max(0, first + 1 - _LINES_AT_ONCE), first + 1) if backwards else (first, first + _LINES_AT_ONCE)
        following = low - 1 if backwards else high
        found: list[int] = []
        while len(found) < limit and low < high:
            async with self._turn:
                async with self._database.read() as connection:
                    chunks = await store.read_chunks(connection, run_id, low, high, backwards=backwards)
                if not chunks:
                    break
                # In a thread, and without a connection: others want to be served.
                numbers = await asyncio.to_thread(_matching, chunks, pattern, range(low, high))
            found += reversed(numbers) if backwards else numbers
            low, high = (low, chunks[-1].first_line) if backwards else (chunks[-1].end_line, high)
        if len(found) >= limit:
            found = found[:limit]
            following = found[-1] - 1 if backwards else found[-1] + 1
        return FoundLines(found, following if 0 <= following < total else None)


def _matching(chunks: Sequence[store.Chunk], pattern: re.Pattern[str], wanted: range) -> list[int]:
    """Numbers of those wanted lines that match, ascending."""
    return sorted(
        number
        for chunk in chunks
        for first, contents in chunk.pieces()
        for number, content in enumerate(contents, first)
        if number in wanted and pattern.search(content)
    )
