"""An app and the loads of what it shows: a real DuckDB file, written by one sandbox and held open by another.

What an app sees of the data: `docs/apps.md`.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.deployed_workspace import SDK, WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

LOAD, BOARD = "jobs.board.load", "jobs.board.board"
START_SECONDS = 120.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), {"APPS__LISTEN": "127.0.0.1:0"}).start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    """Loaded once."""
    made = DeployedWorkspace.create(daemon, "boards")
    load = batch_job("board", "load")
    board = batch_job("board", "board", triggers=["http:"])
    board["entry_point"]["job_type"] = "interactive"
    made.deploy(files_of(WORKSPACES / "board"), load, board, requirements=(SDK, "duckdb"))
    loaded = made.execute(LOAD, seconds=300)
    assert loaded.status == "completed", loaded.reason
    return made


@pytest.fixture(scope="module")
def member(daemon: DaemonProcess, workspace: DeployedWorkspace) -> Iterator[httpx.Client]:
    """A program with a person's token, at the board's address."""
    url = daemon.client.job(workspace.id, BOARD).script_url
    assert url
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {workspace.viewer_token()}"}, timeout=START_SECONDS
    ) as client:
        yield client


@pytest.fixture
def writing(workspace: DeployedWorkspace) -> Iterator[UUID]:
    """A load that writes all the time; it is over when its file is gone."""
    go_on = workspace.local_files / "go-on"
    go_on.touch()
    run_id = workspace.start(LOAD)
    try:
        workspace.wait_for_line(run_id, "writing")
        yield run_id
    finally:
        go_on.unlink(missing_ok=True)


def served(workspace: DeployedWorkspace) -> UUID:
    """The board's run, once it answers."""
    run_id = workspace.start(BOARD)
    wait_for(lambda: workspace.run(run_id).status == "running", "the board answers", START_SECONDS)
    return run_id


def test_a_load_goes_past_an_app_that_holds_the_database_and_the_app_reads_what_it_loaded(
    workspace: DeployedWorkspace, member: httpx.Client
) -> None:
    """Neither meets the other's locks; what is held open stays as it was."""
    run_id = served(workspace)
    before = int(member.get("/held").text)
    assert member.get("/new").text == str(before)
    assert workspace.execute(LOAD).status == "completed"
    wait_for(lambda: member.get("/new").text == str(before + 1), "the app reads the new rows")
    assert member.get("/held").text == str(before)
    assert workspace.run(run_id).status == "running"
    workspace.daemon.client.cancel_run(workspace.id, run_id)
    workspace.wait_for_end(run_id)


def test_an_app_that_is_first_opened_during_a_load_has_what_the_last_one_left(
    workspace: DeployedWorkspace, member: httpx.Client, writing: UUID
) -> None:
    copy = workspace.daemon.state / "whole" / str(workspace.id) / "prod" / "local" / "warehouse.duckdb"
    assert copy.exists()
    run_id = served(workspace)
    assert int(member.get("/new").text) >= 1
    (told,) = [line for line in workspace.lines(run_id, "setup") if line.startswith("the data is shown as it was at")]
    assert "local/warehouse.duckdb" in told
    before = int(member.get("/new").text)
    Path(workspace.local_files / "go-on").unlink()
    assert workspace.wait_for_end(writing).status == "completed"
    wait_for(lambda: member.get("/new").text == str(before + 1), "the app reads what that load has written")
