"""Log lines: compressed chunks, dense line numbers, and the place in the log file that they reach.

A chunk and the advance of `live_runs.log_offset` are one transaction, so a daemon that dies between reading a file
and storing its lines reads those bytes again and stores them once.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import zstandard

from runtime.domain.logs import LogLine, LogPhase
from runtime.errors import ConflictError
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection

_CHUNKS_AT_ONCE = 100
_COMPRESSION_LEVEL = 1  # logs come fast and are small; level 1 keeps up with any job on one core


async def append_lines(
    connection: Connection,
    run_id: UUID,
    phase: LogPhase,
    reported_at: datetime,
    lines: Sequence[str],
    *,
    read_bytes: int = 0,
) -> int:
    """Store lines of a live run as one chunk; returns the number after the last one.

    Args:
        lines: Without line ends; none may contain a newline.
        read_bytes: How many bytes of the log file these lines stand for, 0 for lines of the runtime itself.

    Raises:
        ConflictError: the run has ended, so its log is complete (semantics S5).
    """
    first = await connection.value("SELECT next_line FROM live_runs WHERE run_id = ?", (run_id.bytes,))
    if first is None:
        raise ConflictError(f"run `{run_id}` has ended, its log is complete", code="run_ended")
    following = int(first) + len(lines)
    if lines:
        content = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress("\n".join(lines).encode())
        await connection.execute(
            "INSERT INTO log_chunks VALUES (?, ?, ?, ?, ?, ?)",
            (run_id.bytes, first, len(lines), phase, to_micros(reported_at), content),
        )
    await connection.execute(
        "UPDATE live_runs SET next_line = ?, log_offset = log_offset + ? WHERE run_id = ?",
        (following, read_bytes, run_id.bytes),
    )
    return following


async def read_lines(connection: Connection, run_id: UUID, from_line: int = 0, most_chunks: int = -1) -> list[LogLine]:
    """Lines of a run from `from_line` on, in order.

    Args:
        most_chunks: Bounds how much is read at once; -1 reads all.
    """
    rows = await connection.all(
        """SELECT * FROM log_chunks WHERE run_id = ? AND first_line + line_count > ?
           ORDER BY first_line LIMIT ?""",
        (run_id.bytes, from_line, most_chunks),
    )
    decompressor = zstandard.ZstdDecompressor()
    lines: list[LogLine] = []
    for row in rows:
        reported_at = from_micros(row["reported_at"])
        contents = decompressor.decompress(row["content"]).decode().split("\n")
        lines += [
            LogLine.model_construct(line_num=number, phase=row["phase"], reported_at=reported_at, content=content)
            for number, content in enumerate(contents, start=row["first_line"])
            if number >= from_line
        ]
    return lines


async def last_program_line(connection: Connection, run_id: UUID) -> str:
    """The job's last line that is not blank; empty if it has printed none."""
    rows = await connection.all(
        "SELECT content FROM log_chunks WHERE run_id = ? AND phase = 'program' ORDER BY first_line DESC LIMIT 20",
        (run_id.bytes,),
    )
    decompressor = zstandard.ZstdDecompressor()
    for row in rows:
        for line in reversed(decompressor.decompress(row["content"]).decode().split("\n")):
            if line.strip():
                return line
    return ""


async def count_lines(connection: Connection, run_id: UUID) -> int:
    """How many lines a run has so far."""
    end = await connection.value(
        "SELECT first_line + line_count FROM log_chunks WHERE run_id = ? ORDER BY first_line DESC LIMIT 1",
        (run_id.bytes,),
    )
    return int(end or 0)


async def read_page(connection: Connection, run_id: UUID, first_line: int, limit: int) -> list[LogLine]:
    """At most `limit` lines from `first_line` on; costs what the page costs, however long the log is."""
    lines: list[LogLine] = []
    async for chunk in chunks_from(connection, run_id, first_line, first_line + limit):
        contents = chunk.lines()
        begin, end = max(0, first_line - chunk.first_line), first_line + limit - chunk.first_line
        lines += [
            LogLine.model_construct(
                line_num=chunk.first_line + place,
                phase=chunk.phase,
                reported_at=chunk.reported_at,
                content=contents[place],
            )
            for place in range(begin, min(end, len(contents)))
        ]
    return lines


@dataclass(frozen=True)
class Chunk:
    """Lines as they are kept; unpacking them is work for a thread where there are many."""

    first_line: int
    phase: LogPhase
    reported_at: datetime
    content: bytes

    def lines(self) -> list[str]:
        """Their contents."""
        return zstandard.ZstdDecompressor().decompress(self.content).decode().split("\n")


async def chunks_from(
    connection: Connection, run_id: UUID, first_line: int, end_line: int, *, backwards: bool = False
) -> AsyncIterator[Chunk]:
    """The chunks that hold lines `first_line` to before `end_line`, one by one."""
    start = await connection.value(
        "SELECT max(first_line) FROM log_chunks WHERE run_id = ? AND first_line <= ?", (run_id.bytes, first_line)
    )
    low, high = int(start or 0), end_line
    order = "DESC" if backwards else ""
    while True:
        rows = await connection.all(
            f"""SELECT * FROM log_chunks WHERE run_id = ? AND first_line >= ? AND first_line < ?
                ORDER BY first_line {order} LIMIT ?""",
            (run_id.bytes, low, high, _CHUNKS_AT_ONCE),
        )
        for row in rows:
            yield Chunk(row["first_line"], row["phase"], from_micros(row["reported_at"]), row["content"])
        if len(rows) < _CHUNKS_AT_ONCE:
            return
        if backwards:
            high = rows[-1]["first_line"]
        else:
            low = rows[-1]["first_line"] + 1
