"""The example `earthquakes` on the real clock: deployed by our command line, triggered by both clients.

One life of one workspace, told in the order of the fixtures: before the first tick, the drill, the first tick, a
refresh, and a tick that passes while no daemon is there. What has to happen at full minutes is waited for.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.wire.admin_client import AdminClient
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES
from tests.deployed_workspace import DeployedWorkspace
from tests.official_client import OfficialClient, copy_workspace
from tests.our_cli import OurCli, connected_workspace
from tests.processes import REPOSITORY, DaemonProcess, Ended, needs_jobs, wait_for

pytestmark = needs_jobs

EMAIL = "ada@example.org"
BACKFILL, INGEST = "jobs.earthquakes_pipeline.backfill", "jobs.earthquakes_pipeline.ingest"
STRONGEST, BY_REGION = "jobs.earthquakes_transforms.strongest", "jobs.earthquakes_transforms.by_region"
CLOCK, DRILL, ALERT = (f"jobs.earthquakes_watch.{name}" for name in ("clock", "alarm_drill", "alert"))
MINUTE = timedelta(minutes=1)
WITHIN_A_TICK = 100.0
"""Seconds: what waits for a tick may wait for a whole minute, and then its job runs."""

Run = DetailedRunResponse


def full_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


@dataclass(frozen=True)
class Observatory:
    """The workspace, with both clients before the same directory; `since` is where its interval begins."""

    workspace: DeployedWorkspace
    cli: OurCli
    official: OfficialClient
    since: datetime

    def runs(self, job_ref: str) -> list[Run]:
        """What has run or runs, oldest first; without skips."""
        client = self.workspace.daemon.client
        job = client.job(self.workspace.id, job_ref)
        found = client.runs(self.workspace.id, job_id=job.id)
        return sorted((run for run in found if run.status != "skipped"), key=lambda run: run.number)

    def ended(self, job_ref: str, is_meant: Callable[[Run], bool] = lambda run: True) -> Run:
        """The job's first run of that kind, once it is there and over."""

        def look() -> Run | None:
            return next((run for run in self.runs(job_ref) if is_meant(run) and run.status in FINAL_RUN_STATUSES), None)

        return wait_for(look, f"a run of {job_ref} ends", WITHIN_A_TICK)

    def is_refresh(self, run: Run) -> bool:
        """Whether `run_context["refresh"]` was true inside the job, by what it has printed."""
        (said,) = [match[1] for line in self.workspace.lines(run.id) if (match := re.search(r"refresh (\w+)$", line))]
        return said == "True"


@pytest.fixture(scope="module")
def observatory(daemon: DaemonProcess, virtualenv: Path, tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """The example, its interval ten minutes old, deployed once."""
    folder = tmp_path_factory.mktemp("person")
    directory = copy_workspace(REPOSITORY / "examples" / "earthquakes", folder / "earthquakes")
    since = full_minute(datetime.now(UTC)) - 10 * MINUTE
    pipeline = directory / "earthquakes_pipeline.py"
    code, changes = re.subn(r"(?m)^SINCE = .*$", f'SINCE = "{since.isoformat()}"', pipeline.read_text())
    assert changes == 1
    pipeline.write_text(code)
    cli = OurCli(daemon.socket_url, folder, directory, virtualenv)
    cli("deploy").expect()
    admin = AdminClient(daemon.client.connection)
    admin.add_user(EMAIL)
    official = OfficialClient(virtualenv, folder, directory, daemon)
    official.write_tokens(admin.create_token(EMAIL, "earthquakes", 1).token, "")
    workspace = DeployedWorkspace(daemon, connected_workspace(directory))
    return Observatory(workspace, cli, official, since)


@pytest.fixture(scope="module")
def too_early(observatory: Observatory) -> tuple[Ended, Ended]:
    """What both clients said to a start of the gated transforms before anything was loaded: ours, the public one."""
    ours = observatory.cli("trigger", "tag:transform")
    return ours, observatory.official("trigger", "tag:transform")


@pytest.fixture(scope="module")
def drill(observatory: Observatory, too_early: object) -> tuple[Run, Run]:
    """A run that failed, started by the public client, and the one that this has started."""
    observatory.official("trigger", "tag:drill").expect()
    return observatory.ended(DRILL), observatory.ended(ALERT)


@pytest.fixture(scope="module")
def first_tick(observatory: Observatory, drill: object) -> dict[str, Run]:
    """What the first tick has led to, by job."""
    return {ref: observatory.ended(ref) for ref in (CLOCK, INGEST, STRONGEST, BY_REGION)}


@pytest.fixture(scope="module")
def refreshed(observatory: Observatory, first_tick: dict[str, Run]) -> dict[str, Run]:
    """What a backfill, started by our command line, has led to: the first run of each job downstream of it."""
    observatory.cli("trigger", "tag:backfill").expect()
    backfill = observatory.ended(BACKFILL)
    assert backfill.time_ended is not None

    def is_after(run: Run) -> bool:
        return run.date_added >= backfill.time_ended  # type: ignore[operator]

    return {
        BACKFILL: backfill,
        INGEST: observatory.ended(INGEST, is_after),
        STRONGEST: observatory.ended(STRONGEST, is_after),
    }


@pytest.fixture(scope="module")
def caught_up(observatory: Observatory, refreshed: object) -> tuple[datetime, datetime]:
    """When the daemon went and when it came back, a tick later; the runs of that tick are over."""
    daemon = observatory.workspace.daemon
    daemon.stop()
    gone = datetime.now(UTC)
    wait_for(lambda: datetime.now(UTC) > full_minute(gone) + MINUTE, "a tick passes", 61)
    back = datetime.now(UTC)
    daemon.start()
    for ref in (CLOCK, INGEST):
        observatory.ended(ref, lambda run: run.date_added >= back)
    return gone, back


def test_a_gated_job_is_skipped_with_words_while_its_upstream_has_not_completed(too_early: tuple[Ended, Ended]) -> None:
    """Semantics D3 and F1."""
    ours, official = too_early
    assert f"waiting for {INGEST}: no completed run yet" in ours.text
    assert "0 job(s) triggered, 2 skipped" in official.text


def test_the_alert_runs_after_the_failed_job_and_knows_which_run_that_was(
    observatory: Observatory, drill: tuple[Run, Run]
) -> None:
    """Semantics T4 and S6."""
    failed, alert = drill
    assert (failed.status, failed.trigger) == ("failed", "tag:drill")
    assert "this is an exercise" in (failed.reason or "")
    assert (alert.status, alert.trigger, alert.prev_run_id) == ("completed", f"job.fail:{DRILL}", failed.id)
    assert f"ALERT: job.fail:{DRILL}" in observatory.workspace.lines(alert.id)


def test_a_minute_tick_starts_the_clock(observatory: Observatory, first_tick: dict[str, Run]) -> None:
    """Semantics T1 and W1."""
    run = first_tick[CLOCK]
    assert (run.status, run.trigger) == ("completed", "schedule:* * * * *")
    assert run.interval_end == full_minute(run.date_added)
    assert run.date_added - run.interval_end < timedelta(seconds=1)
    *_, said = observatory.workspace.lines(run.id)  # newer versions of dlt warn about a keyword before
    assert said.endswith(f"the minute from {run.interval_end - MINUTE:%H:%M} has passed")


def test_the_first_window_reaches_back_to_the_start_of_the_interval(
    observatory: Observatory, first_tick: dict[str, Run]
) -> None:
    """Semantics W2; the example has an earthquake for every minute."""
    run = first_tick[INGEST]
    assert run.interval_start == observatory.since
    assert run.interval_end == full_minute(run.date_added)
    minutes = (run.interval_end - run.interval_start) // MINUTE
    assert f"{minutes} earthquakes" in observatory.workspace.lines(run.id)


def test_gated_jobs_run_once_what_they_wait_for_has_completed(first_tick: dict[str, Run]) -> None:
    """Semantics D3: one is started by its upstream's success, the other was triggered by the same tick."""
    loaded = first_tick[INGEST].time_ended
    assert loaded is not None
    for ref, trigger in ((STRONGEST, f"job.success:{INGEST}"), (BY_REGION, "schedule:* * * * *")):
        run = first_tick[ref]
        assert (run.status, run.trigger) == ("completed", trigger)
        assert run.time_started is not None
        assert run.time_started >= loaded


def test_a_backfill_makes_everything_downstream_begin_anew(
    observatory: Observatory, first_tick: dict[str, Run], refreshed: dict[str, Run]
) -> None:
    """Semantics R1: the pointer is back, the jobs know it, and a load is as large as all loads before together."""
    assert refreshed[BACKFILL].trigger == "tag:backfill"
    assert {run.status for run in refreshed.values()} == {"completed"}
    again = refreshed[INGEST]
    assert (again.interval_start, again.prev_run_id) == (observatory.since, refreshed[BACKFILL].id)
    assert observatory.is_refresh(again)
    assert observatory.is_refresh(refreshed[STRONGEST])
    assert not any(observatory.is_refresh(first_tick[ref]) for ref in (INGEST, STRONGEST, BY_REGION))


def test_a_daemon_that_was_gone_over_a_tick_catches_up_with_one_run(
    observatory: Observatory, caught_up: tuple[datetime, datetime]
) -> None:
    """Semantics W5."""
    gone, back = caught_up
    for ref in (CLOCK, INGEST):
        before = [run for run in observatory.runs(ref) if run.date_added <= gone][-1]
        missed = [run for run in observatory.runs(ref) if full_minute(run.date_added) == full_minute(back)]
        assert [(run.status, run.interval_end) for run in missed] == [("completed", full_minute(back))]
        assert missed[0].interval_start == before.interval_end


def test_windows_follow_one_another_without_gap_or_overlap(
    observatory: Observatory, caught_up: object, refreshed: dict[str, Run]
) -> None:
    """Semantics W2; a refresh begins them anew, and spends itself (R2)."""
    runs = [run for run in observatory.runs(INGEST) if run.status == "completed"]
    begins_anew = refreshed[INGEST].id
    assert len(runs) >= 3
    for run, following in itertools.pairwise(runs):
        expected = observatory.since if following.id == begins_anew else run.interval_end
        assert following.interval_start == expected
        assert observatory.is_refresh(following) == (following.id == begins_anew)


def test_the_daemon_has_logged_no_error_through_all_of_this(daemon: DaemonProcess, caught_up: object) -> None:
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []
