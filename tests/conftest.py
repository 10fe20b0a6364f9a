"""What every test may use: the property-test profile of the session and an empty database."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from runtime.store.database import Database

settings.register_profile("suite", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A real, empty SQLite file with the newest schema."""
    opened = await Database.open(tmp_path / "runtime.db")
    yield opened
    await opened.close()
