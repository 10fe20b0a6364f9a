"""A daemon that is killed while it takes ticks has taken each once: the decision, the run and the mark are one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from runtime.domain.ticks import cron_ticks
from runtime.store.columns import from_micros
from runtime.store.database import Database
from tests.factories import NOW, make_raw_definition
from tests.house import build_house

ROOT = Path(__file__).parents[2]
WRITER = ROOT / "tests" / "resources" / "tick_writer.py"
KILLS = 12
JOBS = 8


async def test_a_killed_daemon_has_dispatched_each_tick_exactly_once(tmp_path: Path) -> None:
    """Semantics T1, D7: `kill -9` at random moments, over a real file, and a new daemon each time.

    The jobs have no limit of concurrency, so each tick is a run of its own; the clock of the processes never passes a
    tick by, so none is missed by design.
    """
    path = tmp_path / "runtime.db"
    database = await Database.open(path)
    house = await build_house(database, tmp_path)
    crons = [f"*/{minutes} * * * *" for minutes in (1, 1, 2, 3, 4, 5, 6, 10)]
    refs = {f"jobs.kill.job{number}": cron for number, cron in enumerate(crons)}
    unlimited = {"execute": {"concurrency": None}}
    await house.ready(
        *(make_raw_definition(ref, triggers=[f"schedule:{cron}"], **unlimited) for ref, cron in refs.items())
    )
    await database.close()

    chance = random.Random(7)
    looks = sum(take_ticks_and_be_killed(path, chance.uniform(0.001, 0.08)) for _ in range(KILLS))

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
        ticks = set()
        for tick in cron_ticks(refs[row["job_ref"]], "UTC", NOW):
            if tick > newest:
                break
            ticks.add(tick)
        assert {tick for ref, tick in ran if ref == row["job_ref"]} == ticks


def take_ticks_and_be_killed(path: Path, patience: float) -> int:
    """Let a process take ticks, kill it that many seconds after its first; how many looks it told of."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, WRITER, path, "1"], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            time.sleep(patience)  # the moment of the kill is what varies; nothing is waited for
            process.send_signal(signal.SIGKILL)
            return int((first + process.stdout.read()).splitlines()[-1])
        finally:
            process.kill()
