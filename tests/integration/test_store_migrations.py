"""Every schema there has ever been becomes the newest, with all that was in it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.errors import StoreError
from runtime.store import database as module
from runtime.store.database import Database, migrations
from tests.old_rows import add_rows
from tests.processes import wait_for

NEWEST = migrations()[-1][0]
NUMBERS = [number for number, _ in migrations()]
DIGESTS = {
    1: "078eab1869d64844",
    2: "1b45c27b9d3c8fb7",
    3: "0d28358ed2254a18",
    4: "fe35ba5d5d3fd4c7",
    5: "d5e5da6f9c0bb8b3",
    6: "0467322a698fa1f8",
    7: "8258554f2b72b1d7",
    8: "bb875e31c693915e",
    9: "ddbe1038ecca28a1",
    10: "afc2554af6d20b0a",
    11: "89727dbe904194d1",
    12: "c5048f0d2be35fdb",
    13: "14a8531f6045fdc0",
    14: "17135c6cc0d28294",
    15: "30a64169dab46e84",
    16: "0f144f9e8192a11a",
    17: "75a2c1a02ee45849",
    18: "47b6c686d76ed2ce",
}
"""What each step says, so that none is changed any more: databases that have it would stay as it was, and differ."""
MOVED = {"changes": {"seq", "at"}}
"""Columns whose values a later step may change: a thing that changed once more has moved to the end."""


def build(path: Path, number: int) -> None:
    """A database as a program of that schema left it, with something in every table."""
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        for step, sql in migrations():
            if step > number:
                break
            connection.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {step};\nCOMMIT;")
            add_rows(connection, step)
    assert ask(path, "PRAGMA user_version") == number


def ask(path: Path, sql: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute(sql).fetchone()
        return row if row is None or len(row) > 1 else row[0]


def schema_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        names = "SELECT type || ' ' || name || coalesce(' on ' || nullif(tbl_name, name), '') FROM sqlite_schema"
        return sorted(row[0] for row in connection.execute(names))


def contents_of(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        tables = [row["name"] for row in connection.execute(names).fetchall()]
        return {table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables}


def lost(before: dict[str, list[dict[str, object]]], after: dict[str, list[dict[str, object]]]) -> list[str]:
    """The rows that a table does not hold any more as they were, in the columns they had."""
    return [
        f"{table}: {kept}"
        for table, rows in before.items()
        for row in rows
        if (kept := {name: value for name, value in row.items() if name not in MOVED.get(table, ())})
        and not any(kept.items() <= there.items() for there in after.get(table, []))
    ]


def test_no_step_is_changed_once_it_is_there() -> None:
    """Upgrade: a database that has taken a step never takes it again."""
    found = {number: sha256(sql.encode()).hexdigest()[:16] for number, sql in migrations()}
    changed = [number for number, digest in found.items() if number in DIGESTS and DIGESTS[number] != digest]
    assert not changed, f"steps {changed} say something else than they did: add a new step instead"
    assert found == DIGESTS, "the digest of a new step belongs into DIGESTS, its rows into tests/old_rows.py"


@pytest.mark.parametrize("number", NUMBERS)
def test_every_table_of_every_schema_has_something_in_it(tmp_path: Path, number: int) -> None:
    """Upgrade: what is tried on empty tables has not been tried."""
    build(tmp_path / "runtime.db", number)
    empty = [table for table, rows in contents_of(tmp_path / "runtime.db").items() if not rows]
    assert not empty, f"rows of {empty} belong into tests/old_rows.py, behind the step that makes them"


@pytest.mark.parametrize("number", NUMBERS)
async def test_every_schema_becomes_the_newest_with_what_is_in_it(tmp_path: Path, number: int) -> None:
    """Upgrade: from any version to this one, at once."""
    path, fresh = tmp_path / "runtime.db", tmp_path / "fresh.db"
    build(path, number)
    before = contents_of(path)
    database = await Database.open(path)
    async with database.read() as connection:
        assert await connection.value("PRAGMA user_version") == NEWEST
        assert await connection.all("PRAGMA foreign_key_check") == []
        assert await connection.value("PRAGMA integrity_check") == "ok"
        assert [row["status"] for row in await connection.all("SELECT status FROM runs ORDER BY number")] == [
            "completed",
            "failed",
            "running",
        ]
        live = await connection.one("SELECT pid, next_line, log_offset FROM live_runs")
        assert live is not None
        assert tuple(live) == (77, 2, 10)
        assert await connection.value("SELECT count(*) FROM audit_log") == 1
        assert await connection.value("SELECT email FROM users") == "ada@example.org"
        assert await connection.value("SELECT count(*) FROM changes WHERE kind = 'run'") == 3
        totals = await connection.one("SELECT lines, bytes FROM log_totals")
        assert totals is not None
        assert tuple(totals) == (6, 12)
        assert await connection.value("SELECT sum(runs) FROM run_totals") == 2
    await database.close()
    assert lost(before, contents_of(path)) == []
    await (await Database.open(fresh)).close()
    assert schema_of(path) == schema_of(fresh)


@pytest.mark.parametrize("number", NUMBERS[:-1])
async def test_an_older_program_refuses_a_newer_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Downgrade: with a message, and nothing touched."""
    path = tmp_path / "runtime.db"
    build(path, NEWEST)
    before = path.read_bytes()
    monkeypatch.setattr(module, "migrations", lambda: [step for step in migrations() if step[0] <= number])
    with pytest.raises(StoreError, match=f"schema {NEWEST}, this program knows schemas up to {number}") as caught:
        await Database.open(path)
    assert caught.value.code == "schema_too_new"
    assert "newer version" in (caught.value.hint or "")
    assert path.read_bytes() == before


_SLOW = """
import asyncio, sys
from pathlib import Path
from runtime.errors import StoreError
from runtime.store import database as module
number, sql = module.migrations()[-1]
steps = module.migrations()[:-1]
endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) INSERT INTO half SELECT x FROM c;"
module.migrations = lambda: [*steps, (number, sql + "\\nCREATE TABLE half (x INTEGER) STRICT;\\n" + endless)]
print("begun", flush=True)
asyncio.run(module.Database.open(Path(sys.argv[1])))
"""


def kill_while_migrating(path: Path) -> None:
    log = path.with_name("runtime.db-wal")
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, path], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_for(lambda: log.exists() and log.stat().st_size > 2**20, "the step has written a megabyte")
        process.kill()


async def test_a_kill_in_the_middle_of_a_step_leaves_the_schema_of_before(tmp_path: Path) -> None:
    """Upgrade: a step is applied whole or not at all, also where the machine dies."""
    path = tmp_path / "runtime.db"
    build(path, NUMBERS[-2])
    kill_while_migrating(path)
    assert ask(path, "PRAGMA user_version") == NUMBERS[-2]
    assert ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == 0
    await (await Database.open(path)).close()
    assert ask(path, "PRAGMA user_version") == NEWEST
    assert ask(path, "SELECT count(*) FROM runs") == 3
