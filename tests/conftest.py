"""What every test may use: an environment without settings, the session's property-test profile, an empty database."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from runtime.settings import ENVIRONMENT_PREFIX
from runtime.store.database import Database

for _name in [name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX)]:
    del os.environ[_name]  # for the daemon of whoever runs the tests, not for theirs

settings.register_profile("quick", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("suite", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n 2 --dist loadgroup`: by file, those that drive whole daemons spread among the others.

    They take long and wait much, so two of them are seldom beside each other, and none is left for the end.
    """
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(file))
        files.setdefault(file, []).append(item)
    whole = [file for file in files if file.startswith("tests/e2e/")]
    others = [file for file in files if file not in set(whole)]
    share = max(1, len(others) // (len(whole) + 1))
    spread = [(place * share, file) for place, file in enumerate(whole)] + list(enumerate(others))
    items[:] = [item for _, file in sorted(spread, key=lambda one: one[0]) for item in files[file]]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A real, empty SQLite file with the newest schema."""
    opened = await Database.open(tmp_path / "runtime.db")
    yield opened
    await opened.close()


@pytest.fixture
def on_disk(tmp_path: Path) -> None:
    """For tests of what processes write to disks: of files kept in memory the kernel counts nothing."""
    status = tmp_path.stat()
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if {"tmpfs", "ramfs"} & {mount[mount.index("-") + 1] for mount in mounts if mount[2] == device}:
        pytest.skip("the tests' directory is in memory, not on a disk, where written bytes count; see --basetemp")
