"""Takes ticks as a daemon does, until it is killed; says on stdout how many looks it has finished.

Usage: tick_writer.py DATABASE SECONDS_PER_LOOK

The clock of this process moves by itself: each look is that much later than the one before. Where it stands when a
process begins is in the store, as is everything else that must outlive a process: a minute after the newest tick.
"""

import asyncio
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

from runtime.dispatch.changes import Changes
from runtime.dispatch.ticking import Ticker
from runtime.store.columns import from_micros
from runtime.store.database import Database
from tests.factories import NOW
from tests.house import Clock


async def main(path: Path, step: timedelta) -> None:
    database = await Database.open(path)
    async with database.read() as connection:
        newest = await connection.value("SELECT max(last_tick_at) FROM job_timers")
    clock = Clock(from_micros(newest) if newest is not None else NOW)
    ticker = Ticker(database, Changes(), clock)
    for number in count(1):
        upcoming = await ticker.next_ticks()
        clock.now = max(clock.now, min(upcoming.values()))
        await ticker.look([due for due, at in upcoming.items() if at <= clock.now])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        clock.now += step


asyncio.run(main(Path(sys.argv[1]), timedelta(seconds=float(sys.argv[2]))))
