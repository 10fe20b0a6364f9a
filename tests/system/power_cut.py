"""Power cuts on a real file system: `sudo python -m tests.system.power_cut --user NAME [--cuts N] [--seed N]`.

The state directory lies on an ext4 image of its own. A cut is ext4's own shutdown call (EXT4_IOC_SHUTDOWN without
flushing the journal, what file system developers test their recovery with): from that moment nothing more reaches the
image, and what had not been synced is gone when it is mounted again, after the journal's own recovery. Compared with
replaying recorded writes this is what a kernel really does with fsync, rename and delayed allocation, and it sees the
writes of everybody, of jobs and of uv too; device-mapper's dm-flakey would do the same, but few kernels of virtual
machines have it. The journal commits as seldom as it can be told to, so that nothing is saved by chance.

A run that began before the cut has failed after it, for the machine has "restarted" (see tests.chaos.power); what the
API had said before the cut must be true after it.
"""

import argparse
import fcntl
import os
import pwd
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from runtime.wire.failures import InConflictError
from runtime.wire.runs import FINAL_RUN_STATUSES
from tests.chaos.offspring import adopting_orphans, bury, end_offspring
from tests.chaos.power import start_on_the_next_boot
from tests.chaos.verdict import job_of, left_on_disk
from tests.chaos.work import JOBS
from tests.deployed_workspace import SDK, WORKSPACES, DeployedWorkspace, files_of
from tests.processes import DaemonProcess, wait_for

_SHUTDOWN = 0x8004587D  # <linux/ext4.h>: EXT4_IOC_SHUTDOWN
_NO_LOG_FLUSH = struct.pack("I", 2)
_COMMIT_SECONDS = 300
_LOOK_SECONDS = 0.05
_IMAGE_BYTES = 3 * 1024**3
_STARTED = ("long", "short", "endless", "fails", "bursts")
_CUT_REASON = "machine restarted while the job was running"

Snapshot = Mapping[UUID, tuple[str, list[str]]]
"""What the API says of each run: its status and its lines."""


class Disk:
    """An ext4 file system in a file, at a place."""

    def __init__(self, image: Path, place: Path) -> None:
        self.image, self.place = image, place
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)

    def mount(self) -> None:
        """Recovers the journal if need be."""
        options = f"loop,noatime,commit={_COMMIT_SECONDS}"
        subprocess.run(["mount", "-o", options, self.image, self.place], check=True)

    def cut(self) -> None:
        """From now on nothing reaches the image."""
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Once nobody uses it any more."""
        wait_for(lambda: subprocess.run(["umount", self.place], check=False).returncode == 0, "nobody uses the disk")


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Mounted while this is open."""
    made = Disk(folder / "disk.img", folder / "disk")
    made.mount()
    try:
        yield made
    finally:
        subprocess.run(["umount", "--lazy", made.place], check=False)


def _snapshot(workspace: DeployedWorkspace) -> Snapshot:
    client = workspace.daemon.client
    return {run.id: (run.status, workspace.lines(run.id)) for run in client.runs(workspace.id)}


def _wrong(workspace: DeployedWorkspace, before: Snapshot, promised: Mapping[UUID, str]) -> Iterator[str]:
    """What was known before the cut and is not so after it, once all runs have ended."""
    runs = {run.id: run for run in workspace.daemon.client.runs(workspace.id)}
    for run_id in {*promised, *before} - set(runs):
        yield f"run {run_id} is gone"
    for run_id, run in runs.items():
        status, lines = before.get(run_id, ("pending", []))
        now = workspace.lines(run_id)
        if status in FINAL_RUN_STATUSES and (run.status, now) != (status, lines):
            yield f"{job_of(run)} was {status} with {len(lines)} lines, is {run.status} with {len(now)}"
        if now[: len(lines)] != lines:
            yield f"{job_of(run)} has lost lines: {len(lines)} were there, {len(now)} are"
        if now != [f"{run_id} {number}" for number in range(1, len(now) + 1)]:
            yield f"{job_of(run)} has lines that are not in order"
        if (
            status == "running"
            and run.status == "failed"
            and run.reason not in (_CUT_REASON, f"exit code 3: {run_id} 25")
        ):
            yield f"{job_of(run)} failed for the reason `{run.reason}`"


def _end(daemon: DaemonProcess, how: Callable[[], int]) -> None:
    """Stop or kill it and its group, burying meanwhile those of them that are ours now."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pid = daemon.pid
        ending = pool.submit(how)
        while not ending.done():
            bury({pid})
            time.sleep(_LOOK_SECONDS)
        ending.result()


def _cut_once(machine: Disk, workspace: DeployedWorkspace, dice: random.Random, number: int) -> list[str]:
    daemon, promised = workspace.daemon, dict[UUID, str]()
    if number % 2:
        # An environment that is being built, or has just been.
        workspace.deploy(files_of(WORKSPACES / "chaos"), *JOBS, requirements=(SDK, f"six==1.{10 + number % 7}.0"))
    for job in dice.choices(_STARTED, k=5):
        promised[workspace.start(f"jobs.chaos.{job}")] = job
    wait_for(lambda: any(run.status == "running" for run in daemon.client.runs(workspace.id)), "a run runs")
    time.sleep(dice.uniform(0, 6))
    before = _snapshot(workspace)
    promised[workspace.start("jobs.chaos.short")] = "short"
    machine.cut()
    _end(daemon, daemon.kill)
    end_offspring()
    machine.unmount()
    machine.mount()
    start_on_the_next_boot(daemon)
    for run in daemon.client.runs(workspace.id):
        if run.status not in FINAL_RUN_STATUSES and job_of(run) == "endless":
            with suppress(InConflictError):
                daemon.client.cancel_run(workspace.id, run.id)
    for run_id in promised:
        workspace.wait_for_end(run_id, 300)
    said = list(_wrong(workspace, before, promised))
    live = sum(status == "running" for status, _ in before.values())
    print(f"cut {number}: {live} runs were live; {len(said)} promises broken", *said, sep="\n  ", flush=True)
    return said


def main() -> int:
    """Returns 1 if a promise was broken."""
    options = argparse.ArgumentParser(prog="python -m tests.system.power_cut", description=__doc__)
    options.add_argument("--user", required=True, help="an ordinary user, who runs the daemon")
    options.add_argument("--cuts", type=int, default=6)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if not given.apart:
        # Mounts of its own: a namespace that somebody else makes meanwhile would hold on to a copy of the disk.
        again = ["unshare", "--mount", sys.executable, "-m", "tests.system.power_cut", *sys.argv[1:], "--apart"]
        return subprocess.run(again, check=False).returncode
    wrong: list[str] = []
    with (
        adopting_orphans(),
        tempfile.TemporaryDirectory(prefix="cut-") as name,
        disk(Path(name)) as machine,
    ):
        Path(name).chmod(0o755)
        (machine.place / "home").mkdir()
        subprocess.run(["chown", given.user, machine.place / "home"], check=True)
        group = pwd.getpwnam(given.user).pw_gid
        become = ["setpriv", f"--reuid={given.user}", f"--regid={group}", "--init-groups", "--"]
        daemon = DaemonProcess(machine.place / "home", prefix=become)
        daemon.log_file = Path(name) / "daemon.log"
        try:
            daemon.start()
            workspace = DeployedWorkspace.create(daemon, "cuts")
            workspace.deploy(files_of(WORKSPACES / "chaos"), *JOBS)
            workspace.execute("jobs.chaos.short")
            dice = random.Random(given.seed)
            for number in range(1, given.cuts + 1):
                wrong += _cut_once(machine, workspace, dice, number)
            _end(daemon, daemon.stop)
            wrong += left_on_disk(daemon.state, workspace.id)
        finally:
            daemon.client.close()
            end_offspring()
    print(*(wrong or [f"{given.cuts} cuts, and everything that was promised is there"]), sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
