"""Greedy jobs of a real daemon: each hurts its own run only, which says why it ended, and the API goes on answering.

Machine sizes as an operator describes them; see `tests/resources/workspaces/bombs`.
"""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.sizes import parse_bytes
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

SMALL = {
    "MACHINES__SMALL__MEMORY": "300MiB",
    "MACHINES__SMALL__TASKS": 60,
    "MACHINES__SMALL__DISK": "100MiB",
    "RUNS__LOG_BYTES": "2MiB",
}
JOBS = (
    "eats_memory",
    "eats_memory_in_children",
    "fills_shared_memory",
    "fills_home",
    "fills_both_memories",
    "hides_memory",
    "forks",
    "fills_working_copy",
    "fills_scratch",
    "fills_report",
    "fills_data",
    "fills_nameless_files",
    "fills_own_log",
    "refills_own_log",
    "fills_mapped_files",
    "fills_files_in_flight",
    "fills_in_private",
    "fills_closed_directory",
    "waits_beside",
    "floods_for_ever",
    "stays_small",
    "burns",
)
IN_MEMORY = ("fills_shared_memory", "fills_home", "fills_both_memories")
ANSWER_SECONDS = 5.0
MEMORY_REASON = re.compile(r"killed for memory: it used ([\d.]+ [MG]iB) of the 300 MiB of machine size `small`")
DISK_REASON = re.compile(r"killed for disk space: its files took [\d.]+ [MG]iB of the 100 MiB of machine size `small`")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), SMALL)
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, "bombs")
    jobs = [batch_job("bombs", name, require={"machine": "small"}) for name in JOBS]
    jobs.append(batch_job("bombs", "on_a_machine_nobody_has", require={"machine": "gigantic"}))
    made.deploy(files_of(WORKSPACES / "bombs"), *jobs)
    made.execute("jobs.bombs.stays_small")  # the environment is there
    return made


@dataclass
class Answers:
    """How long the API took while something else went on, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        worst = sorted(self.seconds)
        return f"{len(worst)} answers, median {worst[len(worst) // 2] * 1000:.0f} ms, worst {worst[-1] * 1000:.0f} ms"


@contextmanager
def api_answers(workspace: DeployedWorkspace) -> Iterator[Answers]:
    """Ask the API all the while; every answer must be right and come in time."""
    answers, over, wrong = Answers(), threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                workspace.daemon.client.me()
            except Exception as error:
                wrong.append(error)
                return
            answers.seconds.append(time.monotonic() - began)
            over.wait(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield answers
    finally:
        over.set()
        asking.join()
    assert wrong == []
    assert max(answers.seconds) < ANSWER_SECONDS, answers.text
    print(answers.text)


def test_a_job_that_stays_within_its_machine_notices_nothing(workspace: DeployedWorkspace) -> None:
    run = workspace.execute("jobs.bombs.stays_small")
    assert run.status == "completed", run.reason


@pytest.mark.parametrize("job", ["eats_memory", "eats_memory_in_children", "fills_both_memories"])
def test_a_job_that_takes_too_much_memory_is_killed_and_says_how_much(workspace: DeployedWorkspace, job: str) -> None:
    """Semantics S6."""
    with api_answers(workspace):
        run = workspace.execute(f"jobs.bombs.{job}")
    assert run.status == "failed"
    matched = MEMORY_REASON.fullmatch(run.reason or "")
    assert matched is not None, (run.reason, workspace.lines(run.id))
    assert parse_bytes(matched[1]) >= 300 * 1024**2


@pytest.mark.parametrize("job", ["fills_shared_memory", "fills_home"])
def test_files_in_memory_have_less_room_than_the_job_has_memory(workspace: DeployedWorkspace, job: str) -> None:
    run = workspace.execute(f"jobs.bombs.{job}")
    assert workspace.lines(run.id) == ["150 MiB, then ENOSPC"]
    assert run.status == "completed"


def test_memory_that_nobody_counts_is_not_to_be_had(workspace: DeployedWorkspace) -> None:
    run = workspace.execute("jobs.bombs.hides_memory")
    assert workspace.lines(run.id) in (["ENOSYS"], ["a file in memory without a name"]), "the latter in control groups"


def test_a_fork_bomb_ends_at_its_own_limit_and_others_start_processes(workspace: DeployedWorkspace) -> None:
    with api_answers(workspace):
        bomb = workspace.start("jobs.bombs.forks")
        workspace.wait_for_line(bomb, "children, then EAGAIN")
        beside = workspace.execute("jobs.bombs.stays_small")
    assert beside.status == "completed", beside.reason
    (line,) = workspace.lines(bomb)
    assert 40 <= int(line.split()[0]) < 60, "the job itself is one of its 60"
    assert workspace.wait_for_end(bomb).status == "completed"


@pytest.mark.parametrize(
    "job", [job for job in JOBS if job.startswith(("fills_", "refills_")) and job not in IN_MEMORY]
)
def test_a_job_that_fills_the_disk_is_killed_and_says_so(workspace: DeployedWorkspace, job: str) -> None:
    """Semantics S6; where no directory shows what it takes, too."""
    with api_answers(workspace):
        run = workspace.execute(f"jobs.bombs.{job}")
    assert run.status == "failed"
    assert DISK_REASON.fullmatch(run.reason or ""), (run.reason, workspace.lines(run.id))
    wait_for(lambda: not (workspace.daemon.state / "runs" / str(run.id)).exists(), "its files are cleared away")
    clear(workspace)


def test_only_the_filler_is_killed_and_nobody_is_charged_with_what_it_leaves(workspace: DeployedWorkspace) -> None:
    """Semantics S6: runs of one workspace and profile have their data in common, not their limits."""
    beside = workspace.start("jobs.bombs.waits_beside")
    workspace.wait_for_line(beside, "waiting")
    try:
        filler = workspace.execute("jobs.bombs.fills_data")
        assert DISK_REASON.fullmatch(filler.reason or ""), filler.reason
        left = sum(file.stat().st_size for file in workspace.local_files.glob("filling*"))
        assert left > 100 * 1024**2
        after = workspace.execute("jobs.bombs.burns")
        assert after.status == "completed", after.reason
        assert workspace.run(beside).status == "running"
        (workspace.local_files / "over").touch()
        ended = workspace.wait_for_end(beside)
        assert ended.status == "completed", ended.reason
    finally:
        (workspace.local_files / "over").unlink(missing_ok=True)
        clear(workspace)


def test_a_directory_without_permissions_that_was_left_is_no_later_runs_affair(workspace: DeployedWorkspace) -> None:
    workspace.local_files.mkdir(parents=True, exist_ok=True)
    closed = workspace.local_files / "closed"
    closed.mkdir()
    large = workspace.daemon.folder / "of another program"
    closed.chmod(0)
    try:
        run_id = workspace.start("jobs.bombs.waits_beside")
        workspace.wait_for_line(run_id, "waiting")
        large.write_bytes(b"x" * 150 * 1024**2)
        burning = workspace.execute("jobs.bombs.burns")
        assert burning.status == "completed", burning.reason
        (workspace.local_files / "over").touch()
        assert workspace.wait_for_end(run_id).status == "completed"
    finally:
        large.unlink(missing_ok=True)
        (workspace.local_files / "over").unlink(missing_ok=True)
        closed.chmod(0o700)
        closed.rmdir()


def clear(workspace: DeployedWorkspace) -> None:
    """Remove what a filler has left in the data."""
    for path in workspace.local_files.glob("filling*"):
        if path.is_dir():
            path.chmod(0o700)
            shutil.rmtree(path)
        else:
            path.unlink()


def test_data_that_was_there_before_does_not_count(workspace: DeployedWorkspace) -> None:
    workspace.local_files.mkdir(parents=True, exist_ok=True)
    large = workspace.local_files / "warehouse"
    large.write_bytes(b"x" * 150 * 1024 * 1024)
    try:
        run = workspace.execute("jobs.bombs.burns")
    finally:
        large.unlink()
    assert run.status == "completed", run.reason


def test_a_flood_is_cut_says_so_and_keeps_its_last_lines(workspace: DeployedWorkspace) -> None:
    """Semantics S5, S6."""
    log_file = workspace.daemon.state / "live"
    most = 0
    with api_answers(workspace):
        run_id = workspace.start("jobs.bombs.floods_for_ever")
        workspace.wait_for_line(run_id, "the same line")
        while workspace.run(run_id).status == "running":
            used = [path.stat().st_blocks * 512 for path in log_file.glob(f"{run_id}.log")]
            most = max(most, *used, 0)
    run = workspace.wait_for_end(run_id)

    assert run.status == "failed"
    assert run.reason == "exit code 1: ValueError: the flood is over"
    setup = workspace.lines(run_id, "setup")
    assert "the log is cut here, at 2 MiB; its last lines follow" in setup
    assert any(re.fullmatch(r"\d+(\.\d)? [GMK]iB of the log are left out here", line) for line in setup), setup
    lines = workspace.lines(run_id)
    assert lines[-1] == "ValueError: the flood is over"
    assert 2 * 1024**2 <= sum(len(line) + 1 for line in lines) < 3 * 1024**2
    print(f"at most {most / 1024**2:.0f} MiB on disk")
    assert most < 1024 * 1024**2


def test_a_job_that_burns_the_processors_leaves_the_daemon_its_share(workspace: DeployedWorkspace) -> None:
    with api_answers(workspace):
        run = workspace.execute("jobs.bombs.burns")
    assert run.status == "completed", run.reason


def test_an_unknown_machine_fails_the_run_and_says_which_there_are(workspace: DeployedWorkspace) -> None:
    """Semantics S6."""
    run = workspace.execute("jobs.bombs.on_a_machine_nobody_has")
    assert run.status == "failed"
    assert run.reason == "there is no machine size `gigantic` here; there are `default`, `small`"


def test_the_next_daemon_goes_on_watching(workspace: DeployedWorkspace) -> None:
    run_id = workspace.start("jobs.bombs.eats_memory_in_children")
    workspace.wait_for_line(run_id, "eating")
    workspace.daemon.kill()
    workspace.daemon.start()
    run = workspace.wait_for_end(run_id)
    assert MEMORY_REASON.fullmatch(run.reason or ""), run.reason


def test_nothing_is_left_of_killed_runs(workspace: DeployedWorkspace) -> None:
    run = workspace.execute("jobs.bombs.eats_memory")
    words = [Path(f"/proc/{pid}/cmdline").read_text() for pid in workspace.daemon.left_behind()]
    assert not any(str(run.id) in command for command in words)
