"""Log lines in the store: dense numbers, each line exactly once (semantics S5)."""

import random
from datetime import timedelta
from typing import Any, get_args

import pytest
import zstandard

from runtime.domain.logs import LogLine, LogPhase
from runtime.domain.runs import Run
from runtime.errors import ConflictError
from runtime.store import runs
from runtime.store.database import Database
from runtime.store.logs import MOST_LINES, append_lines, last_program_line, read_chunks, read_page, unpack
from tests.factories import NOW
from tests.stored import store_world

ODD_LINES = [
    "",
    " ",
    "\t",
    "\r",
    "a\rb",
    "\x00",
    "\x0b\x0c\x1c\x85\u2028",
    "früh 🍎",
    "\ufffd",
    "x" * 70_000,
    "\x1b[31mred",
]


async def live_run(database: Database) -> Run:
    world = await store_world(database)
    async with database.transaction() as connection:
        return await world.run(connection, await world.job(connection))


async def test_lines_come_back_once_in_order_and_numbered_densely(database: Database) -> None:
    """Semantics S5: however they were cut into chunks, whatever they hold, wherever reading starts."""
    run, dice = await live_run(database), random.Random(5)
    expected: list[tuple[LogPhase, str]] = []
    offset = 0
    for chunk in range(60):
        lines = [dice.choice([*ODD_LINES, f"line {number}"]) for number in range(dice.randrange(6))]
        phase: LogPhase = dice.choice(get_args(LogPhase))
        async with database.transaction() as connection:
            at = NOW + timedelta(microseconds=chunk)
            following = await append_lines(connection, run.id, phase, at, lines, read_bytes=chunk)
        expected += [(phase, line) for line in lines]
        offset += chunk
        assert following == len(expected)
    async with database.read() as connection:
        lines_read = await read_page(connection, run.id, 0, 1000)
        assert [(line.phase, line.content) for line in lines_read] == expected
        assert [line.line_num for line in lines_read] == list(range(len(expected)))
        assert [line.reported_at for line in lines_read] == sorted(line.reported_at for line in lines_read)
        for start in (0, 1, 2, 17, len(expected) - 1, len(expected), len(expected) + 5):
            assert await read_page(connection, run.id, start, 1000) == lines_read[start:]
        live = await runs.find_live(connection, run.id)
    assert live is not None
    assert (live.next_line, live.log_offset) == (len(expected), offset)


async def test_reading_on_where_it_stopped_misses_and_repeats_nothing(database: Database) -> None:
    """Semantics S5: from either end, in the middle of a chunk too."""
    run = await live_run(database)
    async with database.transaction() as connection:
        for number in range(0, 9000, 30):
            await append_lines(connection, run.id, "program", NOW, [str(line) for line in range(number, number + 30)])
    async with database.read() as connection:
        place, seen = 7, list[str]()
        while chunks := await read_chunks(connection, run.id, place):
            seen += [line.content for lines in unpack(chunks, place) for line in lines]
            place = chunks[-1].end_line
        assert seen == [str(line) for line in range(7, 9000)]
        place, seen = 8999, []
        while chunks := await read_chunks(connection, run.id, 7, place, backwards=True):
            seen += [
                line.content for lines in reversed(list(unpack(reversed(chunks), 7, place))) for line in lines[::-1]
            ]
            place = chunks[-1].first_line
        assert seen == [str(line) for line in range(8998, 6, -1)]


async def test_few_lines_are_stored_and_read_together(database: Database) -> None:
    """However many a job prints at once: of short lines, a block of output holds very many."""
    run = await live_run(database)
    async with database.transaction() as connection:
        assert await append_lines(connection, run.id, "program", NOW, [""] * 131_072) == 131_072
    async with database.read() as connection:
        assert await connection.value("SELECT max(line_count) FROM log_chunks") <= MOST_LINES
        place, numbers = 0, list[int]()
        while chunks := await read_chunks(connection, run.id, place):
            assert sum(chunk.line_count for chunk in chunks) <= MOST_LINES
            for lines in unpack(chunks, place):
                assert len(lines) <= MOST_LINES
                numbers += [line.line_num for line in lines]
            place = chunks[-1].end_line
    assert numbers == list(range(131_072))


async def test_few_chunks_of_long_lines_are_read_together(database: Database) -> None:
    """Semantics S5: neither those that lie on the disk as they are nor those that shrink when they are packed."""
    run, dice = await live_run(database), random.Random(5)
    noise = [dice.randbytes(30_000).hex() for _ in range(100)]
    async with database.transaction() as connection:
        for line in (*noise, *["x" * 60_000] * 100):
            await append_lines(connection, run.id, "program", NOW, [line])
    sizes = []
    async with database.read() as connection:
        place = 0
        while chunks := await read_chunks(connection, run.id, place):
            assert sum(len(chunk.content) for chunk in chunks) <= 256 * 1024
            sizes += [sum(len(line.content) for line in lines) for lines in unpack(chunks, place)]
            place = chunks[-1].end_line
    assert max(sizes) < 400_000
    assert sum(sizes) == 200 * 60_000


async def test_a_chunk_of_many_lines_as_older_versions_stored_them_is_unpacked_in_pieces(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await live_run(database)
    old = zstandard.compress(b"\n".join(b"%d" % number for number in range(30_000)))
    row = (run.id.bytes, 0, 30_000, "program", 0, old)
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO log_chunks VALUES (?, ?, ?, ?, ?, ?)", row)
    made, make = 0, LogLine.model_construct

    def counted(**fields: Any) -> LogLine:
        nonlocal made
        made += 1
        return make(**fields)

    monkeypatch.setattr(LogLine, "model_construct", counted)
    async with database.read() as connection:
        chunks = await read_chunks(connection, run.id, 1)
        taken = 0
        for lines in unpack(chunks, 1):
            taken += len(lines)
            assert made == taken  # nothing is made ahead
            assert len(lines) <= MOST_LINES
        assert taken == 29_999
        page = await read_page(connection, run.id, 12_345, 1000)
    assert [line.content for line in page] == [str(number) for number in range(12_345, 13_345)]
    assert made == taken + 1000


async def test_lines_and_the_place_they_were_read_to_are_one_change(database: Database) -> None:
    """Semantics S5: what was not stored is read again, what was stored is not."""
    run = await live_run(database)

    async def store_and_fail() -> None:
        async with database.transaction() as connection:
            await append_lines(connection, run.id, "program", NOW, ["lost"], read_bytes=5)
            raise LookupError

    with pytest.raises(LookupError):
        await store_and_fail()
    async with database.transaction() as connection:
        assert await append_lines(connection, run.id, "program", NOW, ["kept"], read_bytes=5) == 1
    async with database.read() as connection:
        assert [line.content for line in await read_page(connection, run.id, 0, 1000)] == ["kept"]
        live = await runs.find_live(connection, run.id)
    assert live is not None
    assert live.log_offset == 5


async def test_bytes_without_a_whole_line_move_the_place_only(database: Database) -> None:
    """Semantics S5."""
    run = await live_run(database)
    async with database.transaction() as connection:
        assert await append_lines(connection, run.id, "program", NOW, [], read_bytes=7) == 0
        assert await read_page(connection, run.id, 0, 1000) == []
        live = await runs.find_live(connection, run.id)
    assert live is not None
    assert (live.next_line, live.log_offset) == (0, 7)


async def test_the_log_of_an_ended_run_is_complete(database: Database) -> None:
    """Semantics S5: its lines stay readable and no line is added."""
    run = await live_run(database)
    async with database.transaction() as connection:
        await append_lines(connection, run.id, "program", NOW, ["done"])
        await runs.save_run(connection, run.model_copy(update={"status": "completed", "ended_at": NOW}))
    with pytest.raises(ConflictError, match="has ended"):
        async with database.transaction() as connection:
            await append_lines(connection, run.id, "program", NOW, ["late"])
    async with database.read() as connection:
        assert [line.content for line in await read_page(connection, run.id, 0, 1000)] == ["done"]


async def test_runs_do_not_share_lines(database: Database) -> None:
    """Semantics S5: numbers are dense within a run, however runs take turns."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        first, second = await world.run(connection, job), await world.run(connection, job)
        for number in range(5):
            for run in (first, second):
                await append_lines(connection, run.id, "program", NOW, [f"{run.number}:{number}"])
    async with database.read() as connection:
        for run in (first, second):
            lines = await read_page(connection, run.id, 0, 1000)
            assert [(line.line_num, line.content) for line in lines] == [(n, f"{run.number}:{n}") for n in range(5)]


async def test_the_last_line_that_says_something_is_the_programs(database: Database) -> None:
    """Semantics S6: blank lines and our own do not count."""
    run = await live_run(database)
    async with database.transaction() as connection:
        assert await last_program_line(connection, run.id) == ""
        await append_lines(connection, run.id, "program", NOW, ["Traceback", "ValueError: no apples", ""])
        await append_lines(connection, run.id, "program", NOW, ["  "])
        await append_lines(connection, run.id, "setup", NOW, ["sandbox removed"])
        assert await last_program_line(connection, run.id) == "ValueError: no apples"
