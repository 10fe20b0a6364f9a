"""Writes runs and their log lines into a database until it is killed, and says on stdout what has been committed.

Usage: store_writer.py DATABASE (steady | half)
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from runtime.store.database import Database
from runtime.store.logs import append_lines
from tests.factories import NOW
from tests.stored import store_world


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def main(path: Path, how: str) -> None:
    database = await Database.open(path)
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
    for number in count(1):
        async with database.transaction() as connection:
            run = await world.run(connection, job, number=number)
            lines = [f"run {number}, line {line}: {'apples ' * 50}" for line in range(number)]
            await append_lines(connection, run.id, "program", NOW, lines, read_bytes=number)
            if how == "half" and number == 3:
                say("half")
                await asyncio.Event().wait()
        say(str(number))


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
