"""A job that attacks: one probe each, run by a real daemon as a user's job would be; every one must fail to do harm.

`test_inside_a_job.py` looks at what a job sees; here it pushes. Probes: `tests/resources/workspaces/hostile`.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.sandbox.addresses import metadata_addresses
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.our_cli import OurCli
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

PROBES = (
    "calls",
    "reaches_for_processes",
    "writes_to_the_kernel",
    "makes_devices",
    "makes_setuid_files",
    "looks_at_descriptors",
    "looks_at_environments",
    "reaches_metadata",
    "swaps_links",
    "forges_its_log",
    "prints_escapes",
    "fakes_its_end",
    "leaves_strange_reports",
)
REFUSED = {"EPERM", "ENOSYS", "EACCES"}
NOT_THERE = {"ENOENT", "ENODEV", "ENXIO", "EPERM", "EACCES"}
CANARY = "canary-of-the-daemon"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(
        tmp_path_factory.mktemp("daemon"),
        {"MACHINES__DEFAULT__DISK": "60MiB", "MACHINES__BUILDS__DISK": "2GiB", "ENVIRONMENTS__MACHINE": "builds"},
        environment={"CANARY": CANARY},
    )
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def precious(daemon: DaemonProcess) -> Path:
    """A directory of the machine that no job may change or read."""
    directory = daemon.folder / "precious"
    directory.mkdir()
    (directory / "summary.json").write_text(json.dumps({"stolen": "value"}))
    return directory


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess, precious: Path) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, "hostile")
    asked = {
        "pids": [daemon.pid, os.getpid(), os.getppid()],
        "metadata": sorted(metadata_addresses()),
        "targets": [str(precious / "summary.json"), str(precious), "/", str(daemon.state)],
    }
    code = {**files_of(WORKSPACES / "hostile"), "asked.json": json.dumps(asked).encode()}
    made.deploy(code, *(batch_job("hostile", name) for name in PROBES))
    return made


def told(workspace: DeployedWorkspace, probe: str) -> dict[str, Any]:
    """Run a probe; what it printed last."""
    run = workspace.execute(f"jobs.hostile.{probe}")
    lines = workspace.lines(run.id)
    assert run.status == "completed", (run.reason, lines)
    answers: dict[str, Any] = json.loads(lines[-1])
    return answers


def test_system_calls_for_keyrings_namespaces_and_the_kernels_insides_are_refused(
    workspace: DeployedWorkspace,
) -> None:
    answers = told(workspace, "calls")
    allowed = {name: answer for name, answer in answers.items() if answer not in REFUSED}
    assert allowed == {}
    assert len(answers) > 30


def test_no_process_can_be_traced_read_or_signalled(workspace: DeployedWorkspace) -> None:
    answers = told(workspace, "reaches_for_processes")
    for name, answer in answers.items():
        assert answer in (*REFUSED, "ESRCH", "ENOENT"), (name, answer)


def test_nothing_of_the_kernels_settings_can_be_written(workspace: DeployedWorkspace) -> None:
    answers = told(workspace, "writes_to_the_kernel")
    written = {path: answer for path, answer in answers.items() if answer == "written"}
    assert written == {}, "not even the sandbox's own"


def test_there_are_no_devices_and_none_can_be_made(workspace: DeployedWorkspace) -> None:
    answers = told(workspace, "makes_devices")
    assert {name: answer for name, answer in answers.items() if answer not in NOT_THERE} == {}


def test_setuid_programs_give_no_rights_inside_and_are_out_of_reach_outside(
    workspace: DeployedWorkspace, daemon: DaemonProcess
) -> None:
    answers = told(workspace, "makes_setuid_files")
    assert {answer for name, answer in answers.items() if name.startswith("run in")} == {"1000"}
    assert answers["su"] == "refused"
    assert stat.S_IMODE(daemon.state.stat().st_mode) & 0o077 == 0, "nobody else gets to what jobs leave"


def test_a_job_inherits_three_descriptors_and_no_more(workspace: DeployedWorkspace) -> None:
    answers = told(workspace, "looks_at_descriptors")
    assert answers["own"].pop("0") == "/dev/null"
    output = answers["own"].pop("1")
    assert answers["own"].pop("2") == output
    assert answers["own"] == {}


def test_nothing_of_the_daemons_environment_is_to_be_found(workspace: DeployedWorkspace) -> None:
    texts = told(workspace, "looks_at_environments")
    assert CANARY not in json.dumps(texts)
    assert not any("DLT_RUNTIME_STATE_DIR" in text for text in texts.values())


def test_the_clouds_metadata_services_cannot_be_reached(workspace: DeployedWorkspace) -> None:
    answers = told(workspace, "reaches_metadata")
    assert len(answers) >= 6
    assert {name: answer for name, answer in answers.items() if answer not in (*REFUSED, "EHOSTUNREACH")} == {}


def test_links_that_change_while_they_are_looked_at_lead_the_daemon_nowhere(
    workspace: DeployedWorkspace, daemon: DaemonProcess, precious: Path
) -> None:
    run = workspace.execute("jobs.hostile.swaps_links")
    # Whether it stays within its machine's disk depends on how fast it is; what it points at never counts.
    assert run.status == "completed" or "killed for disk space" in (run.reason or ""), run.reason
    wait_for(lambda: not (daemon.state / "runs" / str(run.id)).exists(), "its files are cleared away")
    assert json.loads((precious / "summary.json").read_text()) == {"stolen": "value"}
    assert (daemon.state / "runtime.db").exists()
    workspace.local_files.joinpath("swapped").unlink(missing_ok=True)


def test_what_a_job_prints_stays_its_own_word(workspace: DeployedWorkspace, daemon: DaemonProcess) -> None:
    """Semantics S5: the phase is ours to say, and numbers stay dense although the file was emptied."""
    run = workspace.execute("jobs.hostile.forges_its_log")
    assert run.status == "completed", run.reason
    assert not any("[   1] 00:00" in line for line in workspace.lines(run.id, "setup"))
    assert workspace.lines(run.id), "numbers are dense; what it destroyed was its own"


def test_escapes_in_a_log_do_not_reach_a_terminal(
    workspace: DeployedWorkspace, daemon: DaemonProcess, tmp_path: Path
) -> None:
    workspace.execute("jobs.hostile.prints_escapes")
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / ".workspace").touch()
    (tmp_path / ".dlt" / "config.toml").write_text(f'[runtime]\nworkspace_id = "{workspace.id}"\n')
    shown = OurCli(daemon.socket_url, tmp_path, tmp_path)("logs", "jobs.hostile.prints_escapes").expect()
    assert "owned" in shown.text
    assert not {"\x1b", "\r", "\x07", "\u202e"} & set(shown.text)


def test_a_job_cannot_say_how_it_ended(workspace: DeployedWorkspace) -> None:
    run = workspace.execute("jobs.hostile.fakes_its_end")
    assert run.status == "failed"
    assert run.exit_code == 7


def test_strange_files_where_reports_are_expected_are_left_alone(
    workspace: DeployedWorkspace, daemon: DaemonProcess
) -> None:
    told(workspace, "leaves_strange_reports")
    assert b"stolen" not in (daemon.state / "runtime.db").read_bytes()
    assert workspace.execute("jobs.hostile.looks_at_descriptors").status == "completed", "and the daemon goes on"
