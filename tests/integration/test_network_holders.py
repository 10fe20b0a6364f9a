"""Holders of networks and the death of the daemon that starts them."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runtime.sandbox.identity import children_of
from runtime.sandbox.network import HolderRecord, NetworkHolders
from tests.chaos.offspring import adopting_orphans, descendants, end_offspring
from tests.processes import needs_jobs, plain_environment, wait_for

pytestmark = needs_jobs

DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from uuid import UUID
from runtime.sandbox.network import NetworkHolders

holders = NetworkHolders(Path(sys.argv[1]), "isolated")
holders._remember = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(holders.entry(UUID(int=7)))
"""


def test_a_daemon_that_dies_before_it_has_written_a_holder_down_leaves_none(tmp_path: Path) -> None:
    own = set(descendants(os.getpid()))
    with adopting_orphans():
        done = subprocess.run([sys.executable, "-c", DIES, tmp_path], env=plain_environment(), check=False)
        try:
            assert done.returncode == -signal.SIGKILL
            assert (tmp_path / "network" / f"{UUID(int=7)}.log").exists(), "it had been started"
            wait_for(lambda: not set(descendants(os.getpid())) - own, "the holder ends by itself", 20)
        finally:
            end_offspring(but=own)


@pytest.mark.parametrize("why", ["the disk is full", "nobody waits any more"])
async def test_a_holder_that_cannot_be_written_down_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Full: the run that wanted the network fails and says so; no process stays, not even as a zombie."""
    before = set(children_of(os.getpid()))
    holders = NetworkHolders(tmp_path, "isolated")

    def refuse(*_: object) -> None:
        if why == "the disk is full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise asyncio.CancelledError

    monkeypatch.setattr(holders, "_remember", refuse)
    with pytest.raises((OSError, asyncio.CancelledError)):
        await holders.entry(uuid4())
    assert set(children_of(os.getpid())) <= before
    assert not list((tmp_path / "network").glob("*.json"))


async def test_holders_that_nobody_needs_are_ended_and_the_others_are_not(tmp_path: Path) -> None:
    needed, left = uuid4(), uuid4()
    holders = NetworkHolders(tmp_path, "isolated")
    entries = {holder: await holders.entry(holder) for holder in (needed, left)}
    relay = HolderRecord.model_validate_json((tmp_path / "network" / f"{left}.json").read_bytes()).relay
    try:
        await NetworkHolders(tmp_path, "isolated").sweep({needed})

        assert not Path(f"/proc/{relay.pid}").exists()
        assert {path.stem for path in (tmp_path / "network").iterdir()} == {str(needed)}
        assert await holders.entry(needed) == entries[needed]
    finally:
        for holder in entries:
            await holders.dismiss(holder)
    assert not list((tmp_path / "network").iterdir())
