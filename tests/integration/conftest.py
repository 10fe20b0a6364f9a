"""Fixtures of the tests that touch disk, processes and packages."""

from pathlib import Path

import pytest

from runtime.store.database import Database
from tests.house import House, build_house


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> House:
    """One workspace with one owner, ready to be deployed to."""
    return await build_house(database, tmp_path)
