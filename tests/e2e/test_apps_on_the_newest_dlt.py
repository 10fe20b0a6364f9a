"""Apps of a workspace on the newest line of dlt: of each sort of launcher one, in one environment (semantics J5, S4).

Every kind there is runs on the older line, in `tests/e2e/test_apps_in_the_browser.py`.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.conformance.lines import LINES
from tests.deployed_workspace import DeployedWorkspace
from tests.official_client import client_virtualenv, copy_workspace
from tests.our_cli import OurCli, connected_workspace
from tests.processes import REPOSITORY, DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

NEWEST = LINES[-1]
START_SECONDS = 120.0
LOAD, NOTEBOOK, TOOLS = "jobs.sales_pipeline.load_sales", "jobs.sales_notebook", "jobs.sales_tools"
SITE, DASHBOARD = "jobs.sales_services.sales_site", "jobs.workspace.dashboard"

DESCRIBED = (f"dlt[workspace,duckdb]=={NEWEST.dlt}", "fastmcp", "marimo")
NEEDED = (*DESCRIBED, "flask", "ibis-framework", "pyarrow")
"""Of every job, so that one environment does for all."""

DEPLOYMENT = """
import sales_notebook
import sales_tools
from sales_pipeline import load_sales
from sales_services import sales_site

__all__ = ["load_sales", "sales_notebook", "sales_tools", "sales_site"]
"""


@dataclass(frozen=True)
class Shop:
    """The workspace, with a person's token."""

    workspace: DeployedWorkspace
    runs: dict[str, UUID]
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def url(self, job_ref: str) -> str:
        """The app's address, once it answers."""
        run_id = self.runs[job_ref]
        wait_for(lambda: self.workspace.run(run_id).status == "running", f"{job_ref} answers", START_SECONDS)
        url = self.workspace.daemon.client.job(self.workspace.id, job_ref).script_url
        assert url
        return url

    def page(self, job_ref: str, path: str = "") -> str:
        return httpx.get(f"{self.url(job_ref)}{path}", headers=self.headers).raise_for_status().text


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), {"APPS__LISTEN": "127.0.0.1:0"}).start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def shop(daemon: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A part of the example `apps`, loaded by a batch run; its apps are starting."""
    folder = tmp_path_factory.mktemp("person")
    directory = copy_workspace(REPOSITORY / "examples" / "apps", folder / "grocer")
    (directory / "__deployment__.py").write_text(f'"""A grocer"""\n{DEPLOYMENT}')
    project = directory / "pyproject.toml"
    wanted = f"dependencies = {json.dumps(NEEDED)}"
    text = project.read_text().partition("[dependency-groups]")[0]
    groups = '[dependency-groups]\nnotebook = ["marimo"]\nmcp = ["fastmcp"]\nweb = ["flask"]\n'
    project.write_text(re.sub(r"(?m)^dependencies = .*$", wanted, text) + groups)
    virtualenv = client_virtualenv(tmp_path_factory.mktemp("client"), DESCRIBED)
    OurCli(daemon.socket_url, folder, directory, virtualenv)("deploy", seconds=180).expect()
    workspace = DeployedWorkspace(daemon, connected_workspace(directory))
    assert workspace.execute(LOAD, seconds=START_SECONDS).status == "completed"
    return Shop(
        workspace, {ref: workspace.start(ref) for ref in (NOTEBOOK, TOOLS, SITE, DASHBOARD)}, workspace.viewer_token()
    )


def test_the_workspace_is_of_that_line(shop: Shop) -> None:
    job = shop.workspace.daemon.client.job(shop.workspace.id, NOTEBOOK)
    assert job.job_definition_engine_version == NEWEST.manifest_engine


def test_a_notebook_is_shown(shop: Shop) -> None:
    shown = shop.page(NOTEBOOK)
    assert "<title>Sales notebook</title>" in shown
    assert '"mode": "read"' in shown


def test_an_mcp_server_answers_of_what_batch_runs_loaded(shop: Shop) -> None:
    async def call() -> int:
        async with Client(StreamableHttpTransport(f"{shop.url(TOOLS)}mcp", headers=shop.headers)) as client:
            answer: int = (await client.call_tool("days_sold", {"fruit": "apple"})).data
            return answer

    assert asyncio.run(call()) == 28


def test_a_wsgi_application_is_served_below_its_prefix(shop: Shop) -> None:
    path = httpx.URL(shop.url(SITE)).path
    assert f'href="{path}fruits/apple"' in shop.page(SITE)
    assert re.search(r"\d+ pieces", shop.page(SITE, "fruits/apple"))


def test_the_dashboard_is_shown(shop: Shop) -> None:
    assert '"mode": "read"' in shop.page(DASHBOARD)


def test_a_run_tells_what_its_pipeline_loaded(shop: Shop) -> None:
    job = shop.workspace.daemon.client.job(shop.workspace.id, LOAD)
    (run,) = shop.workspace.daemon.client.runs(shop.workspace.id, job_id=job.id)
    (summary,) = run.pipeline_run_summaries or []
    assert (summary.pipeline_name, summary.status, summary.total_rows) == ("sales", "succeeded", 116)
    assert summary.rows_by_table == {"daily_sales": 112, "fruits": 4}


def test_the_daemon_has_logged_no_error_through_all_of_this(shop: Shop, daemon: DaemonProcess) -> None:
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []
