"""A disk that is full: what needs room fails and says so, the rest goes on, and all is well once there is room again.

The daemon's state directory is a small file system in memory, mounted in a user namespace of its own; the test gets at
it through the daemon's view of the machine.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest

from runtime.start_room import NAME, START_BYTES
from runtime.wire.failures import ApiError
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.factories import JOB_LAUNCHER, make_raw_definition
from tests.package_factory import package
from tests.processes import DaemonEndedError, DaemonProcess, needs_jobs, plain_environment, run, wait_for

pytestmark = needs_jobs

_MOUNT = 'mount -t tmpfs -o size=700m tmpfs "$0" && exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"'
_HOLD = 'mount -t tmpfs -o size=700m tmpfs "$0" && echo mounted && exec sleep infinity'
_CODE = files_of(WORKSPACES / "patient")


class SmallDisk:
    """The daemon's state directory, seen through the daemon."""

    def __init__(self, daemon: DaemonProcess, seen_by: int | None = None) -> None:
        self._daemon = daemon
        self.state = Path(f"/proc/{seen_by or daemon.pid}/root{daemon.state}")

    def end_networks(self) -> None:
        """End the runs' networks: their records are gone with the disk."""
        for record in (self.state / "network").glob("*.json"):
            holder = json.loads(record.read_bytes())
            for part in ("relay", "sleeper"):
                with suppress(ProcessLookupError):
                    os.kill(holder[part]["pid"], signal.SIGKILL)

    def shorten_log(self) -> None:
        """Truncate the database's log, whose file would go on to be written to without a byte more on the disk."""
        # From inside: SQLite resolves links in paths itself, and would leave the daemon's view of the machine again.
        inside = ("nsenter", "-t", str(self._daemon.pid), "-U", "-m", "--preserve-credentials", sys.executable)
        script = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)'))"
        argv = [*inside, "-c", script, str(self._daemon.state / "runtime.db")]
        assert run(argv, cwd=self._daemon.folder, environment=plain_environment()).expect().out.startswith("(0,")

    @contextmanager
    def full(self, leave: int = 0) -> Iterator[None]:
        """Full while this is open, but for about `leave` bytes."""
        filler = self.state / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (2**20, 2**12):
                with suppress(OSError):
                    while True:
                        file.write(os.urandom(size))
        os.truncate(filler, max(0, filler.stat().st_size - leave))
        try:
            yield
        finally:
            filler.unlink()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    folder = tmp_path_factory.mktemp("disk")
    (folder / "state").mkdir(mode=0o700)
    prefix = ("unshare", "--map-current-user", "--mount", "--keep-caps", "sh", "-c", _MOUNT, str(folder / "state"))
    process = DaemonProcess(folder, {"RETENTION__FREE_BYTES": 0}, prefix=prefix).start()
    yield process
    SmallDisk(process).end_networks()
    process.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, "orchard")
    made.deploy(_CODE, batch_job("orchard", "quick"), batch_job("orchard", "talk"))
    ended = made.execute("jobs.orchard.quick", seconds=180)
    assert ended.status == "completed", ended.reason
    return made


@pytest.fixture
def disk(daemon: DaemonProcess, workspace: DeployedWorkspace) -> SmallDisk:
    return SmallDisk(daemon)


def test_uploads_and_launches_are_refused_with_a_reason_and_reading_goes_on(
    workspace: DeployedWorkspace, disk: SmallDisk
) -> None:
    """Full: 507, what to do, and the same request goes through once there is room."""
    client = workspace.daemon.client
    archive = package({**_CODE, "large.bin": os.urandom(3_000_000)})
    requirements = (
        b'{"engine_version": 1, "python_version": "3.11", "default_groups": ["main"], "groups": {"main": []}}'
    )
    with disk.full():
        for ask in (
            lambda: client.upload_deployment(workspace.id, BytesIO(archive), requirements, lambda _: None),
            lambda: client.upload_configuration(
                workspace.id, BytesIO(package({"config.toml": os.urandom(200_000).hex().encode()})), lambda _: None
            ),
            lambda: workspace.start("jobs.orchard.quick"),
        ):
            with pytest.raises(ApiError) as caught:
                ask()
            assert (caught.value.status, caught.value.code) == (507, "disk_full"), caught.value.message
            assert caught.value.hint
        assert client.me().workspaces
        assert list(client.runs(workspace.id))
    ended = workspace.execute("jobs.orchard.quick")
    assert ended.status == "completed", ended.reason


def test_a_run_without_room_for_its_files_fails_and_says_why(workspace: DeployedWorkspace, disk: SmallDisk) -> None:
    """Full: the working copy does not fit, the database still takes what happened."""
    heavy = {**_CODE, "large.bin": os.urandom(8_000_000)}
    workspace.deploy(heavy, batch_job("orchard", "quick"), batch_job("orchard", "talk"))
    with disk.full(leave=4_000_000):
        ended = workspace.execute("jobs.orchard.quick")
        assert ended.status == "failed"
        assert "No space left" in (ended.reason or "")
        assert "No space left" in workspace.lines(ended.id, "setup")[-1]
    ended = workspace.execute("jobs.orchard.quick")
    assert ended.status == "completed", ended.reason


def test_lines_that_could_not_be_stored_are_stored_when_there_is_room(
    workspace: DeployedWorkspace, disk: SmallDisk
) -> None:
    """Full: a log is in the job's file until it is in the database; the run's end waits as well."""
    daemon, run_id = workspace.daemon, workspace.start("jobs.orchard.talk")
    workspace.wait_for_line(run_id, "ready")
    local = disk.state / "data" / str(workspace.id) / "prod" / "local"
    (local / "stay").touch()
    # While the daemon stands still the job prints, and then the disk fills.
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        (local / "go").touch()
        wait_for(lambda: not (local / "go").exists(), "the job has printed")
        disk.shorten_log()
        with disk.full():
            os.kill(daemon.pid, signal.SIGCONT)
            wait_for(lambda: any(e.get("action") == "log.wait" for e in daemon.events()), "the daemon cannot store")
            assert workspace.run(run_id).status == "running"
            assert "line 1999" not in workspace.lines(run_id)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    workspace.wait_for_line(run_id, "line 1999")
    (local / "stay").unlink()
    ended = workspace.wait_for_end(run_id)
    assert ended.status == "completed", ended.reason
    assert workspace.lines(run_id) == ["ready", *(f"line {number}" for number in range(2000)), "done"]


def test_a_run_that_ends_while_the_disk_is_full_is_settled_when_there_is_room(
    workspace: DeployedWorkspace, disk: SmallDisk
) -> None:
    """Full: its true status is not lost, and nothing has to be restarted."""
    daemon, run_id = workspace.daemon, workspace.start("jobs.orchard.talk")
    workspace.wait_for_line(run_id, "ready")
    local = disk.state / "data" / str(workspace.id) / "prod" / "local"
    (local / "stay").touch()
    (local / "go").touch()
    workspace.wait_for_line(run_id, "line 1999")
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        (local / "stay").unlink()
        wait_for(lambda: b"exit-code" in (disk.state / "live" / f"{run_id}.status").read_bytes(), "the job has ended")
        disk.shorten_log()
        seen = daemon.log_file.stat().st_size
        with disk.full():
            os.kill(daemon.pid, signal.SIGCONT)
            waits = {"log.wait", "run.wait"}
            wait_for(lambda: any(e.get("action") in waits for e in daemon.events(seen)), "the daemon cannot store")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    ended = workspace.wait_for_end(run_id)
    assert (ended.status, ended.exit_code) == ("completed", 0), ended.reason


def test_an_app_whose_copy_of_the_data_does_not_fit_fails_and_says_why(
    workspace: DeployedWorkspace, disk: SmallDisk
) -> None:
    """Full: half a copy would look like data."""
    board = {"module": "orchard", "function": "board", "job_type": "interactive", "launcher": JOB_LAUNCHER}
    app = make_raw_definition(
        "jobs.orchard.board", entry_point=board, triggers=["http:"], require={"profile": "access"}
    )
    workspace.deploy(_CODE, batch_job("orchard", "quick"), batch_job("orchard", "hoard"), app)
    assert workspace.execute("jobs.orchard.hoard").status == "completed"
    assert workspace.execute("jobs.orchard.quick").status == "completed"  # the code is unpacked
    with disk.full(leave=4_000_000):
        ended = workspace.execute("jobs.orchard.board")
        assert ended.status == "failed"
        assert "No space left" in (ended.reason or ""), ended.reason
    wait_for(lambda: not (disk.state / "runs" / str(ended.id)).exists(), "the half of it is gone")
    (disk.state / "data" / str(workspace.id) / "prod" / "local" / "hoard").unlink()


def test_an_environment_that_does_not_fit_is_uvs_reason(workspace: DeployedWorkspace, disk: SmallDisk) -> None:
    """Full: and the half of it is gone afterwards."""
    workspace.deploy(_CODE, batch_job("orchard", "quick"), requirements=("dlt==1.26.0", "duckdb==1.4.1"))
    free = shutil.disk_usage(disk.state).free
    with disk.full(leave=min(free, 6_000_000)):
        ended = workspace.execute("jobs.orchard.quick", seconds=180)
        assert ended.status == "failed"
        assert "o space left" in (ended.reason or ""), ended.reason
    assert not list((disk.state / "envs").glob("*.tmp-*"))


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[tuple[DaemonProcess, SmallDisk]]:
    """A daemon, not started yet, on a small disk that is there without it."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    unshare = ("unshare", "--map-current-user", "--mount", "--keep-caps", "sh", "-c", _HOLD, str(state))
    with subprocess.Popen(unshare, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mounted\n"
        inside = ("nsenter", "-t", str(holder.pid), "-U", "-m", "--preserve-credentials")
        prefix = (*inside, "setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--")
        daemon = DaemonProcess(tmp_path, {"RETENTION__FREE_BYTES": 0}, prefix=prefix)
        disk = SmallDisk(daemon, holder.pid)
        try:
            yield daemon, disk
        finally:
            daemon.close()
            disk.end_networks()
            holder.kill()


def wait_until_adopted(daemon: DaemonProcess, read_from: int) -> None:
    wait_for(lambda: any(e.get("action") == "run.adopt" for e in daemon.events(read_from)), "the run is taken up")


def test_a_daemon_that_was_killed_serves_again_on_a_disk_that_is_full(
    lasting: tuple[DaemonProcess, SmallDisk],
) -> None:
    """Full: else nobody would look after the run that has filled it."""
    daemon, disk = lasting
    daemon.start()
    workspace = DeployedWorkspace.create(daemon, "orchard")
    workspace.deploy(_CODE, batch_job("orchard", "talk"))
    run_id = workspace.start("jobs.orchard.talk")
    workspace.wait_for_line(run_id, "ready", 180)
    room = disk.state / NAME
    wait_for(lambda: room.exists() and room.stat().st_size == START_BYTES, "room is kept for a start")
    for how in (daemon.kill, daemon.stop):
        how()
        seen = daemon.log_file.stat().st_size
        with disk.full():
            daemon.start()
            assert not room.exists()
            assert workspace.run(run_id).status == "running"
            wait_until_adopted(daemon, seen)
        wait_for(lambda: room.exists() and room.stat().st_size == START_BYTES, "room is kept for the next start")
    (disk.state / "data" / str(workspace.id) / "prod" / "local" / "go").touch()
    ended = workspace.wait_for_end(run_id)
    assert ended.status == "completed", ended.reason
    assert workspace.lines(run_id) == ["ready", *(f"line {number}" for number in range(2000)), "done"]


def test_a_start_that_has_no_room_at_all_says_what_to_do(lasting: tuple[DaemonProcess, SmallDisk]) -> None:
    """Full: from the very first start; and the next try, once there is room, serves."""
    daemon, disk = lasting
    with disk.full(), pytest.raises(DaemonEndedError) as caught:
        daemon.start()
    assert caught.value.status == 1
    said = str(caught.value)
    assert "error: " in said
    assert "no room" in said or "No space left" in said
    assert "hint: make room on the disk" in said
    assert "Traceback" not in said
    daemon.start()
