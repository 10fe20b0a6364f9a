"""A damaged database is noticed before anything relies on it, and the message says the way out."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from structlog.testing import capture_logs

from runtime.dispatch.health import HealthService
from runtime.dispatch.soundness import Soundness
from runtime.dispatch.space import Space
from runtime.errors import DiskFullError, StoreError, UnavailableError
from runtime.store import integrity
from runtime.store.database import Database
from runtime.store.integrity import DamagedError
from tests.stored import store_world

ROOT = Path(__file__).parents[2]
WRITER = ROOT / "tests" / "resources" / "store_writer.py"


async def sound(path: Path) -> None:
    database = await Database.open(path)
    await store_world(database)
    await database.close()


def kill_writer(path: Path) -> None:
    """A process that has written and is killed, so that its last commits are in the log."""
    process = subprocess.Popen(
        [sys.executable, WRITER, path, "steady"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("place", ["header", "schema", "pages"])
async def test_damage_is_noticed_at_the_start(tmp_path: Path, place: str) -> None:
    """Corruption: a torn header, a torn schema, torn pages."""
    path = tmp_path / "runtime.db"
    await sound(path)
    content = bytearray(path.read_bytes())
    spans = {"header": range(16), "schema": range(100, 3000), "pages": range(4096 * 8, 4096 * 40)}
    for index in spans[place]:
        content[index] = 0xAA
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="damaged") as caught:
        await Database.open(path)
    assert f"dlt-runtime restore FILE --state-dir {path.parent}" in (caught.value.hint or "")
    assert path.read_bytes() == content, "nothing is made worse"


async def test_a_write_ahead_log_that_is_missing_is_noticed(tmp_path: Path) -> None:
    """Corruption: without it the file is sound and old, which nobody would see."""
    path = tmp_path / "runtime.db"
    kill_writer(path)
    log = tmp_path / "runtime.db-wal"
    kept = log.read_bytes()
    log.unlink()
    with pytest.raises(DamagedError, match="missing") as caught:
        await Database.open(path)
    assert "remove" in (caught.value.hint or "")
    log.write_bytes(kept)
    database = await Database.open(path)
    async with database.read() as connection:
        assert await connection.value("SELECT count(*) FROM runs") >= 5
    await database.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["runtime.db"]
    await (await Database.open(path)).close()


async def test_a_log_that_was_folded_in_is_not_missed(tmp_path: Path) -> None:
    """Corruption: nothing is lost where another program has closed what a killed daemon left."""
    path = tmp_path / "runtime.db"
    kill_writer(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(FULL)")
        index = (tmp_path / "runtime.db-shm").read_bytes()
    (tmp_path / "runtime.db-shm").write_bytes(index)  # as where that program died on its way out
    database = await Database.open(path)
    async with database.read() as connection:
        assert await connection.value("SELECT count(*) FROM runs") >= 5
    await database.close()


async def test_the_check_takes_no_longer_than_a_start_may(tmp_path: Path) -> None:
    """Corruption: a file of gigabytes is looked at in part."""
    path = tmp_path / "runtime.db"
    await sound(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE large (content TEXT)")
        connection.executemany("INSERT INTO large VALUES (?)", [("x" * 200,)] * 200_000)
        connection.execute("CREATE INDEX large_content ON large (content)")
        connection.commit()
    database = await Database.open(path)
    assert database.is_checked
    began = asyncio.get_running_loop().time()
    assert not await integrity.check_pages(database._writer, path, seconds=0.0)
    assert asyncio.get_running_loop().time() - began < 2
    await database.close()


async def damaged_at_the_far_end(path: Path) -> None:
    """A database large enough for a look of no time not to come to its last row, which cannot be."""
    await sound(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE large (content TEXT)")
        connection.executemany("INSERT INTO large VALUES (?)", [("x" * 20,)] * 200_000)
        connection.execute("INSERT INTO large VALUES (NULL)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE large (content TEXT NOT NULL)' WHERE name = 'large'"
        )
        connection.commit()


async def test_damage_beyond_what_a_start_comes_to_is_found_while_the_daemon_serves(tmp_path: Path) -> None:
    """Corruption: the start says that it did not see everything, and what looks at the rest finds it, and says so."""
    path = tmp_path / "runtime.db"
    await damaged_at_the_far_end(path)
    with pytest.raises(DamagedError):
        await Database.open(path)
    database = await Database.open(path, check_seconds=0)
    try:
        soundness = Soundness(database)
        health = HealthService(database, Space(tmp_path, 0), soundness)
        await health.check()
        assert (database.is_checked, soundness.is_known, soundness.fault) == (False, False, None)
        with capture_logs() as logs:
            await soundness.run()
        assert [entry["log_level"] for entry in logs if entry["action"] == "database.damaged"] == ["error"]
        assert "large.content" in str(soundness.fault)
        with pytest.raises(UnavailableError, match="the database is damaged"):
            await health.check()
    finally:
        await database.close()


async def test_the_rest_of_a_sound_database_is_looked_at_beside_writers(tmp_path: Path) -> None:
    """Corruption: a commit goes through while the look at everything holds its read transaction."""
    path = tmp_path / "runtime.db"
    await sound(path)
    database = await Database.open(path, check_seconds=0)
    try:
        database.is_checked = False  # however small it is
        soundness = Soundness(database)
        looking = asyncio.create_task(soundness.run())
        async with database.transaction() as connection:
            await connection.execute("UPDATE log_totals SET lines = lines + 1")
            await looking
        assert (soundness.is_known, soundness.fault) == (True, None)
    finally:
        await database.close()


class SlowRows:
    """Rows that SQLite asks this about, one by one; `looked_at` once it has come to the first of them."""

    NUMBER = 300

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self.asked = 0
        self.looked_at = asyncio.Event()
        with closing(sqlite3.connect(path)) as connection:
            connection.create_function("look_at", 1, lambda _: True, deterministic=True)
            connection.execute("CREATE TABLE slow (content TEXT, looked_at INTEGER NOT NULL AS (look_at(content)))")
            connection.executemany("INSERT INTO slow (content) VALUES (?)", [("x",)] * self.NUMBER)
            connection.commit()

    def look_at(self, _: str) -> bool:
        self.asked += 1
        self._loop.call_soon_threadsafe(self.looked_at.set)
        time.sleep(0.01)
        return True


@pytest.mark.parametrize("is_stopped", ["while it looks", "just before"])
async def test_a_daemon_that_stops_does_not_wait_for_the_look_at_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stopped: str
) -> None:
    """Corruption: it is interrupted, and what it stopped over is no damage. SQLite forgets an interrupt too early."""
    path = tmp_path / "runtime.db"
    await sound(path)
    database = await Database.open(path, check_seconds=0)
    database.is_checked = False  # however small it is
    rows, is_to_stop, check_pages = SlowRows(path), asyncio.Event(), integrity.check_pages

    async def check(connection: aiosqlite.Connection, *args: Any) -> bool:
        await connection.create_function("look_at", 1, rows.look_at, deterministic=True)
        fetch = connection.execute_fetchall

        async def late(sql: str) -> Iterable[sqlite3.Row]:
            is_to_stop.set()
            await asyncio.sleep(0.05)
            return await fetch(sql)

        if is_stopped == "just before":
            monkeypatch.setattr(connection, "execute_fetchall", late)
        return await check_pages(connection, *args)

    monkeypatch.setattr(integrity, "check_pages", check)
    try:
        soundness = Soundness(database)
        looking = asyncio.create_task(soundness.run())
        await (is_to_stop if is_stopped == "just before" else rows.looked_at).wait()
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert rows.asked < SlowRows.NUMBER / 2
        assert (soundness.is_known, soundness.fault) == (False, None)
    finally:
        await database.close()


async def test_a_full_disk_is_another_error_than_a_broken_one(tmp_path: Path) -> None:
    """Full: whoever asks for a write learns that there is no room, and the next write goes through once there is."""
    database = await Database.open(tmp_path / "runtime.db")
    async with database.transaction() as connection:
        pages = await connection.value("PRAGMA page_count")
        await connection.value(f"PRAGMA max_page_count = {pages + 2}")

    async def store_much() -> None:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE big (content BLOB)")
            await connection.execute("INSERT INTO big VALUES (zeroblob(1000000))")

    with pytest.raises(DiskFullError) as caught:
        await store_much()
    assert not isinstance(caught.value, StoreError)
    async with database.transaction() as connection:
        await connection.value("PRAGMA max_page_count = 1000000")
    await store_much()
    await database.close()


async def test_new_files_give_free_pages_back_in_steps(tmp_path: Path) -> None:
    """Store: must be said before there is anything in the file."""
    path = tmp_path / "runtime.db"
    await sound(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
