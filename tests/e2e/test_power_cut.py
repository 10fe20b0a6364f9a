"""After a power cut: what was committed is there, what was running has failed, what had not begun is begun.

`tests/system/power_cut.py` does the same on a file system that really loses what was not synced; that takes root. Here
the worst such a file system may do is done by hand.
"""

from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.chaos.power import end_everything, lose_unsynced_files, start_on_the_next_boot
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

PLAIN = {"intercept_signals": False, "concurrency": None}
COUNTS = "jobs.trouble.counts"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedWorkspace]:
    """With room for one run at a time."""
    daemon = DaemonProcess(tmp_path_factory.mktemp("daemon"), {"RUNS__MAX_RUNNING": 1}).start()
    made = DeployedWorkspace.create(daemon, "trouble")
    made.deploy(
        files_of(WORKSPACES / "trouble"),
        batch_job("trouble", "counts", execute=PLAIN),
        batch_job("trouble", "prints_half_a_line", execute=PLAIN, triggers=["job.fail:jobs.trouble.counts"]),
        batch_job("trouble", "reads_its_environment", execute=PLAIN),
    )
    yield made
    daemon.close()


def _counting(workspace: DeployedWorkspace) -> UUID:
    run_id = workspace.start(COUNTS)
    workspace.wait_for_line(run_id, "counted 200")
    return run_id


@pytest.mark.parametrize("keep", [0.0, 0.4, 1.0], ids=["no log", "a part of the log", "the whole log"])
def test_a_run_that_was_live_has_failed_and_keeps_every_line_that_was_stored_once(
    workspace: DeployedWorkspace, keep: float
) -> None:
    """Design, decision 4; semantics S5, S6, T4."""
    run_id = _counting(workspace)
    stored = workspace.lines(run_id)
    end_everything(workspace.daemon)
    lose_unsynced_files(workspace.daemon.state, keep)

    start_on_the_next_boot(workspace.daemon)

    run = workspace.wait_for_end(run_id)
    assert (run.status, run.exit_code) == ("failed", None)
    assert run.reason == "machine restarted while the job was running"
    lines = workspace.lines(run_id)
    assert lines[: len(stored)] == stored
    assert lines == [f"counted {number}" for number in range(1, len(lines) + 1)]
    followups = [other for other in workspace.daemon.client.runs(workspace.id) if other.prev_run_id == run_id]
    assert [workspace.wait_for_end(other.id).status for other in followups] == ["completed"]


def test_a_run_that_had_not_begun_is_begun_on_the_new_boot_on_a_tree_and_a_network_made_anew(
    workspace: DeployedWorkspace,
) -> None:
    """Semantics D6: of two, one ran and one waited for it."""
    running, waiting = _counting(workspace), workspace.start("jobs.trouble.reads_its_environment")
    state = workspace.daemon.state
    end_everything(workspace.daemon)
    for path in (state / "cache" / "packages").glob("*/*.py"):
        path.write_bytes(b"")  # written, renamed, never synced
    for path in (state / "network").glob("*.json"):
        path.write_bytes(b"")

    start_on_the_next_boot(workspace.daemon)

    assert workspace.wait_for_end(running).reason == "machine restarted while the job was running"
    assert workspace.wait_for_end(waiting).status == "completed"
    (said,) = workspace.lines(waiting)
    assert said.startswith("{")


def test_what_lay_about_is_gone_after_the_next_start(workspace: DeployedWorkspace) -> None:
    """Files of a run that was settled but not yet cleared away, of a network nobody uses, of a half-made upload."""
    state, nobody = workspace.daemon.state, "11111111-1111-4111-8111-111111111111"
    workspace.daemon.kill()
    (state / "runs" / nobody / "workspace").mkdir(parents=True)
    (state / "runs" / nobody / "workspace" / "shop.py").write_text("print()")
    for path in (state / "live" / f"{nobody}.log", state / "network" / f"{nobody}.json", state / "tmp" / "upload"):
        path.write_text("half")

    workspace.daemon.start()

    assert not [path for place in ("runs", "live", "network", "tmp") for path in (state / place).glob(f"{nobody}*")]
    assert not (state / "tmp" / "upload").exists()
    wait_for(lambda: not list((state / "runs").iterdir()), "nothing of the settled runs is left")
    assert not list((state / "live").iterdir())
