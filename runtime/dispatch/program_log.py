"""From a job's output file to stored lines: each byte once, in order, whichever daemon reads it (semantics S5).

The file holds what the job wrote, secrets included, and goes when the run is settled; what is stored is masked.
"""

import asyncio
from typing import Self
from uuid import UUID

from runtime.dispatch.log_writer import LogWriter
from runtime.runner.lines import PARTIAL_LINE_SECONDS, LineSplitter
from runtime.runner.logs import LogTail
from runtime.store.database import Database
from runtime.store.logs import last_program_line
from runtime.store.runs import find_live


class ProgramLog:
    """Follows one run's output; `finish` says that nothing more will be written."""

    def __init__(self, writer: LogWriter, tail: LogTail, run_id: UUID, offset: int, last_line: str) -> None:
        self._writer = writer
        self._tail = tail
        self._run_id = run_id
        self._offset = offset
        self._splitter = LineSplitter(writer.masker_of(run_id))
        self._ended = asyncio.Event()
        self.last_line = last_line
        """The last line that is not blank, masked, usually a traceback's conclusion (semantics S6)."""

    @classmethod
    async def open(cls, database: Database, writer: LogWriter, tail: LogTail, run_id: UUID) -> Self:
        """Go on where the last daemon stopped storing."""
        await writer.flush()
        async with database.read() as connection:
            live = await find_live(connection, run_id)
            last_line = await last_program_line(connection, run_id)
        return cls(writer, tail, run_id, live.log_offset if live else 0, last_line)

    def finish(self) -> None:
        """Let `follow` return once it has read what is there."""
        self._ended.set()

    async def follow(self) -> None:
        """Store lines as they are written, a line without an end after a second, until finished."""
        clock = asyncio.get_running_loop().time
        blocks = self._tail.follow(self._run_id, ended=self._ended, offset=self._offset)
        reading = asyncio.ensure_future(anext(blocks, None))
        try:
            while True:
                pending = self._splitter.pending_bytes
                await asyncio.wait({reading}, timeout=PARTIAL_LINE_SECONDS if pending else None)
                if not reading.done():
                    await self._store(self._splitter.overdue(clock()), pending)
                elif (block := reading.result()) is not None:
                    await self._store(self._splitter.feed(block, clock()), pending + len(block))
                    reading = asyncio.ensure_future(anext(blocks, None))
                else:
                    await self._store(self._splitter.finish(), pending)
                    return
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            await blocks.aclose()

    async def _store(self, lines: list[str], held_before: int) -> None:
        """Store lines and, with them, how far into the file they reach.

        Args:
            held_before: Bytes that were read but not yet part of a stored line, the latest block's included.
        """
        if lines:
            self.last_line = next((line for line in reversed(lines) if line.strip()), self.last_line)
            read_bytes = held_before - self._splitter.pending_bytes
            await self._writer.append(self._run_id, "program", lines, read_bytes=read_bytes)
