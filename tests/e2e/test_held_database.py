"""A database that another program writes to for longer than anybody waits: runs go on, and nothing of them is lost."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from runtime.wire.failures import ApiError
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs


@contextmanager
def held(daemon: DaemonProcess) -> Iterator[None]:
    """As an operator holds it who has typed BEGIN IMMEDIATE and gone to lunch."""
    with closing(sqlite3.connect(daemon.state / "runtime.db", isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_job_that_prints_while_somebody_holds_the_database_completes_with_all_its_lines(
    daemon: DaemonProcess,
) -> None:
    """Semantics S5; requests that have to write are answered with 503 meanwhile, those that read as ever."""
    workspace = DeployedWorkspace.create(daemon, "orchard")
    workspace.deploy(files_of(WORKSPACES / "patient"), batch_job("orchard", "talk", execute={"concurrency": None}))
    run_id = workspace.start("jobs.orchard.talk")
    workspace.wait_for_line(run_id, "ready", 180)
    with held(daemon):
        began = time.monotonic()
        (workspace.local_files / "go").touch()
        wait_for(lambda: any(e.get("action") == "log.wait" for e in daemon.events()), "lines wait to be stored")
        with pytest.raises(ApiError) as caught:
            workspace.start("jobs.orchard.talk")
        assert (caught.value.status, caught.value.code) == (503, "store_busy"), caught.value.message
        assert "database" in caught.value.message
        assert caught.value.hint
        # The job has ended, for all the daemon can write down of it.
        wait_for(lambda: not (workspace.local_files / "go").exists(), "the job has printed")
        assert workspace.run(run_id).status == "running"
        print(f"held for {time.monotonic() - began:.0f} s")
    ended = workspace.wait_for_end(run_id)
    assert (ended.status, ended.exit_code) == ("completed", 0), ended.reason
    assert workspace.lines(run_id) == ["ready", *(f"line {number}" for number in range(2000)), "done"]
    assert not any(event.get("action") == "run.error" for event in daemon.events())
