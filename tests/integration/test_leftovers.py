"""What a daemon that was killed leaves running, and what the next one does about it before it begins anything."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.dispatch.leftovers import sweep_leftovers
from runtime.sandbox.identity import ProcessIdentity, identify, is_alive, name_of
from runtime.sandbox.network import NetworkHolders
from runtime.store import runs as store
from tests.factories import NOW, make_raw_definition
from tests.house import House
from tests.processes import pids_with, plain_environment, wait_for

pytest_plugins = ("tests.job_fixtures",)
pytestmark = pytest.mark.usefixtures("bubblewrap")

DIES_EARLY = """
import asyncio, os, signal, sys
from pathlib import Path
from runtime.sandbox import process
from runtime.sandbox.policy import Mount, SandboxPolicy
from runtime.sandbox.tools import SandboxTools

shown, slow = sys.argv[1:]
Path(slow).write_text('#!/bin/sh\\nsleep 0.5\\nexec bwrap "$@"\\n')
Path(slow).chmod(0o755)
process.find_tools = lambda: SandboxTools(bwrap=slow)
process._pass_lines = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
mounts = [Mount(source=Path(place), target=place) for place in ("/usr", "/lib", "/lib64", "/bin")]
policy = SandboxPolicy(
    mounts=(*mounts, Mount(source=Path(shown), target="/shown")),
    environment={"PATH": "/usr/bin:/bin"}, working_directory="/", share_network=False,
)
asyncio.run(process.run_in_sandbox(policy, ["sleep", "1000"], on_line=print, timeout_seconds=60))
"""


@pytest.fixture
def sandboxes(tmp_path: Path) -> Iterator[list[ProcessIdentity]]:
    """To be filled; whatever still shows something of the test's is ended."""
    found: list[ProcessIdentity] = []
    yield found
    for pid in pids_with(str(tmp_path)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("shown", ["cache/uv/a-workspace", "tmp/console.sock"])
async def test_a_build_or_a_page_whose_daemon_died_before_bubblewrap_could_tie_itself_to_it_is_ended_by_the_next_one(
    house: House, sandboxes: list[ProcessIdentity], shown: str
) -> None:
    place = house.folder / shown
    place.mkdir(parents=True)
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DIES_EARLY, str(place), str(house.folder / "slow-bwrap")), env=plain_environment()
    )
    assert await daemon.wait() == -signal.SIGKILL
    sandboxes += await asyncio.to_thread(wait_for, lambda: running_inside(place), "it goes on without the daemon", 20)

    await sweep_leftovers(house.database, house.folder, NetworkHolders(house.folder, "host"))

    assert not any(is_alive(process) for process in sandboxes)


async def test_of_the_sandboxes_of_live_runs_those_go_on_whose_process_is_recorded(
    house: House, sandboxes: list[ProcessIdentity]
) -> None:
    """Design decision 5. Of the others none has got its order, and one that stands still would stand there for good."""
    await house.ready(make_raw_definition(execute={"concurrency": None}))
    released, unrecorded = await house.launch(), await house.launch()
    kept = []
    for run in (released, unrecorded):
        place = house.folder / "runs" / str(run.id) / "workspace"
        place.mkdir(parents=True)
        command = ["bwrap", "--ro-bind", "/", "/", "--bind", str(place), "/mnt", "--unshare-pid", "sleep", "1000"]
        await asyncio.create_subprocess_exec(*command)
        kept.append(await asyncio.to_thread(wait_for, lambda: running_inside(place), "it runs", 20))  # noqa: B023
    async with house.database.transaction() as connection:
        first = kept[0][0]
        await store.save_process(connection, released.id, first.pid, first.started, first.boot_id, deadline_at=NOW)

    await sweep_leftovers(house.database, house.folder, NetworkHolders(house.folder, "host"))

    assert all(is_alive(process) for process in kept[0])
    assert not any(is_alive(process) for process in kept[1])


def running_inside(place: Path) -> list[ProcessIdentity]:
    """bubblewrap and the sandbox's init, once both are there."""
    found = [each for pid in pids_with(str(place)) if name_of(pid) == "bwrap" and (each := identify(pid)) is not None]
    return found if len(found) > 1 else []
