"""Log lines in the store: dense numbers, each line exactly once (semantics S5)."""

import random
from datetime import timedelta
from typing import get_args

import pytest

from runtime.domain.logs import LogPhase
from runtime.domain.runs import Run
from runtime.errors import ConflictError
from runtime.store import runs
from runtime.store.database import Database
from runtime.store.logs import append_lines, last_program_line, read_lines
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
        lines_read = await read_lines(connection, run.id)
        assert [(line.phase, line.content) for line in lines_read] == expected
        assert [line.line_num for line in lines_read] == list(range(len(expected)))
        assert [line.reported_at for line in lines_read] == sorted(line.reported_at for line in lines_read)
        for start in (0, 1, 2, 17, len(expected) - 1, len(expected), len(expected) + 5):
            assert await read_lines(connection, run.id, start) == lines_read[start:]
        live = await runs.find_live(connection, run.id)
    assert live is not None
    assert (live.next_line, live.log_offset) == (len(expected), offset)


async def test_reading_a_few_chunks_at_a_time_misses_and_repeats_nothing(database: Database) -> None:
    """Semantics S5: a follower continues where it stopped."""
    run = await live_run(database)
    async with database.transaction() as connection:
        for chunk in range(10):
            await append_lines(connection, run.id, "program", NOW, [f"{chunk}.{line}" for line in range(chunk)])
    seen: list[str] = []
    async with database.read() as connection:
        while lines := await read_lines(connection, run.id, len(seen), most_chunks=2):
            seen += [line.content for line in lines]
    assert seen == [f"{chunk}.{line}" for chunk in range(10) for line in range(chunk)]


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
        assert [line.content for line in await read_lines(connection, run.id)] == ["kept"]
        live = await runs.find_live(connection, run.id)
    assert live is not None
    assert live.log_offset == 5


async def test_bytes_without_a_whole_line_move_the_place_only(database: Database) -> None:
    """Semantics S5."""
    run = await live_run(database)
    async with database.transaction() as connection:
        assert await append_lines(connection, run.id, "program", NOW, [], read_bytes=7) == 0
        assert await read_lines(connection, run.id) == []
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
        assert [line.content for line in await read_lines(connection, run.id)] == ["done"]


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
            lines = await read_lines(connection, run.id)
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
