"""Parts of logs by line numbers, and looking for lines, over a real store."""

import asyncio
import re
import threading
from collections.abc import Iterator

import pytest

from runtime.dispatch.log_pages import LogPages
from runtime.domain.runs import Run
from runtime.store import logs
from tests.factories import NOW
from tests.house import House

CHUNK = 7
LINES = 1000


async def a_log(house: House) -> Run:
    """A run with a thousand lines in uneven chunks, `line 0` to `line 999`, an error at 500."""
    await house.ready()
    run = await house.launch()
    contents = ["ERROR no apples" if number == 500 else f"line {number}" for number in range(LINES)]
    async with house.database.transaction() as connection:
        for first in range(0, LINES, CHUNK):
            await logs.append_lines(connection, run.id, "program", NOW, contents[first : first + CHUNK])
    return run


async def test_a_page_has_the_lines_asked_for_and_says_how_many_there_are(house: House) -> None:
    """Wherever it begins, in the middle of a chunk too; beyond the end there are none."""
    run, pages = await a_log(house), LogPages(house.database)
    for first, limit in ((0, 10), (6, 3), (7, 7), (995, 100), (LINES, 10), (123, 0)):
        page = await pages.page(run.id, first, limit)
        assert page.total == LINES
        assert [line.line_num for line in page.lines] == list(range(first, min(first + limit, LINES)))
    assert (await pages.page(run.id, 42, 1)).lines[0].content == "line 42"


async def test_a_run_without_lines_has_an_empty_page(house: House) -> None:
    """Nothing has been written yet."""
    await house.ready()
    run = await house.launch()
    page = await LogPages(house.database).page(run.id, 0, 10)
    assert (page.total, list(page.lines)) == (0, [])


async def test_the_end_of_a_log_is_read_without_the_rest(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    run, unpacked, pieces_of = await a_log(house), 0, logs.Chunk.pieces

    def counted(chunk: logs.Chunk) -> Iterator[tuple[int, list[str]]]:
        nonlocal unpacked
        unpacked += 1
        return pieces_of(chunk)

    monkeypatch.setattr(logs.Chunk, "pieces", counted)
    assert [line.line_num for line in await house.runs.last_lines(run.id, 10)] == list(range(LINES - 10, LINES))
    assert unpacked <= 3


async def test_lines_are_found_in_both_directions(house: House) -> None:
    """The line to begin at counts; `next_line` goes on behind what was found, and is None at the end."""
    run, pages = await a_log(house), LogPages(house.database)
    pattern = re.compile("line 99")
    forwards = await pages.find(run.id, pattern, 99, 2, backwards=False)
    assert (forwards.line_nums, forwards.next_line) == ([99, 990], 991)
    rest = await pages.find(run.id, pattern, 991, 100, backwards=False)
    assert (rest.line_nums, rest.next_line) == (list(range(991, 1000)), None)
    backwards = await pages.find(run.id, pattern, 2000, 11, backwards=True)
    assert backwards.line_nums == [*range(999, 989, -1), 99]
    assert backwards.next_line == 98
    before = await pages.find(run.id, pattern, 98, 1, backwards=True)
    assert (before.line_nums, before.next_line) == ([], None)


async def test_a_long_log_is_looked_through_a_part_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer comes within bounds; whoever wants more goes on where it ends."""
    run, pages = await a_log(house), LogPages(house.database)
    monkeypatch.setattr("runtime.dispatch.log_pages._LINES_AT_ONCE", 300)
    pattern, place, asked = re.compile("no apples"), 0, 0
    while not (found := await pages.find(run.id, pattern, place, 1, backwards=False)).line_nums:
        assert found.next_line is not None
        place, asked = found.next_line, asked + 1
    assert (found.line_nums, asked) == ([500], 1)


async def test_readers_are_free_while_lines_are_looked_at(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many search at once: each leaves the database alone while it looks at what it has read."""
    run, pages = await a_log(house), LogPages(house.database)
    looking, go_on, pieces_of = threading.Semaphore(0), threading.Event(), logs.Chunk.pieces
    at_once = most = 0

    def slow(chunk: logs.Chunk) -> Iterator[tuple[int, list[str]]]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        looking.release()
        go_on.wait()
        yield from pieces_of(chunk)
        at_once -= 1

    monkeypatch.setattr(logs.Chunk, "pieces", slow)
    searches = [asyncio.create_task(pages.find(run.id, re.compile("apples"), 0, 1, backwards=False)) for _ in range(10)]
    try:
        await asyncio.to_thread(looking.acquire)
        for _ in range(10):
            async with asyncio.timeout(10), house.database.read() as connection:
                assert await logs.count_lines(connection, run.id) == LINES
    finally:
        go_on.set()
    assert [list((await search).line_nums) for search in searches] == [[500]] * 10
    assert most == 1


async def test_a_whole_log_is_read_a_part_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a reader as slow as they like, who holds nothing of the database; what comes later is not waited for."""
    monkeypatch.setattr(logs, "MOST_LINES", 50)
    run = await a_log(house)
    stored = await house.runs.logs(run.id)
    followed = house.runs.follow(run.id)
    async with house.database.transaction() as connection:
        await logs.append_lines(connection, run.id, "program", NOW, ["later"])
    readers = 20
    batches = [await anext(stored) for _ in range(3)] + [await anext(followed) for _ in range(3)]
    assert all(len(batch) <= 50 for batch in batches)
    held = [await house.runs.logs(run.id) for _ in range(readers)]
    async with asyncio.timeout(10):
        for lines in held:
            await anext(lines)
    rest = [line.line_num async for batch in stored for line in batch]
    assert [line.line_num for batch in batches[:3] for line in batch] + rest == list(range(LINES))
