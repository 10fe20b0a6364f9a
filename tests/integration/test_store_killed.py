"""A daemon killed in the middle of writing loses nothing it has committed and keeps nothing it has not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from runtime.domain.runs import Run
from runtime.store import runs
from runtime.store.database import Connection, Database
from runtime.store.logs import read_page
from tests.factories import NOW

ROOT = Path(__file__).parents[2]
WRITER = ROOT / "tests" / "resources" / "store_writer.py"


@contextmanager
def writer(path: Path, how: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The writing process, killed at the latest when the block ends."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, WRITER, path, how], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    with process:
        try:
            yield process, process.stdout
        finally:
            process.kill()


async def assert_whole(connection: Connection, run: Run) -> None:
    """A run, its live row and its lines were one transaction, so all are there."""
    lines = await read_page(connection, run.id, 0, 1_000_000)
    assert [line.line_num for line in lines] == list(range(run.number))
    assert all(line.content.startswith(f"run {run.number}, line {line.line_num}: ") for line in lines)
    live = await runs.find_live(connection, run.id)
    assert live is not None
    assert (live.next_line, live.log_offset) == (run.number, run.number)


@pytest.mark.parametrize("acknowledged", [1, 17, 60])
async def test_every_committed_change_survives_a_kill(tmp_path: Path, acknowledged: int) -> None:
    """Store, S1: `kill -9` at any moment leaves a database that opens and holds what was committed, whole."""
    path = tmp_path / "runtime.db"
    with writer(path, "steady") as (process, said):
        for _ in range(acknowledged):
            last = int(said.readline())
        process.send_signal(signal.SIGKILL)
    database = await Database.open(path)
    async with database.read() as connection:
        assert await connection.value("PRAGMA integrity_check") == "ok"
        assert await connection.all("PRAGMA foreign_key_check") == []
        present = await runs.active_runs(connection)
        # It may have committed more than it came to say.
        assert len(present) >= last == acknowledged
        assert [run.number for run in present] == list(range(1, len(present) + 1))
        for run in present:
            await assert_whole(connection, run)
    await database.close()


async def test_a_change_that_was_not_committed_is_gone(tmp_path: Path) -> None:
    """Store, S1: and the next daemon writes on from there."""
    path = tmp_path / "runtime.db"
    with writer(path, "half") as (process, said):
        assert [said.readline() for _ in range(3)] == ["1\n", "2\n", "half\n"]
        process.send_signal(signal.SIGKILL)
    database = await Database.open(path)
    async with database.transaction() as connection:
        first, second = await runs.active_runs(connection)
        assert (first.number, second.number) == (1, 2)
        assert await runs.next_number(connection, first.job_id) == 3
        await runs.save_run(connection, second.model_copy(update={"status": "failed", "ended_at": NOW}))
    async with database.read() as connection:
        assert [run.number for run in await runs.active_runs(connection)] == [1]
    await database.close()
