"""From a job's output file to stored lines: each byte once, in order, whichever daemon reads it (semantics S5).

The file holds what the job wrote, secrets included, and goes when the run is settled; what is stored is masked.
"""

import asyncio
import contextlib
from collections.abc import Callable
from uuid import UUID

from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.patience import patiently
from runtime.domain.logs import LogAllowance
from runtime.runner.lines import PARTIAL_LINE_SECONDS, LineSplitter
from runtime.runner.logs import BLOCK_BYTES, LogTail
from runtime.sizes import bytes_text
from runtime.store.database import Database
from runtime.store.logs import count_program_lines, last_program_line
from runtime.store.runs import find_live

_BURST_SECONDS = 5.0
_TRIM_SECONDS = 0.2
_TRIM_BYTES = 1024 * 1024
_END_BYTES = 64 * 1024
_READ_AHEAD_BYTES = 4 * BLOCK_BYTES
_SPARE_BYTES = 16 * 1024 * 1024
"""Of the disk, that file systems set aside for a file that grows, and that is not worth a second look."""


class ProgramLog:
    """Follows one run's output; `finish` says that nothing more will be written."""

    def __init__(
        self,
        database: Database,
        writer: LogWriter,
        tail: LogTail,
        run_id: UUID,
        allowance: LogAllowance,
        *,
        may_shrink: bool,
    ) -> None:
        """Follow nothing yet; for `may_shrink` see `LogTail.follow`."""
        self._database = database
        self._writer = writer
        self._tail = tail
        self._run_id = run_id
        self._allowance = allowance
        self._may_shrink = may_shrink
        self._offset = self._stored = self._lines = 0
        self._is_cut = False
        self._beyond = allowance.bytes + _READ_AHEAD_BYTES
        self._paid_until = float("-inf")
        self._splitter = LineSplitter(writer.masker_of(run_id))
        self._ended = asyncio.Event()
        self.last_line = ""
        """The last line that is not blank, masked, usually a traceback's conclusion (semantics S6)."""

    def finish(self) -> None:
        """Let `follow` return once it has read what is there."""
        self._ended.set()

    async def follow(self) -> None:
        """Store lines as they are written, a line without an end after a second, until finished.

        Of a log that grows beyond what is allowed, its beginning and its last lines are stored.
        """
        await patiently(self._take_up, run_id=str(self._run_id))
        trimming = asyncio.create_task(self._trim())
        try:
            is_whole = await self._follow_beginning()
        finally:
            trimming.cancel()
            await asyncio.wait({trimming})
        if not is_whole:
            await self._store_end()

    def excess_bytes(self) -> int:
        """What the file takes of the disk that no log does: room set aside beyond its end, holes filled again.

        A job writes to the file itself, so it can do more with it than print. A log takes what is allowed and not yet
        stored, and beyond that what came since it was trimmed last.
        """
        untrimmed = max(self._tail.size(self._run_id) - self._beyond, 0)
        most = self._allowance.bytes + _READ_AHEAD_BYTES + _TRIM_BYTES + untrimmed + _SPARE_BYTES
        return max(self._tail.taken(self._run_id) - most, 0)

    async def _take_up(self) -> None:
        """Go on where the last daemon, or this one before it had to begin anew, stopped storing."""
        await self._writer.flush()
        async with self._database.read() as connection:
            live = await find_live(connection, self._run_id)
            self.last_line = await last_program_line(connection, self._run_id)
            self._lines = await count_program_lines(connection, self._run_id)
        self._offset = self._stored = live.log_offset if live else 0
        self._is_cut = self._room <= 0
        self._beyond = self._offset + max(self._room, 0) + _READ_AHEAD_BYTES

    async def _follow_beginning(self) -> bool:
        """Store what is allowed; whether that was all."""
        clock = asyncio.get_running_loop().time
        blocks = self._tail.follow(self._run_id, ended=self._ended, offset=self._offset, may_shrink=self._may_shrink)
        reading = asyncio.ensure_future(anext(blocks, None))
        try:
            while self._room > 0:
                pending = self._splitter.pending_bytes
                await asyncio.wait({reading}, timeout=PARTIAL_LINE_SECONDS if pending else None)
                if not reading.done():
                    await self._store(self._splitter.overdue(clock()), pending)
                elif (block := reading.result()) is not None:
                    lines = self._splitter.feed(block, clock())
                    await self._store(lines, pending + len(block))
                    await self._keep_pace(len(lines), clock)
                    reading = asyncio.ensure_future(anext(blocks, None))
                else:
                    await self._store(self._splitter.finish(), pending)
                    return True
            pending = self._splitter.pending_bytes
            await self._store(self._splitter.finish(), pending)
            if not self._is_cut:  # else an earlier daemon has said so
                most = self._allowance.bytes
                place = f"at {bytes_text(most)}" if self._stored >= most else f"after {self._lines} short lines"
                await self._say(f"the log is cut here, {place}; its last lines follow")
            await self._ended.wait()
            return False
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            await blocks.aclose()

    @property
    def _room(self) -> int:
        return self._allowance.room(self._stored, self._lines)

    async def _keep_pace(self, lines: int, clock: Callable[[], float]) -> None:
        """Wait, while the job goes on, where it writes faster than it may: others want their lines stored, too."""
        rate = self._allowance.lines_per_second
        self._paid_until = max(self._paid_until, clock() - _BURST_SECONDS) + lines / rate
        if self._paid_until > clock():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._paid_until - clock())

    async def _trim(self) -> None:
        """Give the disk back what is stored, and what never will be, while the job writes on."""
        freed = self._stored
        while True:
            await asyncio.sleep(_TRIM_SECONDS)
            if self._stored - freed >= _TRIM_BYTES:
                await asyncio.to_thread(self._tail.free, self._run_id, freed, self._stored)
                freed = self._stored
            end = self._tail.size(self._run_id) - 2 * _END_BYTES
            if end - self._beyond >= _TRIM_BYTES:
                await asyncio.to_thread(self._tail.free, self._run_id, self._beyond, end)
                self._beyond = end

    async def _store_end(self) -> None:
        """The last lines of a log that was cut, and how much is missing before them."""
        size = self._tail.size(self._run_id)
        begin = max(size - _END_BYTES, self._stored)
        if begin >= size:
            return
        whole = self._tail.part(self._run_id, begin, size)
        if begin > self._stored:
            # From the first whole line on; where that may hold the end of a secret that began before, a little later.
            whole = whole.partition(b"\n")[2]
        masker = self._writer.masker_of(self._run_id)
        splitter, unsure = LineSplitter(masker), masker.lookahead
        splitter.feed(whole[:unsure], 0)
        lines = splitter.feed(whole[unsure:], 0) + splitter.finish()
        if begin > self._stored:
            await self._say(f"{bytes_text(begin - self._stored)} of the log are left out here")
        self.last_line = next((line for line in reversed(lines) if line.strip()), self.last_line)
        await self._writer.append(self._run_id, "program", lines, read_bytes=size - self._stored)

    async def _say(self, text: str) -> None:
        """In the runtime's own name: no job can say this."""
        await self._writer.append(self._run_id, "setup", [text])

    async def _store(self, lines: list[str], held_before: int) -> None:
        """Store lines and, with them, how far into the file they reach.

        Args:
            held_before: Bytes that were read but not yet part of a stored line, the latest block's included.
        """
        if lines:
            self.last_line = next((line for line in reversed(lines) if line.strip()), self.last_line)
            read_bytes = held_before - self._splitter.pending_bytes
            await self._writer.append(self._run_id, "program", lines, read_bytes=read_bytes)
            self._stored += read_bytes
            self._lines += len(lines)
