"""The reserve on the disk, and runs that wait for room, without a disk that is full."""

import asyncio
from pathlib import Path

import pytest

from runtime.dispatch.space import Space
from runtime.errors import DiskFullError
from runtime.store.database import Database
from tests.stage import SECONDS, Stage


class Room(Space):
    """A disk that is as full as it is told."""

    def __init__(self, free: int) -> None:
        super().__init__(Path("/"), 1000)
        self.free = free

    @property
    def free_bytes(self) -> int:
        return self.free


def test_nothing_new_begins_below_the_reserve() -> None:
    """Reserve: what is under way can end."""
    Room(1000).require("the run")
    with pytest.raises(DiskFullError, match="the upload is refused") as caught:
        Room(999).require("the upload")
    assert caught.value.hint


def test_free_is_what_an_ordinary_user_can_write(tmp_path: Path) -> None:
    assert Space(tmp_path, 0).free_bytes > 0
    assert not Space(tmp_path, 0).is_short
    assert Space(tmp_path, 2**70).is_short


async def test_pending_runs_wait_while_the_disk_is_nearly_full(stage: Stage) -> None:
    """Reserve: they are not failed, and begin by themselves."""
    room = Room(10)
    executor = stage.executor()
    executor._space = room
    await executor.start()
    try:
        run = await stage.house.launch()
        stage.house.changes.announce("pending-runs")
        await asyncio.sleep(0.2)
        assert (await stage.house.runs.get(run.workspace_id, run.id)).run.status == "pending"
        room.free = 10_000
        assert (await stage.until_final(run)).status == "completed"
    finally:
        await executor.close()


async def test_a_run_goes_on_from_where_it_stood_when_there_is_room_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full: its end could not be written down at first; it has one, the true one, later."""
    executor = stage.executor()
    transaction, refused = Database.transaction, 0

    def full(database: Database):  # type: ignore[no-untyped-def]
        nonlocal refused
        if stage.runner.released.is_set() and refused < 2:
            refused += 1
            raise DiskFullError("the database could not be written: database or disk is full")
        return transaction(database)

    run = await stage.house.launch()
    monkeypatch.setattr(Database, "transaction", full)
    await executor.start()
    try:
        async with asyncio.timeout(SECONDS):
            assert (await stage.until_final(run)).status == "completed"
    finally:
        await executor.close()
    assert refused == 2
