"""A webhook called by the world starts a job, which reads what was posted (semantics T7)."""

import json
from urllib.parse import urlsplit

import httpx
import pytest

from runtime.wire.schedule_client import ScheduleClient
from tests.deployed_workspace import DeployedWorkspace, batch_job
from tests.processes import DaemonProcess, needs_jobs

pytestmark = needs_jobs

REF = "jobs.orders.take"
CODE = b"""
import json, os, pathlib
import dlt.hub.run as run

@run.job(trigger="webhook:orders/new")
def take():
    body = pathlib.Path(os.environ.get("DLT_RUNTIME_PAYLOAD", "/nowhere"))
    if not body.exists():
        print("nothing was posted")
        return
    headers = json.loads((body.parent / "headers.json").read_text())
    print(json.dumps({"order": json.loads(body.read_text()), "headers": headers}))
    for path in (body, body.parent / "more"):
        try:
            path.write_text("changed")
            print("writable")
        except OSError:
            print("read-only")
"""


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, "orders")
    made.deploy({"orders.py": CODE}, batch_job("orders", "take", triggers=["webhook:orders/new"]))
    return made


def test_a_job_reads_what_its_webhook_was_called_with(daemon: DaemonProcess, workspace: DeployedWorkspace) -> None:
    client = ScheduleClient(daemon.client.connection, workspace.id)
    hook = client.create_hook(REF)
    path = urlsplit(hook.urls[0]).path
    socket = daemon.client.connection.endpoint.socket
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://dlt-runtime") as world:
        headers = {"X-Event": "created"}
        assert world.post(path, json={}, headers=headers).status_code == 401
        called = world.post(path, json={"apples": 3}, headers={**headers, "X-Hook-Token": hook.token})
        assert called.status_code == 202, called.text
        run = workspace.wait_for_end(called.json()["run_id"])
        assert (run.status, run.trigger) == ("completed", "webhook:orders/new")
        printed, *attempts = workspace.lines(run.id)
        seen = json.loads(printed)
        assert seen["order"] == {"apples": 3}
        assert seen["headers"]["x-event"] == "created"
        assert hook.token not in printed
        assert attempts == ["read-only", "read-only"]

        client.revoke_hook(REF, hook.id)
        assert world.post(path, json={}, headers={"X-Hook-Token": hook.token}).status_code == 401


def test_a_run_that_no_webhook_started_has_no_payload(workspace: DeployedWorkspace) -> None:
    run = workspace.execute(REF)
    assert workspace.lines(run.id) == ["nothing was posted"]
