"""A workspace's secrets, from the upload to the log of a real job: seen by the job, and by nobody else."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runtime.domain.masking import MASK
from runtime.errors import JobRuntimeError
from runtime.wire.admin_client import AdminClient
from tests.deployed_workspace import DeployedWorkspace, batch_job
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

TOKEN, PASSWORD = "tok-kingfisher-4711", "p@ss/heron-1174"
SETTINGS = {
    "config.toml": b"place = 'the-river-bank'",
    "secrets.toml": f"token = '{TOKEN}'\n".encode(),
    "prod.secrets.toml": f"password = '{PASSWORD}'\n".encode(),
}
JOB = "jobs.leaky.leaks"
CODE = b"""
import base64, json, os, time
from pathlib import Path
from urllib.parse import quote

import dlt
import dlt.hub.run as run


@run.job(execute={"intercept_signals": False})
def leaks():
    token, password = dlt.secrets["token"], dlt.secrets["password"]
    assert (len(token), len(password)) == (19, 15), "the job has its secrets"
    print("at", dlt.config["place"], token, json.dumps(password), quote(password, safe=""))
    print("Basic", base64.b64encode(f"loader:{password}".encode()).decode())
    print("x" * (64 * 1024 - 5) + token)
    os.write(1, b"half of it: " + token[:9].encode())
    while not Path("_local/prod/go").exists():
        time.sleep(0.01)
    os.write(1, token[9:].encode() + b" and the rest\\n")
    raise RuntimeError(f"login with {password} refused")
"""
CONFIGURATIONS, LARGE = 6, 8 * 1024 * 1024


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[DeployedWorkspace]:
    daemon = DaemonProcess(tmp_path).start()
    made = DeployedWorkspace.create(daemon, "leaky")
    made.deploy({"leaky.py": CODE}, batch_job("leaky", "leaks"), settings=SETTINGS)
    yield made
    daemon.close()


def argument_lists() -> Iterator[bytes]:
    """Of every process of this machine that may be looked at."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            yield (directory / "cmdline").read_bytes()
        except OSError:
            continue


def test_a_job_has_its_secrets_and_its_log_its_reason_and_the_daemon_do_not(workspace: DeployedWorkspace) -> None:
    """Printed in every way, in two halves with another daemon in between; semantics S5, S6."""
    secrets = [value.encode() for value in (TOKEN, PASSWORD)]
    run_id = workspace.start(JOB)
    workspace.wait_for_line(run_id, "half of it: ")
    assert not any(secret in words for words in argument_lists() for secret in secrets)
    workspace.daemon.kill()
    workspace.daemon.start()
    (workspace.local_files / "go").touch()
    run = workspace.wait_for_end(run_id)

    lines = workspace.lines(run_id)
    assert lines[0] == f'at the-river-bank {MASK} "{MASK}" {MASK}'
    assert lines[1].startswith("Basic ")
    assert MASK in lines[1]
    assert lines[2:6] == ["x" * (64 * 1024 - 5), MASK, "half of it: ", f"{MASK} and the rest"]
    assert (run.status, run.reason) == ("failed", f"exit code 1: RuntimeError: login with {MASK} refused")
    said = "\n".join([*lines, *workspace.lines(run_id, "setup"), run.model_dump_json()]).encode()
    for where in (said, workspace.daemon.log_file.read_bytes()):
        assert not any(secret in where for secret in secrets)
    left = [path for path in workspace.daemon.state.rglob("*") if path.is_file() and path.suffix in (".log", ".toml")]
    assert not any(secret in path.read_bytes() for path in left for secret in secrets), "nothing of the run is left"


def test_a_daemon_killed_while_it_rotates_the_key_ends_that_at_its_next_start(workspace: DeployedWorkspace) -> None:
    daemon, keys = workspace.daemon, workspace.daemon.state / "keys"
    for _ in range(CONFIGURATIONS):
        filling = b"# " + os.urandom(LARGE // 2).hex().encode()
        workspace.deploy({"leaky.py": CODE}, settings={**SETTINGS, "config.toml": filling + b"\nplace = 'a'\n"})
    workspace.deploy({"leaky.py": CODE}, batch_job("leaky", "leaks"), settings=SETTINGS)
    before = (keys / "sealing.key").read_bytes()

    def rotate() -> None:
        with pytest.raises((JobRuntimeError, httpx.HTTPError)):
            AdminClient(daemon.client.connection).rotate_keys()

    rotating = threading.Thread(target=rotate)
    rotating.start()
    wait_for(lambda: (keys / "sealing.key").read_bytes() != before, "a new key is in place")
    daemon.kill()
    rotating.join()
    assert (keys / "sealing.key.old").read_bytes() == before
    daemon.start()

    assert sorted(path.name for path in keys.iterdir()) == ["sealing.key", "signing.key"]
    assert (keys / "sealing.key").read_bytes() != before
    (workspace.local_files).mkdir(parents=True, exist_ok=True)
    (workspace.local_files / "go").touch()
    run_id = workspace.start(JOB)
    assert workspace.wait_for_end(run_id).reason == f"exit code 1: RuntimeError: login with {MASK} refused"
    AdminClient(daemon.client.connection).rotate_keys()
    assert sorted(path.name for path in keys.iterdir()) == ["sealing.key", "signing.key"]
