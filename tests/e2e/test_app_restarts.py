"""An app outlives its daemon: it is killed and started again, and the same address leads to the same process.

Design decision 4; semantics S4.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runtime.sandbox.identity import ProcessIdentity, children_of, identify, is_alive
from tests.app_machine import SOURCE, app_job
from tests.deployed_workspace import DeployedWorkspace
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

EVERYWHERE, LOOPBACK = "jobs.apps.everywhere", "jobs.apps.loopback"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """With addresses that stay from one start to the next."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    settings = {"LISTEN": f"127.0.0.1:{ports[0]}", "APPS__LISTEN": f"127.0.0.1:{ports[1]}"}
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), settings).start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, "apps")
    made.deploy({"apps.py": SOURCE.read_bytes()}, app_job("everywhere"), app_job("loopback"))
    return made


@pytest.fixture(scope="module")
def member(daemon: DaemonProcess, workspace: DeployedWorkspace) -> Iterator[httpx.Client]:
    """A program with a person's token."""
    with httpx.Client(headers={"Authorization": f"Bearer {workspace.viewer_token()}"}, timeout=60) as client:
        yield client


def url_of(workspace: DeployedWorkspace, job_ref: str) -> str:
    url = workspace.daemon.client.job(workspace.id, job_ref).script_url
    assert url is not None
    return url


def doors_of(daemon: DaemonProcess) -> list[ProcessIdentity]:
    """The doors that this daemon has opened."""
    found = []
    for pid in children_of(daemon.pid):
        door = identify(pid)
        if door is not None and "/sandbox/door.py" in Path(f"/proc/{pid}/cmdline").read_text():
            found.append(door)
    return found


def test_an_app_answers_at_its_address_whoever_is_its_daemon(
    workspace: DeployedWorkspace, daemon: DaemonProcess, member: httpx.Client
) -> None:
    run_id = workspace.start(EVERYWHERE)
    wait_for(lambda: workspace.run(run_id).status == "running", "the app answers", 120)
    url = url_of(workspace, EVERYWHERE)
    assert member.get(f"{url}first").text == "one /first"
    (door,) = doors_of(daemon)

    daemon.kill()
    wait_for(lambda: not is_alive(door), "the door ends with its daemon")
    daemon.start()
    assert url_of(workspace, EVERYWHERE) == url
    assert member.get(f"{url}second").text == "one /second"
    assert workspace.run(run_id).status == "running"
    assert workspace.start(EVERYWHERE) == run_id
    assert [line.split()[0] for line in workspace.lines(run_id)] == ["arguments", "listening"]

    daemon.client.cancel_run(workspace.id, run_id)
    ended = workspace.wait_for_end(run_id)
    assert (ended.status, ended.reason) == ("cancelled", "cancelled on request")
    assert not (daemon.state / "network" / f"{run_id}.json").exists()


def test_newer_code_is_what_the_next_visit_sees(workspace: DeployedWorkspace, member: httpx.Client) -> None:
    url = url_of(workspace, LOOPBACK)
    first = member.get(url)  # wakes it
    assert (first.text, first.headers["x-dlt-runtime-version"]) == ("one /", "1")
    newer = SOURCE.read_bytes().replace(b'VERSION = "one"', b'VERSION = "two"')
    workspace.deploy({"apps.py": newer}, app_job("everywhere"), app_job("loopback"))
    assert url_of(workspace, LOOPBACK) == url

    def second() -> httpx.Response | None:
        answer = member.get(url)
        return answer if answer.text == "two /" else None

    # The one that was asked to end may still answer once.
    assert wait_for(second, "the newer code answers").headers["x-dlt-runtime-version"] == "2"
