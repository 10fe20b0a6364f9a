"""The public client, unmodified, takes a workspace from login to a loaded warehouse (contract 0.26.1)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from runtime.wire.admin_client import AdminClient
from runtime.wire.run_details import DetailedRunResponse
from tests.deployed_workspace import DeployedWorkspace
from tests.official_client import OfficialClient, copy_workspace
from tests.our_cli import OurCli, connected_workspace
from tests.processes import REPOSITORY, DaemonProcess, Ended, needs_jobs, wait_for

pytestmark = needs_jobs

EMAIL = "ada@example.org"
LOAD, CHECK, SCRIPT = "jobs.fruitshop_pipeline.load_shop", "jobs.fruitshop_quality.check_quality", "jobs.shop_script"


@pytest.fixture(scope="module")
def client(daemon: DaemonProcess, virtualenv: Path, tmp_path_factory: pytest.TempPathFactory) -> OfficialClient:
    """A person who has not logged in, before a copy of the example."""
    folder = tmp_path_factory.mktemp("person")
    directory = copy_workspace(REPOSITORY / "examples" / "fruitshop", folder / "fruitshop")
    (folder / ".dlt").mkdir()
    return OfficialClient(virtualenv, folder, directory, daemon)


@pytest.fixture(scope="module")
def login(client: OfficialClient, daemon: DaemonProcess) -> tuple[Ended, Ended]:
    """What the two commands of a login without a terminal said."""
    AdminClient(daemon.client.connection).add_user(EMAIL)
    begun = client("login").expect()
    (code,) = re.findall(r"\b[A-Z]{4}-[0-9]{4}\b", begun.text)
    (device_code,) = re.findall(r"--resume (\S+)", begun.text)
    OurCli(daemon.socket_url, client.home, client.home)("auth", "approve", code).expect()
    return begun, client("login", "--resume", device_code).expect()


@pytest.fixture(scope="module")
def workspace(client: OfficialClient, daemon: DaemonProcess, login: object) -> DeployedWorkspace:
    """The workspace that the login has connected the directory to."""
    return DeployedWorkspace(daemon, connected_workspace(client.directory))


@pytest.fixture(scope="module")
def dry_run(client: OfficialClient, workspace: DeployedWorkspace) -> tuple[Ended, int]:
    """A dry run before anything was deployed: what it said, and how many jobs there were afterwards."""
    said = client("deploy", "--dry-run").expect()
    return said, len(list(workspace.daemon.client.jobs(workspace.id, archived="all")))


@pytest.fixture(scope="module")
def deploy(client: OfficialClient, dry_run: object) -> Ended:
    """The first deploy."""
    return client("deploy").expect()


@pytest.fixture(scope="module")
def launch(client: OfficialClient, deploy: object) -> Ended:
    """`launch load_shop -f`, all it showed."""
    return client("launch", "load_shop", "-f", seconds=180).expect()


@pytest.fixture(scope="module")
def followup(workspace: DeployedWorkspace, launch: object) -> DetailedRunResponse:
    """The run that the end of the first one started, once it has ended."""
    run = wait_for(lambda: next(runs_of(workspace, CHECK), None), "the followup is there")
    return workspace.wait_for_end(run.id)


def runs_of(workspace: DeployedWorkspace, job_ref: str) -> Iterator[DetailedRunResponse]:
    """The job's runs, newest first."""
    job = workspace.daemon.client.job(workspace.id, job_ref)
    return workspace.daemon.client.runs(workspace.id, job_id=job.id)


def rows(ended: Ended, *words: str) -> list[str]:
    """The lines that hold all these words."""
    return [line for line in ended.out.splitlines() if all(word in line for word in words)]


def test_login_shows_where_and_how_to_have_it_approved_and_goes_on_once_it_is(
    login: tuple[Ended, Ended], client: OfficialClient, daemon: DaemonProcess
) -> None:
    begun, resumed = login
    assert f"{daemon.url}/" in begun.text
    assert EMAIL in resumed.text
    assert all(client.tokens())


def test_the_page_that_a_login_points_to_says_how_to_approve_it(
    login: tuple[Ended, Ended], daemon: DaemonProcess
) -> None:
    (page,) = re.findall(rf"{re.escape(daemon.url)}(/\S+)", login[0].text)
    answer = httpx.get(f"{daemon.url}{page}", follow_redirects=True)
    assert answer.status_code == 200
    assert "auth approve" in answer.text


def test_a_dry_run_says_what_would_be_added_and_changes_nothing(dry_run: tuple[Ended, int]) -> None:
    """Semantics J3."""
    said, jobs_afterwards = dry_run
    assert rows(said, "load_shop") or rows(said, "Load the fruit shop")
    assert jobs_afterwards == 0


def test_a_deploy_adds_the_jobs(deploy: Ended, workspace: DeployedWorkspace) -> None:
    """Semantics J3; the SDK adds its dashboard to what the workspace declares."""
    assert "3 added, 0 updated, 0 archived" in deploy.text
    jobs = {job.job_ref: job for job in workspace.daemon.client.jobs(workspace.id)}
    assert {LOAD, CHECK} <= set(jobs)
    assert jobs[LOAD].pipeline_name == "fruitshop"
    assert "pipeline_name:fruitshop" in (jobs[LOAD].triggers or [])


def test_deploying_again_finds_no_changes(client: OfficialClient, launch: Ended, workspace: DeployedWorkspace) -> None:
    """Semantics J2: both sides compute the same content hash."""
    again = client("deploy").expect()
    assert "0 added, 0 updated, 0 archived" in again.text
    assert [one.version for one in workspace.daemon.client.deployments(workspace.id)] == [1]
    assert [one.version for one in workspace.daemon.client.configurations(workspace.id)] == [1]


def test_show_manifest_prints_the_jobs_as_yaml_and_deploys_none(
    client: OfficialClient, launch: Ended, workspace: DeployedWorkspace
) -> None:
    shown = client("deploy", "--show-manifest").expect()
    manifest = yaml.safe_load(shown.out[shown.out.index("engine_version:") :])
    assert {LOAD, CHECK} <= {job["job_ref"] for job in manifest["jobs"]}
    assert all(job.version == 1 for job in workspace.daemon.client.jobs(workspace.id))


def test_launch_follows_the_log_to_the_end_and_the_run_completes(launch: Ended, workspace: DeployedWorkspace) -> None:
    """Contract 3.10: this client polls until it has seen `starting`."""
    assert "Run status: starting" in launch.out
    assert rows(launch, "[setup]")
    assert rows(launch, "[program]", "loading 3 tables into warehouse.fruitshop_data")
    assert rows(launch, "[program]", "purchases: 500 rows")
    assert rows(launch, "[program]", "the shop is loaded")
    first = list(runs_of(workspace, LOAD))[-1]
    assert (first.status, first.exit_code, first.profile) == ("completed", 0, "prod")


def test_what_a_job_has_loaded_stays_for_the_jobs_after_it(
    followup: DetailedRunResponse, workspace: DeployedWorkspace
) -> None:
    assert (workspace.local_files / "warehouse.duckdb").exists()
    assert "purchases: 500 rows, at least 500 wanted" in workspace.lines(followup.id)


def test_the_success_of_a_job_starts_the_job_that_waits_for_it(
    followup: DetailedRunResponse, workspace: DeployedWorkspace
) -> None:
    """Semantics T4."""
    first = list(runs_of(workspace, LOAD))[-1]
    assert followup.status == "completed"
    assert followup.trigger == f"job.success:{LOAD}"
    assert followup.prev_run_id == first.id


def test_launching_a_script_deploys_and_runs_it_ad_hoc_and_archives_nothing(
    client: OfficialClient, followup: DetailedRunResponse, workspace: DeployedWorkspace
) -> None:
    """Semantics J3."""
    launched = client("launch", "shop_script.py", "-f").expect()
    assert rows(launched, "[program]", "12 fruits, the dearest are")
    assert rows(launched, "[program]", "melon 3.20")
    jobs = {job.job_ref: job for job in workspace.daemon.client.jobs(workspace.id, archived="all")}
    assert {LOAD, CHECK, SCRIPT} <= set(jobs)
    assert not any(job.archived for job in jobs.values())


def test_a_trigger_starts_what_its_selector_matches_and_a_dry_run_only_names_it(
    client: OfficialClient, followup: DetailedRunResponse, workspace: DeployedWorkspace
) -> None:
    """Semantics T5."""
    before = len(list(runs_of(workspace, CHECK)))
    planned = client("trigger", "tag:quality", "--dry-run").expect()
    assert rows(planned, CHECK, "tag:quality")
    assert len(list(runs_of(workspace, CHECK))) == before

    triggered = client("trigger", "tag:quality").expect()

    assert "1 job(s) triggered, 0 skipped" in triggered.out
    newest = next(runs_of(workspace, CHECK))
    assert newest.trigger == "tag:quality"
    assert workspace.wait_for_end(newest.id).status == "completed"


def test_logs_shows_the_newest_run_or_the_one_with_a_number(
    client: OfficialClient, followup: DetailedRunResponse
) -> None:
    assert rows(client("logs", "load_shop").expect(), "[program]", "the shop is loaded")
    assert rows(client("logs", "load_shop", "1").expect(), "Run # 1 of job Load the fruit shop")
    client("logs", "load_shop", "99").expect(255)


def test_jobs_and_runs_are_listed_and_shown(client: OfficialClient, followup: DetailedRunResponse) -> None:
    jobs = client("job", "list").expect()
    assert rows(jobs, "Load the fruit shop (fruitshop)", "fruitshop_pipeline::load_shop", "batch")
    assert rows(jobs, "Check the fruit shop", f"job.success:{LOAD}")
    assert rows(client("job", "load_shop", "info").expect(), "fruitshop_pipeline::load_shop")
    runs = client("job-run", "list").expect()
    assert rows(runs, "Load the fruit shop (fruitshop)", "completed", "prod")
    assert rows(client("job-run", "load_shop", "1", "info").expect(), "Load the fruit shop", "completed")


def test_info_shows_person_workspace_versions_and_the_newest_run(
    client: OfficialClient, followup: DetailedRunResponse, workspace: DeployedWorkspace
) -> None:
    info = client("info").expect()
    for text in (EMAIL, str(workspace.id), "Latest job run:", "Current deployment version: 1", "Unchanged jobs:"):
        assert text in info.out


def test_code_and_configuration_versions_are_listed(client: OfficialClient, launch: Ended) -> None:
    assert rows(client("deployment", "info").expect(), "1", "7")
    assert rows(client("configuration", "list").expect(), "access,dev,prod")


def test_a_job_nobody_knows_is_an_error_that_says_so(client: OfficialClient, launch: Ended) -> None:
    assert "no job `nosuch`" in client("job", "nosuch", "info").expect(255).text


def test_changed_code_is_a_new_version_and_a_job_no_longer_declared_is_archived(
    daemon: DaemonProcess, client: OfficialClient, tmp_path: Path, launch: Ended
) -> None:
    """Semantics J2 and J3; in a workspace of its own, by a directory that was never connected."""
    client = replace(client, directory=copy_workspace(REPOSITORY / "examples" / "fruitshop", tmp_path / "changing"))
    client("login", "--workspace", "changing").expect()
    client("deploy").expect()
    workspace = DeployedWorkspace(daemon, connected_workspace(client.directory))
    module = client.directory / "__deployment__.py"
    module.write_text(module.read_text().replace('"load_shop", "check_quality"', '"load_shop"'))

    changed = client("deploy").expect()

    assert "0 added, 0 updated, 1 archived" in changed.text
    assert [one.version for one in daemon.client.deployments(workspace.id)] == [2, 1]
    assert [one.version for one in daemon.client.configurations(workspace.id)] == [1]
    archived = {job.job_ref for job in daemon.client.jobs(workspace.id, archived="true")}
    assert archived == {CHECK}


def test_the_daemon_has_logged_no_error_through_all_of_this(daemon: DaemonProcess) -> None:
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []
