"""Runs outlive the daemon that started them: it is stopped, killed and started again while they run.

Design, decisions 4 and 5; semantics S1, S5.
"""

import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID

import pytest

from runtime.sandbox.identity import children_of, name_of
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.processes import DaemonEndedError, DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

COUNTS, SLEEPS, DEAF = "jobs.trouble.counts", "jobs.trouble.sleeps", "jobs.trouble.ignores_sigterm"
TOO_LONG, SHORT_OF_TIME = "jobs.trouble.sleeps_too_long", "jobs.trouble.counts_too_long"
PLAIN = {"intercept_signals": False, "concurrency": None}
IN_FIVE_SECONDS = {**PLAIN, "timeout": {"timeout": 5, "grace_period": 1}}
LAST_REQUESTS_SECONDS = 3
"""What a stopping daemon gives to requests that do not end."""
LESS_THAN_THE_GRACE = 20
"""Seconds; a job asked to stop and not deaf ends at once, one that was never asked only when its 30 s are over."""
MORE_THAN_A_PIPE = "x" * 100_000
"""An order this long cannot be handed over before the launcher reads, that is, has imported dlt."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """With room for two runs at a time."""
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), {"RUNS__MAX_RUNNING": 2}).start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, "trouble")
    long_order = batch_job("trouble", "counts", execute=PLAIN)
    long_order["job_ref"] = "jobs.trouble.long_order"
    long_order["entry_point"]["padding"] = MORE_THAN_A_PIPE
    made.deploy(
        files_of(WORKSPACES / "trouble"),
        {**batch_job("trouble", "sleeps", execute=IN_FIVE_SECONDS), "job_ref": TOO_LONG},
        {**batch_job("trouble", "counts", execute=IN_FIVE_SECONDS), "job_ref": SHORT_OF_TIME},
        batch_job("trouble", "counts", execute=PLAIN),
        batch_job("trouble", "sleeps", execute=PLAIN),
        batch_job("trouble", "ignores_sigterm", execute={**PLAIN, "timeout": {"timeout": 3600, "grace_period": 1}}),
        long_order,
    )
    return made


@pytest.fixture
def counting(workspace: DeployedWorkspace) -> Iterator[UUID]:
    """A run of `counts` that has begun to print."""
    _let_it_count(workspace)
    run_id = workspace.start(COUNTS)
    workspace.wait_for_line(run_id, "counted 100")
    yield run_id
    (workspace.local_files / "stop").touch()


def _let_it_count(workspace: DeployedWorkspace) -> None:
    for name in ("stop", "starts"):
        (workspace.local_files / name).unlink(missing_ok=True)


def _finish(workspace: DeployedWorkspace, run_id: UUID) -> list[str]:
    """Tell the job to stop, wait for the run's true end, and see that no line is missing, doubled or out of place."""
    (workspace.local_files / "stop").touch()
    run = workspace.wait_for_end(run_id)
    assert (run.status, run.exit_code, run.reason) == ("completed", 0, None)
    lines = workspace.lines(run_id)
    assert lines == [f"counted {number}" for number in range(1, len(lines))] + [f"stopped at {len(lines) - 1}"]
    assert (workspace.local_files / "starts").read_text() == "started\n", "the job has begun once"
    return lines


@pytest.mark.parametrize("end", [DaemonProcess.stop, DaemonProcess.kill], ids=["SIGTERM", "SIGKILL"])
def test_a_daemon_that_ends_leaves_its_run_running_and_the_next_one_has_every_line_once_and_in_order(
    workspace: DeployedWorkspace, counting: UUID, end: Callable[[DaemonProcess], int]
) -> None:
    end(workspace.daemon)
    log_file = workspace.daemon.state / "live" / f"{counting}.log"
    size = log_file.stat().st_size
    wait_for(lambda: log_file.stat().st_size > size + 10_000, "the job goes on printing without a daemon")

    workspace.daemon.start()

    assert workspace.run(counting).status == "running"
    assert len(_finish(workspace, counting)) > 100


def test_a_run_survives_one_killed_daemon_after_another(workspace: DeployedWorkspace, counting: UUID) -> None:
    log_file = workspace.daemon.state / "live" / f"{counting}.log"
    for _ in range(3):
        size = log_file.stat().st_size
        wait_for(lambda size=size: log_file.stat().st_size > size, "the job prints")  # type: ignore[misc]
        workspace.daemon.kill()
        workspace.daemon.start()
    _finish(workspace, counting)


def test_a_run_that_ends_while_no_daemon_is_there_gets_its_true_end_and_its_whole_log(
    workspace: DeployedWorkspace, counting: UUID
) -> None:
    status_file = workspace.daemon.state / "live" / f"{counting}.status"
    workspace.daemon.kill()
    (workspace.local_files / "stop").touch()
    wait_for(lambda: "exit-code" in status_file.read_text(), "the job ends without a daemon")

    workspace.daemon.start()

    _finish(workspace, counting)


def test_a_sandbox_killed_while_no_daemon_is_there_is_a_failed_run_that_says_so(workspace: DeployedWorkspace) -> None:
    run_id = workspace.start(SLEEPS)
    workspace.wait_for_line(run_id, "sleeping")
    workspace.daemon.kill()
    for pid in _sandboxes(workspace, run_id):
        os.kill(pid, signal.SIGKILL)

    workspace.daemon.start()

    run = workspace.wait_for_end(run_id)
    assert run.status == "failed"
    assert run.reason
    assert workspace.lines(run_id) == ["sleeping"]


def test_a_process_that_has_got_the_number_of_a_runs_sandbox_is_never_taken_for_it(
    workspace: DeployedWorkspace,
) -> None:
    """A number is reused: number and start time together are not."""
    run_id = workspace.start(SLEEPS)
    workspace.wait_for_line(run_id, "sleeping")
    workspace.daemon.kill()
    for pid in _sandboxes(workspace, run_id):
        os.kill(pid, signal.SIGKILL)
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        with closing(sqlite3.connect(workspace.daemon.state / "runtime.db")) as connection:
            update = "UPDATE live_runs SET pid = ? WHERE run_id = ?"
            assert connection.execute(update, (stranger.pid, run_id.bytes)).rowcount == 1
            connection.commit()

            workspace.daemon.start()  # before this connection is closed, which would take the write-ahead log away

        assert workspace.wait_for_end(run_id).status == "failed"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_time_limit_that_passes_while_no_daemon_is_there_is_enforced_by_the_next_one(
    workspace: DeployedWorkspace,
) -> None:
    """Semantics S2."""
    run_id = workspace.start(TOO_LONG)
    workspace.wait_for_line(run_id, "sleeping")
    workspace.daemon.kill()
    _until_its_time_is_up(workspace, run_id)
    assert _sandboxes(workspace, run_id)

    workspace.daemon.start()

    run = workspace.wait_for_end(run_id)
    assert (run.status, run.reason) == ("failed", "timeout: the job ran past its limit of 5 s")
    assert not _sandboxes(workspace, run_id)


def test_a_run_that_ended_by_itself_before_its_time_limit_has_not_run_into_it_however_late_that_is_seen(
    workspace: DeployedWorkspace,
) -> None:
    """Semantics S2, S6."""
    _let_it_count(workspace)
    run_id = workspace.start(SHORT_OF_TIME)
    workspace.wait_for_line(run_id, "counted 20")
    workspace.daemon.kill()
    (job,) = (pid for init in _sandboxes(workspace, run_id) for pid in children_of(init) if name_of(pid) != "bwrap")
    os.kill(job, signal.SIGKILL)
    _until_its_time_is_up(workspace, run_id)

    workspace.daemon.start()

    run = workspace.wait_for_end(run_id)
    assert (run.status, run.exit_code) == ("failed", 137)
    assert re.fullmatch(r"killed by signal 9: counted \d+", run.reason or "")


def test_an_adopted_run_can_be_cancelled(workspace: DeployedWorkspace) -> None:
    run_id = workspace.start(SLEEPS)
    workspace.wait_for_line(run_id, "sleeping")
    workspace.daemon.kill()
    workspace.daemon.start()

    workspace.daemon.client.cancel_run(workspace.id, run_id)

    assert workspace.wait_for_end(run_id).status == "cancelled"
    assert not _sandboxes(workspace, run_id)


def test_a_cancel_that_was_under_way_is_carried_through_by_the_next_daemon(workspace: DeployedWorkspace) -> None:
    """Semantics S2: the grace of one second began before the daemon died, the kill comes after."""
    run_id = workspace.start(DEAF)
    workspace.wait_for_line(run_id, "deaf")
    workspace.daemon.client.cancel_run(workspace.id, run_id)
    workspace.daemon.kill()
    assert _sandboxes(workspace, run_id)

    workspace.daemon.start()

    run = workspace.wait_for_end(run_id)
    assert (run.status, run.reason) == ("cancelled", "cancelled on request")
    assert not _sandboxes(workspace, run_id)


def test_a_run_that_waits_for_room_still_waits_after_a_restart_and_starts_when_there_is_some(
    workspace: DeployedWorkspace,
) -> None:
    """Semantics D6; an adopted run takes room as any other."""
    first, second, waiting = (workspace.start(SLEEPS) for _ in range(3))
    for run_id in (first, second):
        workspace.wait_for_line(run_id, "sleeping")
    workspace.daemon.restart()
    statuses = [workspace.run(run_id).status for run_id in (first, second, waiting)]
    assert statuses == ["running", "running", "pending"]

    workspace.daemon.client.cancel_run(workspace.id, first)

    workspace.wait_for_line(waiting, "sleeping")
    for run_id in (second, waiting):
        workspace.daemon.client.cancel_run(workspace.id, run_id)
        workspace.wait_for_end(run_id)
    assert workspace.run(first).status == "cancelled"


def test_a_pending_run_that_is_cancelled_never_starts(workspace: DeployedWorkspace) -> None:
    """Semantics S1."""
    busy = [workspace.start(SLEEPS) for _ in range(2)]
    waiting = workspace.start(SLEEPS)
    assert workspace.daemon.client.cancel_run(workspace.id, waiting).status == "cancelled"
    for run_id in busy:
        workspace.daemon.client.cancel_run(workspace.id, run_id)
        workspace.wait_for_end(run_id, LESS_THAN_THE_GRACE)
    assert (workspace.run(waiting).time_started, workspace.lines(waiting)) == (None, [])


def test_a_sandbox_that_was_never_released_vanishes_with_its_daemon_and_the_run_is_prepared_again(
    workspace: DeployedWorkspace,
) -> None:
    _let_it_count(workspace)
    run_id = workspace.start("jobs.trouble.long_order")
    wait_for(lambda: _sandboxes(workspace, run_id), "a sandbox waits for its order")
    workspace.daemon.kill()
    assert not (workspace.local_files / "starts").exists()
    wait_for(lambda: not _sandboxes(workspace, run_id), "the sandbox vanishes, though no daemon is there")
    assert not (workspace.local_files / "starts").exists()

    workspace.daemon.start()

    workspace.wait_for_line(run_id, "counted 100")
    _finish(workspace, run_id)


def test_a_run_is_prepared_again_even_while_its_unreleased_sandbox_is_still_ending(
    workspace: DeployedWorkspace,
) -> None:
    _let_it_count(workspace)
    run_id = workspace.start("jobs.trouble.long_order")
    abandoned = wait_for(lambda: _sandboxes(workspace, run_id), "a sandbox waits for its order")
    # Frozen, it learns only after the next daemon has begun that nobody will release it.
    for pid in abandoned:
        os.kill(pid, signal.SIGSTOP)
    workspace.daemon.kill()
    workspace.daemon.start()
    for pid in abandoned:
        with suppress(ProcessLookupError):  # it had not been written down yet, and the next daemon has ended it
            os.kill(pid, signal.SIGCONT)

    workspace.wait_for_line(run_id, "counted 100")
    _finish(workspace, run_id)


def test_a_second_daemon_for_the_same_state_refuses_to_start(workspace: DeployedWorkspace, tmp_path: Path) -> None:
    other = DaemonProcess(tmp_path, {"STATE_DIR": workspace.daemon.state})
    with pytest.raises(DaemonEndedError, match="another daemon uses the state directory") as ended:
        other.start()
    assert ended.value.status == 1
    assert "Traceback" not in str(ended.value)
    assert workspace.daemon.client.me().email


def test_whoever_follows_a_log_is_told_that_the_daemon_stops_and_does_not_hold_it_up(
    workspace: DeployedWorkspace, counting: UUID
) -> None:
    path = f"/v1/workspaces/{workspace.id}/runs/{counting}/logs/stream"
    with workspace.daemon.client.connection.stream(path, read_seconds=30, headers={}) as stream:
        lines = iter(stream)
        assert next(lines).startswith("data: ")
        began = time.monotonic()
        assert workspace.daemon.stop() == 0
        assert time.monotonic() - began < LAST_REQUESTS_SECONDS
        *_, error, said, _ = lines
    assert error == "event: error"
    assert "the run goes on" in said
    workspace.daemon.start()
    _finish(workspace, counting)


def test_nothing_of_a_settled_run_stays_on_disk(workspace: DeployedWorkspace, counting: UUID) -> None:
    _finish(workspace, counting)
    state = workspace.daemon.state
    wait_for(lambda: not list(state.glob(f"live/{counting}.*")), "log and status files go")
    wait_for(lambda: not (state / "runs" / str(counting)).exists(), "the working copy goes")


def test_the_daemon_has_logged_no_error_and_no_traceback_through_all_of_this(daemon: DaemonProcess) -> None:
    text = daemon.log_file.read_text()
    assert not re.findall(r"Traceback|Task exception|never retrieved", text)
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []


def _until_its_time_is_up(workspace: DeployedWorkspace, run_id: UUID) -> None:
    """Return once the recorded limit of a run has passed; no daemon is there to enforce it."""
    with closing(sqlite3.connect(f"file:{workspace.daemon.state}/runtime.db?mode=ro", uri=True)) as connection:
        ((deadline,),) = connection.execute("SELECT deadline_at FROM live_runs WHERE run_id = ?", (run_id.bytes,))
    wait_for(lambda: time.time() * 1_000_000 > deadline, "the limit passes")


def _sandboxes(workspace: DeployedWorkspace, run_id: UUID) -> list[int]:
    """The processes of a run that can be seen from outside: bubblewrap's two and whatever runs within."""
    place = f"/runs/{run_id}/"
    found = []
    for pid in workspace.daemon.left_behind():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if place in words:
            found.append(pid)
    return found
