"""The room that is kept on the disk for a start."""

from pathlib import Path

import pytest

from runtime.sandbox import quota
from runtime.start_room import NAME, START_BYTES, StartRoom


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How much is free, as the tests will have it."""
    told = {"bytes": 2**40}
    monkeypatch.setattr("runtime.start_room.free_bytes", lambda _: told["bytes"])
    return told


def test_room_is_set_aside_where_there_is_enough_and_really_taken(tmp_path: Path, free: dict[str, int]) -> None:
    room = StartRoom(tmp_path, reserve_bytes=1000)
    free["bytes"] = 2 * START_BYTES + 999
    assert not room.set_aside()
    assert list(tmp_path.iterdir()) == []
    free["bytes"] += 1
    assert room.set_aside()
    assert quota.disk_use([tmp_path]).bytes >= START_BYTES
    free["bytes"] = 0
    assert room.set_aside(), "it is there"


def test_half_of_it_is_not_taken_for_all(tmp_path: Path, free: dict[str, int]) -> None:
    (tmp_path / NAME).write_bytes(b"x" * 1000)
    assert StartRoom(tmp_path, 0).set_aside()
    assert (tmp_path / NAME).stat().st_blocks * 512 >= START_BYTES


def test_only_a_start_that_finds_the_disk_full_uses_it(tmp_path: Path, free: dict[str, int]) -> None:
    room = StartRoom(tmp_path, 0)
    room.use_if_full()
    assert room.set_aside()
    free["bytes"] = START_BYTES
    room.use_if_full()
    assert (tmp_path / NAME).exists()
    free["bytes"] -= 1
    room.use_if_full()
    assert not (tmp_path / NAME).exists()
