"""Looking after a machine by the command line: doctor, backup, restore, messages, beside a real daemon."""

import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from tests.deployed_workspace import DeployedWorkspace, batch_job
from tests.house import REQUIREMENTS
from tests.http_listener import listening
from tests.our_cli import OurCli
from tests.package_factory import package
from tests.processes import DaemonEndedError, DaemonProcess, wait_for

TARGET = '{"url": "json://127.0.0.1:1/s3cr3t", "events": ["failed"], "tags": ["gold"]}'


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """With somebody to tell, who cannot be reached."""
    process = DaemonProcess(
        tmp_path / "d", {"NOTIFY__TARGETS": f'{{"ops": {TARGET}}}', "RUNS__NETWORK": "host"}
    ).start()
    yield process
    process.close()


@pytest.fixture
def cli(daemon: DaemonProcess, tmp_path: Path) -> OurCli:
    return OurCli(daemon.socket_url, tmp_path, tmp_path)


def test_a_backup_is_taken_and_put_back(daemon: DaemonProcess, cli: OurCli, tmp_path: Path) -> None:
    """Backup: out of a running daemon, back into a stopped one; what came later is kept aside."""
    organization = daemon.client.me().primary_organization.id
    daemon.client.create_workspace(organization, "early")
    cli("backup", "state.tar", "--with-keys").expect()
    assert (tmp_path / "state.tar").stat().st_mode & 0o077 == 0
    assert "there already" in cli("backup", "state.tar").expect(ExitCode.FAILED).err
    streamed = tmp_path / "streamed.tar"
    cli("backup", str(streamed), "--json").expect()
    with tarfile.open(streamed) as archive:
        assert archive.getnames() == ["backup.json", "runtime.db"]
    daemon.client.create_workspace(organization, "late")

    state = ("--state-dir", str(daemon.state))
    assert "another daemon" in cli("restore", "state.tar", *state).expect(ExitCode.FAILED).err
    daemon.stop()
    (daemon.state / "restore-unfinished.json").write_text(
        '{"coming": [], "present": [], "folder": "restore-x", "aside": "before-restore-x"}'
    )
    with pytest.raises(DaemonEndedError, match=r"was interrupted(?s:.*)--take-back"):
        daemon.start()
    cli("restore", "--take-back", *state).expect()
    assert "before-restore-" in cli("restore", "state.tar", *state).expect().text
    daemon.start()
    names = {one.workspace.name for one in daemon.client.me().workspaces}
    assert "early" in names
    assert "late" not in names


def test_the_doctor_looks_with_and_without_a_daemon(daemon: DaemonProcess, cli: OurCli) -> None:
    """Doctor: the same checks either way; the exit code says whether it all works."""
    with_daemon = json.loads(cli("doctor", "--json").out)
    state = ("--state-dir", str(daemon.state))
    daemon.stop()
    seen = cli("doctor", "--json")
    assert "no daemon answers" in seen.err
    (daemon.state / "keys").chmod(0o700)
    (daemon.state / "keys" / "sealing.key").chmod(0o644)
    without = cli("doctor", "--json", *state).expect(ExitCode.FAILED)
    checks = {check["name"]: check for check in json.loads(without.out)["checks"]}
    assert checks["keys"]["state"] == "fail"
    assert checks["keys"]["remedy"].startswith("chmod 600 ")
    # What only a daemon has: its limits, its socket, its keys in hand, and what it was told of whom to tell.
    only = {"limits of jobs", "socket", "sealed configurations", "targets of messages"}
    assert {check["name"] for check in with_daemon["checks"]} - checks.keys() == only
    assert "chmod 600" in cli("doctor", *state).out


def test_a_run_that_fails_is_told_to_whom_it_concerns(tmp_path: Path) -> None:
    """Notify: from the settings to the message, with a link; a Python that is not there is enough to fail."""
    with listening() as (port, posted):
        settings = {
            "NOTIFY__TARGETS__OPS": json.dumps({"url": f"json://127.0.0.1:{port}/s3cr3t", "tags": ["gold"]}),
            "RUNS__NETWORK": "host",
        }
        daemon = DaemonProcess(tmp_path / "d", settings).start()
        try:
            workspace = DeployedWorkspace.create(daemon, "shop")
            jobs = [batch_job("shop", name, expose={"tags": [name]}) for name in ("gold", "lead")]
            workspace.deploy({"shop.py": b"gold = lead = None\n"}, *jobs)
            document = json.dumps({**REQUIREMENTS, "python_version": "3.99"}).encode()
            daemon.client.upload_deployment(
                workspace.id, BytesIO(package({"shop.py": b"lead = 1\n"})), document, lambda _: None
            )
            for name in ("lead", "gold"):
                assert workspace.execute(f"jobs.shop.{name}").status == "failed"
            wait_for(lambda: posted, "the failure is told")
        finally:
            daemon.close()
    (message,) = posted
    assert message["title"] == "shop: gold (shop) failed"
    assert "Python 3.99 is not on this machine" in message["message"]
    assert message["message"].endswith(f"/w/{workspace.id}")


def test_a_target_is_tried_and_never_shown(cli: OurCli, daemon: DaemonProcess) -> None:
    """Notify: one that cannot be reached says so, without its address, here and in the daemon's log."""
    listed = cli("notify", "list").expect()
    assert listed.out.split("\t")[:4] == ["ops", "json", "failed", "all"]
    refused = cli("notify", "test", "ops").expect(ExitCode.FAILED)
    assert "not delivered" in refused.err
    assert "ops" in cli("notify", "test", "nobody").expect(ExitCode.NOT_FOUND).err
    assert "s3cr3t" not in listed.text + refused.text + daemon.log_file.read_text()
