"""Jobs that misbehave, deployed by the public client: each ends as it should, says why, and leaves nothing behind.

Semantics S1, S2, S5, S6.
"""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.wire.admin_client import AdminClient
from runtime.wire.jobs import TriggerJobsRequest
from runtime.wire.run_details import DetailedRunResponse
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job
from tests.official_client import OfficialClient, copy_workspace
from tests.our_cli import connected_workspace
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

EMAIL = "ada@example.org"
LINE_BYTES = 64 * 1024


@dataclass
class Story:
    """How one run ended, and what it printed."""

    run: DetailedRunResponse
    lines: list[str] = field(default_factory=list)

    @property
    def end(self) -> tuple[str, int | None, str | None]:
        return self.run.status, self.run.exit_code, self.run.reason


@pytest.fixture(scope="module")
def client(daemon: DaemonProcess, virtualenv: Path, tmp_path_factory: pytest.TempPathFactory) -> OfficialClient:
    folder = tmp_path_factory.mktemp("person")
    AdminClient(daemon.client.connection).add_user(EMAIL)
    made = OfficialClient(virtualenv, folder, copy_workspace(WORKSPACES / "trouble", folder / "trouble"), daemon)
    made.log_in(EMAIL)
    made("deploy").expect()
    return made


@pytest.fixture(scope="module")
def workspace(client: OfficialClient, daemon: DaemonProcess) -> DeployedWorkspace:
    return DeployedWorkspace(daemon, connected_workspace(client.directory))


@pytest.fixture(scope="module")
def stories(workspace: DeployedWorkspace) -> dict[str, Story]:
    """All jobs that end by themselves, started at once by one selector; by function."""
    request = TriggerJobsRequest(selectors=["tag:quick"])
    started = workspace.daemon.client.trigger(workspace.id, request)
    told = {}
    for one in started:
        assert one.run_id is not None, one.reason
        run = workspace.wait_for_end(one.run_id, 180)
        told[one.job_ref.rpartition(".")[2]] = Story(run, workspace.lines(run.id))
    return told


def test_an_exit_code_is_kept_and_the_reason_is_the_last_thing_said(stories: dict[str, Story]) -> None:
    assert stories["exits_3"].end == ("failed", 3, "exit code 3: leaving with 3")


def test_an_exception_is_the_reason_by_its_last_line(stories: dict[str, Story]) -> None:
    status, code, reason = stories["raises"].end
    assert (status, code) == ("failed", 1)
    assert reason is not None
    assert reason.endswith("ValueError: the pears are bad")
    assert any("Traceback" in line for line in stories["raises"].lines)


def test_a_module_that_is_not_installed_is_named(stories: dict[str, Story]) -> None:
    status, code, reason = stories["misses_a_module"].end
    assert (status, code) == ("failed", 1)
    assert reason is not None
    assert "ModuleNotFoundError: No module named 'a_module_nobody_has'" in reason


def test_what_a_job_returns_is_its_last_line(stories: dict[str, Story]) -> None:
    assert stories["returns_a_value"].end == ("completed", 0, None)
    assert stories["returns_a_value"].lines == ["{'rows': 3}"]


def test_a_job_past_its_time_limit_has_failed_and_says_so(stories: dict[str, Story]) -> None:
    status, _, reason = stories["runs_too_long"].end
    assert status == "failed"
    assert reason == "timeout: the job ran past its limit of 1 s"


def test_no_line_of_a_flood_is_lost(stories: dict[str, Story]) -> None:
    assert stories["floods"].end == ("completed", 0, None)
    assert stories["floods"].lines == [f"flood {number}" for number in range(100_000)]


def test_half_a_line_at_the_end_is_a_line(stories: dict[str, Story]) -> None:
    assert stories["prints_half_a_line"].lines == ["the end is near"]


def test_a_huge_line_is_cut_between_characters_and_whole_together(stories: dict[str, Story]) -> None:
    *pieces, last = stories["prints_huge_lines"].lines
    assert "".join(pieces) == "é" * 200_000
    assert max(len(piece.encode()) for piece in pieces) <= LINE_BYTES
    assert last == "after the huge line"


def test_bytes_that_are_no_text_come_through_as_near_as_can_be(stories: dict[str, Story]) -> None:
    lines = stories["prints_garbage"].lines
    assert lines[0] == "before \ufffd\ufffd\x00 after"
    assert lines[1] == "windows"
    assert lines[2] == "\x1b[31mred\x1b[0m"
    assert lines[3:] == ["", "to stderr", "line\u2028separator"]


def test_a_child_that_a_job_leaves_behind_ends_with_the_run(
    stories: dict[str, Story], workspace: DeployedWorkspace
) -> None:
    assert stories["leaves_a_child"].end == ("completed", 0, None)
    assert stories["leaves_a_child"].lines == ["the parent is gone"]
    heartbeat = workspace.local_files / "heartbeat"
    wait_for(
        lambda: time.time() - heartbeat.stat().st_mtime > 1, "the child, which beats 100 times a second, is silent"
    )
    assert not _sandboxes(workspace)


def test_the_environment_of_a_job_is_what_we_say_and_nothing_else(
    stories: dict[str, Story], daemon: DaemonProcess
) -> None:
    seen = json.loads(stories["reads_its_environment"].lines[-1])
    environment = seen["environment"]
    assert (seen["stdin"], seen["cwd"], seen["uid"]) == ("", "/workspace", 1000)
    assert environment["WORKSPACE__PROFILE"] == "prod"
    assert environment["RUNTIME__RUN_ID"] == str(stories["reads_its_environment"].run.id)
    assert environment["HOME"] == "/home/job"
    assert environment["VIRTUAL_ENV"] == "/venv"
    assert environment["SEND__ARTIFACTS__BUCKET_URL"].startswith("file:///workspace/")
    # By it programs that the job starts report their pipelines, too.
    assert environment["PYTHONPATH"] == "/opt/dlt-runtime/launchers/inherited"
    assert not [name for name in environment if name.startswith(("DLT_RUNTIME", "SSL_"))]
    assert str(daemon.folder) not in json.dumps(environment)


def test_a_cancelled_job_ends_as_cancelled_and_so_says_the_client(
    client: OfficialClient, workspace: DeployedWorkspace
) -> None:
    run_id = workspace.start("jobs.trouble.sleeps")
    workspace.wait_for_line(run_id, "sleeping")

    planned = client("cancel", "sleeps", "--dry-run").expect()
    assert "jobs.trouble.sleeps" in planned.out
    assert workspace.run(run_id).status == "running"
    client("cancel", "tag:long").expect()

    run = workspace.wait_for_end(run_id)
    assert (run.status, run.reason) == ("cancelled", "cancelled on request")
    assert re.search(r"Sleeps for ever.*cancelled", client("job-run", "sleeps", "info").expect().out)


def test_a_job_deaf_to_sigterm_is_killed_when_its_grace_is_over(workspace: DeployedWorkspace) -> None:
    """Semantics S2."""
    run_id = workspace.start("jobs.trouble.ignores_sigterm")
    workspace.wait_for_line(run_id, "deaf")
    workspace.daemon.client.cancel_run(workspace.id, run_id)
    assert workspace.run(run_id).status == "cancelling"
    run = workspace.wait_for_end(run_id, 30)
    assert run.status == "cancelled"
    assert not _sandboxes(workspace)


def test_the_client_follows_a_run_that_fails_to_its_end_and_shows_why(
    client: OfficialClient, workspace: DeployedWorkspace
) -> None:
    """Contract 3.1: a failed run is no failed command for this client."""
    followed = client("launch", "raises", "-f").expect()
    assert "ValueError: the pears are bad" in followed.out
    assert re.search(r"raises.*failed", client("job-run", "raises", "info").expect().out)


def test_the_client_follows_the_log_of_a_job_that_goes_on_until_it_is_cancelled(
    client: OfficialClient, workspace: DeployedWorkspace
) -> None:
    run_id = workspace.start("jobs.trouble.sleeps")
    workspace.wait_for_line(run_id, "sleeping")
    replayed = client("logs", "sleeps").expect()
    assert "sleeping" in replayed.out
    client("job-run", "sleeps", "cancel").expect()
    assert workspace.wait_for_end(run_id).status == "cancelled"


def test_a_job_that_is_running_is_not_started_again(client: OfficialClient, workspace: DeployedWorkspace) -> None:
    """Semantics D5."""
    run_id = workspace.start("jobs.trouble.sleeps")
    workspace.wait_for_line(run_id, "sleeping")
    refused = client("launch", "sleeps")
    assert "An instance of this job is already running" in refused.text, refused.text
    workspace.daemon.client.cancel_run(workspace.id, run_id)
    workspace.wait_for_end(run_id)


def test_a_module_that_is_not_in_the_deployment_is_named(daemon: DaemonProcess) -> None:
    """Semantics S6."""
    other = DeployedWorkspace.create(daemon, "incomplete")
    other.deploy({"there.py": b""}, batch_job("not_there", "f"), batch_job("there", "f"))
    run = other.execute("jobs.not_there.f")
    assert (run.status, run.reason) == ("failed", "exit code 1: error: module `not_there` is not in the deployment")
    run = other.execute("jobs.there.f")
    assert run.status == "failed"
    assert "module 'there' has no attribute 'f'" in (run.reason or "")


def test_an_environment_that_cannot_be_built_is_a_failed_run_with_the_reason_of_uv(daemon: DaemonProcess) -> None:
    """Semantics S6."""
    other = DeployedWorkspace.create(daemon, "unbuildable")
    code, job = {"shop.py": b""}, batch_job("shop", "load")
    other.deploy(code, job, requirements=("dlt==1.26.0", "dlt==1.27.0"))
    run = other.execute("jobs.shop.load")
    assert run.status == "failed"
    assert "dlt==1.26.0" in (run.reason or "")
    assert other.lines(run.id, "setup")


def test_a_run_cancelled_the_moment_it_was_started_never_begins(workspace: DeployedWorkspace) -> None:
    run_id = workspace.start("jobs.trouble.sleeps")
    workspace.daemon.client.cancel_run(workspace.id, run_id)
    run = workspace.wait_for_end(run_id)
    assert run.status == "cancelled"
    assert "sleeping" not in workspace.lines(run_id)


def test_the_daemon_has_logged_no_error_through_all_of_this(daemon: DaemonProcess) -> None:
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []


def _sandboxes(workspace: DeployedWorkspace) -> list[int]:
    """Processes of any run that can be seen from outside."""
    place = f"{workspace.daemon.state}/runs/"
    found = []
    for pid in workspace.daemon.left_behind():
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and place in command.read_text():
            found.append(pid)
    return found
