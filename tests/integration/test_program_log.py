"""How much of a job's output is stored, over a real store and a real file."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.program_log import ProgramLog
from runtime.domain.logs import LEAST_BYTES_OF_LINE, LogAllowance, LogLine
from runtime.runner.logs import BLOCK_BYTES, LogTail
from runtime.store.logs import count_lines, read_page
from tests.house import House

BLOCKS = 3
LINES = BLOCK_BYTES
"""As many as are allowed."""


def program_log(house: House, tail: LogTail, run_id: UUID) -> ProgramLog:
    allowance = LogAllowance(bytes=LINES * LEAST_BYTES_OF_LINE, lines_per_second=10**9)
    writer = LogWriter(house.database, house.changes, house.clock)
    return ProgramLog(house.database, writer, tail, run_id, allowance, may_shrink=True)


async def setup_lines(house: House, run_id: UUID) -> list[LogLine]:
    async with house.database.read() as connection:
        sql = "SELECT first_line FROM log_chunks WHERE run_id = ? AND phase = 'setup' ORDER BY first_line"
        places = [row["first_line"] for row in await connection.all(sql, (run_id.bytes,))]
        return [line for place in places for line in await read_page(connection, run_id, place, 1)]


@pytest.fixture
async def run_id(house: House, tmp_path: Path) -> UUID:
    """A run that has printed many blank lines: few bytes, far fewer than are allowed."""
    await house.ready()
    run = await house.launch()
    (tmp_path / f"{run.id}.log").write_bytes(b"\n" * (BLOCKS * BLOCK_BYTES - 7) + b"the end")
    return run.id


async def test_a_log_of_blank_lines_is_cut_for_their_number(house: House, tmp_path: Path, run_id: UUID) -> None:
    async with LogTail(tmp_path) as tail:
        log = program_log(house, tail, run_id)
        log.finish()
        await log.follow()
    cut, missing = await setup_lines(house, run_id)
    assert cut.line_num == LINES
    assert cut.content == f"the log is cut here, after {LINES} short lines; its last lines follow"
    assert missing.content.endswith("KiB of the log are left out here")
    assert log.last_line == "the end"
    assert (await house.runs.last_lines(run_id, 1))[0].content == "the end"
    async with house.database.read() as connection:
        assert await count_lines(connection, run_id) < LINES + BLOCK_BYTES


async def test_the_next_daemon_stores_no_more_of_a_log_that_was_cut(house: House, tmp_path: Path, run_id: UUID) -> None:
    async with LogTail(tmp_path) as tail:
        following = asyncio.create_task(program_log(house, tail, run_id).follow())
        async with asyncio.timeout(30):
            while not await setup_lines(house, run_id):  # noqa: ASYNC110 - the other side is a store
                await asyncio.sleep(0.05)
        following.cancel()
        await asyncio.wait({following})
        after = program_log(house, tail, run_id)
        after.finish()
        await after.follow()
    cut, missing = await setup_lines(house, run_id)
    assert (cut.line_num, missing.line_num) == (LINES, LINES + 1)
