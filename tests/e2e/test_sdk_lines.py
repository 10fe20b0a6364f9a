"""One workspace on each line of dlt, deployed and run through our command line (semantics J5)."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.wire.run_details import DetailedRunResponse
from tests.conformance.lines import LINES, Line
from tests.conformance.matrix import Results
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace
from tests.official_client import client_virtualenv, copy_workspace
from tests.our_cli import OurCli, connected_workspace
from tests.processes import DaemonProcess, Ended, needs_jobs, wait_for

pytestmark = needs_jobs

LOAD, GAUGE, CHART = (f"jobs.tides.{name}" for name in ("load_tides", "gauge", "chart"))
WINDOWS = 3


@dataclass(frozen=True)
class Shore:
    """A workspace of one line, deployed once; its windows began some full days ago."""

    line: Line
    cli: OurCli
    workspace: DeployedWorkspace
    since: datetime
    results: Results

    @contextmanager
    def trying(self, feature: str) -> Iterator[None]:
        """What is tried in here works unless it raises."""
        self.results.features[self.line.dlt, feature] = False
        yield
        self.results.features[self.line.dlt, feature] = True

    def runs(self, job_ref: str) -> list[DetailedRunResponse]:
        """Of a job, oldest first; without skips."""
        client = self.workspace.daemon.client
        found = client.runs(self.workspace.id, job_id=client.job(self.workspace.id, job_ref).id)
        return sorted((run for run in found if run.status != "skipped"), key=lambda run: run.number)

    def launch(self, name: str) -> Ended:
        return self.cli("launch", name, "-f", seconds=180).expect()

    def stored(self, column: str, table: str) -> Any:
        """A JSON document of this workspace, as it is in the daemon's database."""
        database = sqlite3.connect(f"file:{self.workspace.daemon.state}/runtime.db?mode=ro", uri=True)
        (found,) = database.execute(
            f"SELECT {column} FROM {table} WHERE workspace_id = ?", (self.workspace.id.bytes,)
        ).fetchone()
        database.close()
        return json.loads(found)


@pytest.fixture(scope="module", params=LINES, ids=lambda line: f"dlt-{line.dlt}")
def shore(
    request: pytest.FixtureRequest,
    daemon: DaemonProcess,
    compatibility: Results,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shore:
    line: Line = request.param
    folder = tmp_path_factory.mktemp("person")
    directory = copy_workspace(WORKSPACES / "tides", folder / f"tides-{line.manifest_engine}")
    since = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=WINDOWS)
    _replace(directory / "tides.py", r'(?m)^SINCE = ".*"$', f'SINCE = "{since.isoformat()}"')
    _replace(directory / "pyproject.toml", re.escape("dlt[duckdb]"), f"dlt[duckdb]=={line.dlt}")
    virtualenv = client_virtualenv(folder, line.packages)
    cli = OurCli(daemon.socket_url, folder, directory, virtualenv)
    cli("deploy").expect()
    return Shore(line, cli, DeployedWorkspace(daemon, connected_workspace(directory)), since, compatibility)


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text())
    assert count == 1
    path.write_text(changed)


def test_a_deploy_adds_the_jobs_and_another_one_finds_nothing_to_do(shore: Shore) -> None:
    """Semantics J2 and J3."""
    with shore.trying("deploy"):
        jobs = {job.job_ref for job in shore.workspace.daemon.client.jobs(shore.workspace.id)}
        assert {LOAD, GAUGE, CHART} <= jobs
        again = json.loads(shore.cli("deploy", "--json").expect().out)
        assert (again["added"], again["updated"], again["archived"]) == ([], [], [])
        assert again["deployment"]["status"] == "unchanged"


def test_manifest_and_requirements_are_of_the_engines_that_this_line_writes(shore: Shore) -> None:
    """Semantics J5: what the daemon does not read, it keeps and shows."""
    with shore.trying("engines"):
        job = shore.workspace.daemon.client.job(shore.workspace.id, LOAD)
        assert job.job_definition_engine_version == shore.line.manifest_engine
        definition = job.job_definition
        words = (
            {"incremental_mode": "interval"} if shore.line.manifest_engine == 2 else {"allow_external_schedulers": True}
        )
        assert {name: definition.get(name) for name in words} == words
        assert shore.stored("requirements", "deployments")["engine_version"] == shore.line.requirements_engine


def test_a_run_has_the_dlt_that_the_workspace_asks_for(shore: Shore) -> None:
    """Semantics J7."""
    with shore.trying("environment"):
        assert f"measured with dlt {shore.line.dlt}" in shore.launch("gauge").out


def test_every_success_is_a_refresh_downstream(shore: Shore) -> None:
    """Semantics R1, R2 and F1: `refresh_propagation`, which engine 1 calls `refresh`."""
    with shore.trying("refresh"):
        shore.launch("gauge")
        assert "drawn, refresh True" in shore.launch("chart").out
        assert "drawn, refresh False" in shore.launch("chart").out
        shore.launch("gauge")
        assert "drawn, refresh True" in shore.launch("chart").out


def test_each_window_loads_its_own_rows_until_none_is_left(shore: Shore) -> None:
    """Semantics W3: `incremental_mode`, which engine 1 calls `allow_external_schedulers`."""
    with shore.trying("windows"):
        shore.launch("load_tides")

        def all_done() -> list[DetailedRunResponse] | None:
            runs = shore.runs(LOAD)
            return runs if [run.status for run in runs] == ["completed"] * WINDOWS else None

        runs = wait_for(all_done, "every window is loaded", 120)
        day = timedelta(days=1)
        wanted = [(shore.since + number * day, shore.since + (number + 1) * day) for number in range(WINDOWS)]
        assert sorted((run.interval_start, run.interval_end) for run in runs) == wanted
        assert f"days loaded {list(range(WINDOWS))}" in shore.workspace.lines(runs[-1].id)


def test_a_script_is_launched_ad_hoc(shore: Shore) -> None:
    """Semantics J3."""
    with shore.trying("launch"):
        (shore.cli.directory / "moon.py").write_text('import dlt\nprint("the moon pulls", dlt.__version__)\n')
        assert f"the moon pulls {shore.line.dlt}" in shore.launch("moon.py").out


def test_the_daemon_has_logged_no_error_through_all_of_this(shore: Shore, daemon: DaemonProcess) -> None:
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []
