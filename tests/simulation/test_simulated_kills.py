"""A daemon that is killed while it takes ticks has taken each once: the decision, the run and the mark are one."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from runtime.domain.ticks import cron_ticks
from runtime.store.columns import from_micros
from runtime.store.database import Database
from tests.factories import NOW, make_raw_definition
from tests.house import build_house

ROOT = Path(__file__).parents[2]
WRITER = ROOT / "tests" / "resources" / "tick_writer.py"
KILLS = 8


async def test_a_killed_daemon_has_dispatched_each_tick_exactly_once(tmp_path: Path) -> None:
    """Semantics T1, D7: `kill -9` in the middle of a look, over a real file, and a new daemon each time.

    The jobs have no limit of concurrency, so each tick is a run of its own; the clock of the processes never passes a
    tick by, so none is missed by design.
    """
    path = tmp_path / "runtime.db"
    database = await Database.open(path)
    house = await build_house(database, tmp_path)
    crons = [f"*/{minutes} * * * *" for minutes in (1, 1, 2, 3, 4, 5, 6, 10)]
    refs = {f"jobs.kill.job{number}": cron for number, cron in enumerate(crons)}
    await house.ready(
        *(
            make_raw_definition(ref, triggers=[f"schedule:{cron}"], execute={"concurrency": None})
            for ref, cron in refs.items()
        )
    )
    await database.close()

    chance = random.Random(7)
    looks = sum(take_ticks_and_be_killed(path, chance.randint(1, 40)) for _ in range(KILLS))

    database = await Database.open(path)
    async with database.read() as connection:
        assert await connection.value("PRAGMA integrity_check") == "ok"
        runs = await connection.all(
            "SELECT job_ref, scheduled_at FROM runs JOIN jobs ON jobs.id = runs.job_id WHERE scheduled_at IS NOT NULL"
        )
        marks = await connection.all("SELECT job_ref, last_tick_at FROM job_timers JOIN jobs ON jobs.id = job_id")
    await database.close()
    ran = Counter((row["job_ref"], from_micros(row["scheduled_at"])) for row in runs)
    assert len(ran) > looks >= KILLS
    assert set(ran.values()) == {1}
    for row in marks:
        newest = from_micros(row["last_tick_at"])
        ticks = ticks_until(refs[row["job_ref"]], newest)
        assert {tick for ref, tick in ran if ref == row["job_ref"]} == ticks


def ticks_until(cron: str, newest: datetime) -> set[datetime]:
    return set(takewhile(lambda tick: tick <= newest, cron_ticks(cron, "UTC", NOW)))


def take_ticks_and_be_killed(path: Path, looks: int) -> int:
    """Let a process take ticks and kill it after that many looks, in the middle of another; how many it told of."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, WRITER, path, "1"], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            told = [process.stdout.readline() for _ in range(looks)]
            process.send_signal(signal.SIGKILL)
            return len(told + process.stdout.read().splitlines())
        finally:
            process.kill()
