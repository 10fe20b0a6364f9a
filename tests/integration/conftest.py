"""Fixtures of the tests that touch disk, processes and packages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.dispatch.executor import Executor
from runtime.store.database import Database
from tests.factories import make_raw_definition
from tests.house import House, build_house
from tests.stage import Stage


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> House:
    """One workspace with one owner, ready to be deployed to."""
    return await build_house(database, tmp_path)


@pytest.fixture
async def stage(house: House) -> AsyncIterator[Stage]:
    """Jobs that can run, and everything around them but real processes."""
    await house.ready(make_raw_definition(), make_raw_definition("jobs.shop.slow", execute={"concurrency": None}))
    stage = Stage(house)
    async with stage.tail:
        yield stage


@pytest.fixture
async def executor(stage: Stage) -> AsyncIterator[Executor]:
    """An executor at work."""
    executor = stage.executor()
    await executor.start()
    yield executor
    await executor.close()
