"""`dlt-runtime`, as a process, against a real daemon: what it shows, and the exit statuses that scripts rely on."""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.wire.admin_client import AdminClient
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace
from tests.official_client import OfficialClient, copy_workspace
from tests.our_cli import OurCli, connected_workspace
from tests.processes import REPOSITORY, DaemonProcess, Ended, needs_jobs, wait_for

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


def test_a_first_deploy_connects_the_directory_and_adds_its_jobs(deploy: Ended, cli: OurCli) -> None:
    print(deploy.text)
    listed = parsed(cli("job", "list", "--json"))
    assert {"jobs.fruitshop_pipeline.load_shop", "jobs.fruitshop_quality.check_quality"} <= {
        job["job_ref"] for job in listed
    }
    assert connected_workspace(cli.directory)


def test_show(deploy, launch, cli, trouble):
    print("DEPLOY", deploy.out, "--ERR", deploy.err)
    print("LAUNCH", launch.out, "--ERR", launch.err)
    for words in ["deploy", "deploy --json", "sync", "sync --dry-run", "deploy --dry-run --json", "deploy --show-manifest", "launch shop_script.py -f", "trigger tag:ingest --dry-run", "trigger tag:ingest --json", "logs load_shop 1", "logs load_shop --json", "job list", "job list --json", "job load_shop info", "job load_shop info --json", "job-run list", "job-run list --json", "job-run load_shop 1 info","job-run load_shop info --json", "info", "info --json", "cancel load_shop --dry-run", "deployment list", "configuration list", "deployment info", "job nosuch info", "logs nosuch", "trigger nosuch", "workspace list", "bogus", "launch", "--version", "--url http://127.0.0.1:1 job list", "user list", "user add EVE@x.org", "token create --email EVE@x.org --workspace fruitshop"]:
        t=time.monotonic()
        e = cli(*words.split())
        print("=====", words, e.status, round(time.monotonic()-t,2)); print(e.out[:1500], "--ERR", e.err)
    for words in ["launch raises -f", "launch nosuch -f", "launch exits_3"]:
        e = trouble[0](*words.split())
        print("=====", words, e.status, round(time.monotonic()-t,2)); print(e.out[:1500], "--ERR", e.err)
    assert 0
