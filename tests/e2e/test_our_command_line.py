"""`dlt-runtime`, as a process, against a real daemon: what it shows, and the exit statuses that scripts rely on."""

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.wire.admin_client import AdminClient
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace
from tests.official_client import OfficialClient, copy_workspace
from tests.our_cli import OurCli, connected_workspace
from tests.processes import REPOSITORY, DaemonProcess, Ended, needs_jobs

pytestmark = needs_jobs

EMAIL = "ada@example.org"
DONE, FAILED, USAGE, NOT_FOUND, NO_DAEMON, INTERRUPTED = 0, 1, 2, 3, 4, 130


@pytest.fixture(scope="module")
def cli(daemon: DaemonProcess, virtualenv: Path, tmp_path_factory: pytest.TempPathFactory) -> OurCli:
    """An administrator through the socket, before a copy of the example."""
    folder = tmp_path_factory.mktemp("person")
    directory = copy_workspace(REPOSITORY / "examples" / "fruitshop", folder / "fruitshop")
    return OurCli(daemon.socket_url, folder, directory, virtualenv)


@pytest.fixture(scope="module")
def deploy(cli: OurCli) -> Ended:
    """The first deploy of a directory that was never connected."""
    return cli("deploy").expect()


@pytest.fixture(scope="module")
def launch(cli: OurCli, deploy: Ended) -> Ended:
    return cli("launch", "load_shop", "-f", seconds=180).expect(DONE)


@pytest.fixture(scope="module")
def trouble(daemon: DaemonProcess, cli: OurCli) -> tuple[OurCli, DeployedWorkspace]:
    """A second workspace, whose jobs misbehave."""
    directory = copy_workspace(WORKSPACES / "trouble", cli.home / "trouble")
    own = OurCli(cli.url, cli.home, directory, cli.virtualenv)
    own("deploy").expect()
    return own, DeployedWorkspace(daemon, connected_workspace(directory))


def parsed(ended: Ended) -> Any:
    return json.loads(ended.expect().out)


LOAD, CHECK = "jobs.fruitshop_pipeline.load_shop", "jobs.fruitshop_quality.check_quality"


def test_a_first_deploy_connects_the_directory_and_adds_its_jobs(deploy: Ended, cli: OurCli) -> None:
    assert "created workspace `fruitshop`" in deploy.err
    assert {LOAD, CHECK} <= {job["job_ref"] for job in parsed(cli("job", "list", "--json"))}
    assert connected_workspace(cli.directory)


def test_a_dry_run_and_a_second_deploy_and_a_sync_find_nothing_to_do(cli: OurCli, deploy: Ended) -> None:
    """Semantics J2."""
    for arguments in (("deploy", "--dry-run", "--json"), ("deploy", "--json")):
        plan = parsed(cli(*arguments))
        assert (plan["deployment"]["status"], plan["configuration"]["status"]) == ("unchanged", "unchanged")
        assert (plan["added"], plan["updated"], plan["archived"]) == ([], [], [])
    assert "code unchanged (version 1)" in cli("sync").expect().err


def test_both_clients_agree_that_nothing_has_changed(
    cli: OurCli, deploy: Ended, daemon: DaemonProcess, virtualenv: Path, tmp_path: Path
) -> None:
    """Semantics J2: what ours has packed, the public client would pack as well; it takes a machine's token."""
    admin = AdminClient(daemon.client.connection)
    admin.add_user(EMAIL)
    official = OfficialClient(virtualenv, tmp_path, copy_workspace(cli.directory, tmp_path / "fruitshop"), daemon)
    official.write_tokens(admin.create_token(EMAIL, "fruitshop", 1).token, "")

    said = official("deploy").expect()

    assert "0 added, 0 updated, 0 archived" in said.text
    workspace_id = connected_workspace(official.directory)
    assert workspace_id == connected_workspace(cli.directory)
    assert [one.version for one in daemon.client.deployments(workspace_id)] == [1]
    assert [one.version for one in daemon.client.configurations(workspace_id)] == [1]


def test_launch_follows_to_the_end_and_its_exit_status_is_that_of_the_run(launch: Ended) -> None:
    assert "[program] the shop is loaded" in launch.out
    assert "run 1 of fruitshop_pipeline.load_shop: starting" in launch.err
    assert re.search(r"run 1 of fruitshop_pipeline.load_shop: completed after", launch.err)


def test_a_script_is_launched_ad_hoc(cli: OurCli, launch: Ended) -> None:
    """Semantics J3."""
    launched = cli("launch", "shop_script.py", "-f").expect(DONE)
    assert "melon 3.20" in launched.out
    assert not [job for job in parsed(cli("job", "list", "--json")) if job["archived"]]


def test_a_followed_run_that_fails_is_exit_status_1_with_its_reason(trouble: tuple[OurCli, DeployedWorkspace]) -> None:
    followed = trouble[0]("launch", "raises", "-f").expect(FAILED)
    assert "failed after" in followed.err
    assert "ValueError: the pears are bad" in followed.err
    assert "Traceback" in followed.out  # the job's own, in its log
    assert "Traceback" not in followed.err


def test_logs_show_one_run_and_following_an_ended_one_ends_with_its_status(
    trouble: tuple[OurCli, DeployedWorkspace], cli: OurCli, launch: Ended
) -> None:
    own, workspace = trouble
    run = workspace.execute("jobs.trouble.exits_3")
    assert "leaving with 3" in own("logs", "exits_3", str(run.number)).expect(DONE).out
    assert "leaving with 3" in own("logs", "exits_3", "-f").expect(FAILED).out
    lines = [json.loads(line) for line in cli("logs", "load_shop", "1", "--json").expect().out.splitlines()]
    assert [line["line_num"] for line in lines] == list(range(len(lines)))
    assert lines[-1]["content"] == "the shop is loaded"


def test_ctrl_c_leaves_the_run_running_and_says_so(trouble: tuple[OurCli, DeployedWorkspace]) -> None:
    own, workspace = trouble
    following = own.begin("launch", "sleeps", "-f")
    said = _read_until(following, "sleeping")
    os.killpg(following.pid, signal.SIGINT)
    rest, _ = following.communicate(timeout=20)
    assert following.returncode == INTERRUPTED, said + rest
    assert "goes on without you" in rest
    assert "Traceback" not in rest
    (run,) = [run for run in workspace.daemon.client.runs(workspace.id) if run.status == "running"]

    again = own.begin("logs", "sleeps", str(run.number), "-f")
    _read_until(again, "sleeping")
    cancelled = own("cancel", "sleeps").expect()
    assert "cancelling" in cancelled.out
    again.communicate(timeout=30)
    assert again.returncode == FAILED
    assert workspace.run(run.id).status == "cancelled"


def test_following_goes_on_across_a_restart_of_the_daemon(trouble: tuple[OurCli, DeployedWorkspace]) -> None:
    own, workspace = trouble
    following = own.begin("launch", "counts", "-f")
    said = _read_until(following, "counted 100")
    workspace.daemon.restart()
    said += _read_until(following, "waiting for it to come back|counted 5000")
    (workspace.local_files / "stop").touch()
    said += following.communicate(timeout=60)[0]
    assert following.returncode == DONE, said[-2000:]
    counted = [int(number) for number in re.findall(r"\] counted (\d+)$", said, re.MULTILINE)]
    assert counted == list(range(1, len(counted) + 1))
    assert f"stopped at {len(counted)}" in said


def test_jobs_runs_and_the_workspace_are_shown_as_text_and_as_json(
    cli: OurCli, launch: Ended, daemon: DaemonProcess
) -> None:
    listed = cli("job", "list").expect().out.splitlines()
    assert next(line.split("\t")[:2] for line in listed if "load_shop" in line) == [
        "fruitshop_pipeline.load_shop",
        "batch",
    ]
    assert parsed(cli("job", "load_shop", "info", "--json"))["job_ref"] == LOAD
    runs = parsed(cli("job-run", "list", "--json"))
    assert {run["job_ref"] for run in runs} >= {LOAD, CHECK}
    shown = parsed(cli("job-run", "load_shop", "1", "info", "--json"))
    assert (shown["number"], shown["status"], shown["exit_code"]) == (1, "completed", 0)
    assert any(package.startswith("dlt==1.") for package in shown["environment"]["packages"])
    info = parsed(cli("info", "--json"))
    assert info["workspace"]["name"] == "fruitshop"
    assert info["deployment"]["version"] == info["configuration"]["version"] == 1
    assert info["daemon"] == daemon.socket_url


def test_a_trigger_starts_what_matches_and_a_dry_run_starts_nothing(cli: OurCli, launch: Ended) -> None:
    """Semantics T5."""
    before = len(parsed(cli("job-run", "list", "--json")))
    assert "1 would be triggered" in cli("trigger", "tag:quality", "--dry-run").expect().err
    assert len(parsed(cli("job-run", "list", "--json"))) == before
    (triggered,) = parsed(cli("trigger", "tag:quality", "--json"))
    assert (triggered["job_ref"], triggered["status"]) == (CHECK, "triggered")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("job", "nosuch", "info"), NOT_FOUND, "no job `nosuch`"),
        (("logs", "load_shop", "999"), NOT_FOUND, "999"),
        (("trigger", "tag:nothing"), NOT_FOUND, "no job matches"),
        (("launch", "nosuch"), NOT_FOUND, "no job `nosuch`"),
        (("launch", "no_such_file.py"), NOT_FOUND, "no_such_file.py"),
        (("logs", "load_shop", "one"), USAGE, "one"),
        (("launch", "a.py", "--file", "b.py"), USAGE, "both name a file"),
        (("bogus",), USAGE, "bogus"),
        (("--url", "http://127.0.0.1:1", "job", "list"), NO_DAEMON, "no daemon answers"),
        (("--url", "unix:///nowhere/api.sock", "job", "list"), NO_DAEMON, "no daemon answers"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_status(
    cli: OurCli, deploy: Ended, arguments: tuple[str, ...], status: int, words: str
) -> None:
    ended = cli(*arguments).expect(status)
    assert ended.out == ""
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_over_the_network_a_person_logs_in_and_an_administrator_lets_them(
    cli: OurCli, deploy: Ended, daemon: DaemonProcess, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    directory = copy_workspace(WORKSPACES / "trouble", tmp_path / "remote")
    person = OurCli(daemon.url, tmp_path / "home", directory, cli.virtualenv)
    refused = person("workspace", "list").expect(FAILED)
    assert "`dlt-runtime login`" in refused.err
    begun = person("login").expect()
    (code,) = re.findall(r"\b[A-Z]{4}-[0-9]{4}\b", begun.err.splitlines()[0])
    (device_code,) = re.findall(r"--resume ([^\s`]+)", begun.err)
    cli("user", "add", "bela@example.org").expect()

    cli("auth", "approve", code, "--email", "bela@example.org").expect()

    assert "as bela@example.org" in person("login", "--resume", device_code).expect().err
    assert person("job", "list").expect().out == ""
    assert parsed(person("info", "--json"))["email"] == "bela@example.org"
    denied = person("user", "list").expect(FAILED)
    assert "Traceback" not in denied.err
    person("logout").expect()
    person("workspace", "list").expect(FAILED)


def test_a_machine_token_works_for_its_workspace_until_it_is_revoked(
    cli: OurCli, deploy: Ended, daemon: DaemonProcess, tmp_path: Path
) -> None:
    cli("user", "add", "ci@example.org").expect()
    made = parsed(cli("token", "create", "--email", "ci@example.org", "--workspace", "fruitshop", "--json"))
    machine = MachineCli(daemon.url, tmp_path, cli.directory, cli.virtualenv, token=made["token"])
    assert machine("job", "list").expect().out
    cli("token", "revoke", made["id"]).expect()
    machine("job", "list").expect(FAILED)


def test_the_daemon_has_logged_no_error_through_all_of_this(daemon: DaemonProcess) -> None:
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []


@dataclass(frozen=True)
class MachineCli(OurCli):
    """A CI machine's: its token is in the environment."""

    token: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "DLT_RUNTIME_TOKEN": self.token}


def _read_until(process: "subprocess.Popen[str]", pattern: str) -> str:
    """Everything up to the line that matches; the command fails the test by ending before."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    return pytest.fail(f"it ended and never said `{pattern}`:\n{said[-3000:]}")
