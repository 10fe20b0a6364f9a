"""Log lines: compressed chunks, dense line numbers, and the place in the log file that they reach.

A chunk and the advance of `live_runs.log_offset` are one transaction, so a daemon that dies between reading a file
and storing its lines reads those bytes again and stores them once.

A line in hand costs several hundred bytes, however short it is. So nobody has more than `MOST_LINES` of a log in hand:
chunks are read a few at a time, and one with more lines, as older versions stored them, is unpacked in pieces.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import zstandard

from runtime.domain.logs import LogLine, LogPhase
from runtime.errors import ConflictError
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection

MOST_LINES = 2000
"""Of one log, in hand at a time; and in one chunk, as they are stored now."""
_MOST_CHARACTERS = 256 * 1024
_MOST_PACKED_BYTES = 256 * 1024
_CHUNKS_AT_ONCE = 200
_FAR = 2**62  # beyond any line, and within what the store's integers hold
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
    """Store lines of a live run; returns the number after the last one.

    Args:
        lines: Without line ends; none may contain a newline.
        read_bytes: How many bytes of the log file these lines stand for, 0 for lines of the runtime itself.

    Raises:
        ConflictError: the run has ended, so its log is complete (semantics S5).
    """
    first = await connection.value("SELECT next_line FROM live_runs WHERE run_id = ?", (run_id.bytes,))
    if first is None:
        raise ConflictError(f"run `{run_id}` has ended, its log is complete", code="run_ended")
    compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)
    for place in range(0, len(lines), MOST_LINES):
        part = lines[place : place + MOST_LINES]
        await connection.execute(
            "INSERT INTO log_chunks VALUES (?, ?, ?, ?, ?, ?)",
            (
                run_id.bytes,
                first + place,
                len(part),
                phase,
                to_micros(reported_at),
                compressor.compress("\n".join(part).encode()),
            ),
        )
    following = int(first) + len(lines)
    await connection.execute(
        "UPDATE live_runs SET next_line = ?, log_offset = log_offset + ? WHERE run_id = ?",
        (following, read_bytes, run_id.bytes),
    )
    return following


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


async def count_program_lines(connection: Connection, run_id: UUID) -> int:
    """How many of a run's lines are the job's."""
    count = "SELECT coalesce(sum(line_count), 0) FROM log_chunks WHERE run_id = ? AND phase = 'program'"
    return int(await connection.value(count, (run_id.bytes,)))


@dataclass(frozen=True)
class Chunk:
    """Lines as they are kept."""

    first_line: int
    line_count: int
    phase: LogPhase
    reported_at: datetime
    content: bytes

    @property
    def end_line(self) -> int:
        """The number after its last line."""
        return self.first_line + self.line_count

    def pieces(self) -> Iterator[tuple[int, list[str]]]:
        """Contents of at most `MOST_LINES` lines at a time, each time with the number of the first of them."""
        number, rest = self.first_line, [zstandard.ZstdDecompressor().decompress(self.content).decode()]
        while rest:
            split = rest[0].split("\n", MOST_LINES)
            contents, rest = split[:MOST_LINES], split[MOST_LINES:]
            yield number, contents
            number += len(contents)


async def read_chunks(
    connection: Connection, run_id: UUID, first_line: int, end_line: int = _FAR, *, backwards: bool = False
) -> list[Chunk]:
    """The next of the chunks that hold lines `first_line` to before `end_line`, in order from either end.

    Those that fit what may be in hand at a time, but at least one; none where there is none.
    """
    order = "DESC" if backwards else "ASC"
    rows = await connection.all(
        f"""WITH sizes AS (
                SELECT first_line, line_count, length(content) AS bytes FROM log_chunks
                WHERE run_id = :run AND first_line < :end AND first_line + line_count > :first
                  AND first_line >= coalesce((SELECT max(first_line) FROM log_chunks
                                              WHERE run_id = :run AND first_line <= :first), 0)
                ORDER BY first_line {order} LIMIT :chunks),
            sums AS (
                SELECT first_line, row_number() OVER upto AS place, sum(line_count) OVER upto AS lines,
                       sum(bytes) OVER upto AS bytes
                FROM sizes WINDOW upto AS (ORDER BY first_line {order}))
            SELECT log_chunks.* FROM sums JOIN log_chunks USING (first_line)
            WHERE run_id = :run AND (place = 1 OR (lines <= :most_lines AND bytes <= :most_bytes))
            ORDER BY first_line {order}""",
        {
            "run": run_id.bytes,
            "first": first_line,
            "end": end_line,
            "chunks": _CHUNKS_AT_ONCE,
            "most_lines": MOST_LINES,
            "most_bytes": _MOST_PACKED_BYTES,
        },
    )
    return [
        Chunk(row["first_line"], row["line_count"], row["phase"], from_micros(row["reported_at"]), row["content"])
        for row in rows
    ]


def unpack(chunks: Iterable[Chunk], first_line: int, end_line: int = _FAR) -> Iterator[list[LogLine]]:
    """Lines `first_line` to before `end_line` of these chunks, in batches of at most `MOST_LINES`."""
    batch: list[LogLine] = []
    characters = 0
    for chunk in chunks:
        for number, contents in chunk.pieces():
            if number >= end_line:
                break
            if batch and (len(batch) + len(contents) > MOST_LINES or characters > _MOST_CHARACTERS):
                yield batch
                batch, characters = [], 0
            wanted = range(max(0, first_line - number), min(len(contents), end_line - number))
            batch += [
                LogLine.model_construct(
                    line_num=number + place,
                    phase=chunk.phase,
                    reported_at=chunk.reported_at,
                    content=contents[place],
                )
                for place in wanted
            ]
            characters += sum(len(contents[place]) for place in wanted)
    if batch:
        yield batch


async def read_page(connection: Connection, run_id: UUID, first_line: int, limit: int) -> list[LogLine]:
    """At most `limit` lines from `first_line` on; costs what the page costs, however long the log is."""
    lines: list[LogLine] = []
    place, end_line = first_line, first_line + limit
    while place < end_line and (chunks := await read_chunks(connection, run_id, place, end_line)):
        for batch in unpack(chunks, place, end_line):
            lines += batch
        place = chunks[-1].end_line
    return lines
