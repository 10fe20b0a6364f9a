"""The example `apps`, deployed by the public client: each kind of app used as people use it.

A real browser moves widgets of notebook and Streamlit app and reads what that changed, through both ways of addressing;
programs speak MCP and WebSocket. What the pages looked like is kept where `TESTS_ARTEFACTS` says.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from runtime.wire.admin_client import AdminClient
from runtime.wire.run_details import DetailedRunResponse
from tests.chromium import Chromium, chromium, needs_chromium
from tests.deployed_workspace import DeployedWorkspace
from tests.official_client import PACKAGES, OfficialClient, client_virtualenv, copy_workspace
from tests.our_cli import OurCli, connected_workspace
from tests.processes import REPOSITORY, DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
FRAMEWORKS = ("marimo", "streamlit", "fastmcp", "fastapi", "fastapi-offline", "flask", "uvicorn", "websockets")
TABLES = ("ibis-framework", "pandas", "pyarrow")
LOAD = "jobs.sales_pipeline.load_sales"
NOTEBOOK, STREAMLIT, DASHBOARD = "jobs.sales_notebook", "jobs.sales_dashboard", "jobs.workspace.dashboard"
TOOLS, API, ECHO = "jobs.sales_tools", "jobs.sales_services.sales_api", "jobs.sales_services.echo"
START_SECONDS = 120.0
ARTEFACTS = "TESTS_ARTEFACTS"

EVERYTHING = """(() => {
  const all = (root) => [...root.childNodes].map((node) =>
    node.nodeType === 3 ? node.data :
    ["STYLE", "SCRIPT"].includes(node.tagName) ? "" :
    (node.shadowRoot ? all(node.shadowRoot) : "") + all(node) + " ").join("");
  return document.body ? all(document.body).replace(/\\s+/g, " ") : "";
})()"""
"""All text, that in the shadows of components included."""

SLIDER = """(() => {
  const found = (root) => root.querySelector("[role=slider], input[type=range]") ||
    [...root.querySelectorAll("*")].map((one) => one.shadowRoot && found(one.shadowRoot)).find(Boolean);
  const slider = found(document);
  if (!slider) return null;
  slider.focus();
  return Number(slider.getAttribute("aria-valuenow") ?? slider.value);
})()"""
"""Gives the page's slider the focus, and says where it stands."""

SCHEMA_OPENED = """(() => {
  const found = (root) => [...root.querySelectorAll("*")].flatMap((one) =>
    [...(one.getAttribute("role") === "switch" ? [one] : []), ...(one.shadowRoot ? found(one.shadowRoot) : [])]);
  const section = (one) => {
    for (let node = one; node; node = node.parentNode || node.host)
      if (node.innerText && node.innerText.trim()) return node.innerText;
    return "";
  };
  const opener = found(document).find((one) => section(one).includes("Inspect Schema"));
  if (opener && opener.getAttribute("aria-checked") !== "true") opener.click();
  return Boolean(opener);
})()"""
"""Opens the dashboard's section of schemas unless it is open; sections appear one by one, in any order."""


@dataclass(frozen=True)
class Grocer:
    """The workspace, loaded, with the public client before its directory."""

    workspace: DeployedWorkspace
    official: OfficialClient
    pictures: Path

    @property
    def daemon(self) -> DaemonProcess:
        return self.workspace.daemon

    def serve(self, job_ref: str) -> str:
        """By the public client; the app's address, once it runs."""
        said = self.official("serve", job_ref.removeprefix("jobs."), seconds=START_SECONDS).expect()
        url = self.url(job_ref)
        assert url in said.text
        wait_for(lambda: self.newest(job_ref).status == "running", f"{job_ref} answers", START_SECONDS)
        return url

    def url(self, job_ref: str) -> str:
        url = self.daemon.client.job(self.workspace.id, job_ref).script_url
        assert url
        return url

    def newest(self, job_ref: str) -> DetailedRunResponse:
        job = self.daemon.client.job(self.workspace.id, job_ref)
        return next(iter(self.daemon.client.runs(self.workspace.id, job_id=job.id)))

    @property
    def token(self) -> str:
        return self.official.tokens()[0]

    def keep(self, browser: Chromium, name: str) -> None:
        (self.pictures / f"{name}.png").write_bytes(browser.screenshot())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), {"APPS__LISTEN": "127.0.0.1:0"}).start()
    admin = AdminClient(process.client.connection)
    admin.add_user(EMAIL)
    admin.set_password(EMAIL, PASSWORD)
    yield process
    process.close()


@pytest.fixture(scope="module")
def grocer(daemon: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> Grocer:
    """The example, all of its jobs in one environment; the warehouse is loaded by a batch run."""
    folder = tmp_path_factory.mktemp("person")
    virtualenv = client_virtualenv(tmp_path_factory.mktemp("client"), (*PACKAGES, *FRAMEWORKS, *TABLES))
    directory = copy_workspace(REPOSITORY / "examples" / "apps", folder / "grocer")
    services = directory / "sales_services.py"  # FastAPI's page loads its scripts from elsewhere; these it brings along
    brought = "from fastapi import HTTPException\n    from fastapi_offline import FastAPIOffline as FastAPI"
    services.write_text(services.read_text().replace("from fastapi import FastAPI, HTTPException", brought))
    project = directory / "pyproject.toml"
    wanted = json.dumps(["dlt[workspace,duckdb]==1.26.0", *FRAMEWORKS, *TABLES])
    project.write_text(re.sub(r"(?m)^dependencies = .*$", f"dependencies = {wanted}", project.read_text()))
    official = OfficialClient(virtualenv, folder, directory, daemon)
    official.log_in(EMAIL)
    official("deploy", seconds=180).expect()
    workspace = DeployedWorkspace(daemon, connected_workspace(directory))
    assert workspace.execute(LOAD, seconds=START_SECONDS).status == "completed"
    pictures = Path(os.environ.get(ARTEFACTS) or tmp_path_factory.mktemp("pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    return Grocer(workspace, official, pictures)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with chromium(tmp_path) as opened:
        yield opened


def visit(browser: Chromium, url: str) -> None:
    """Open an app and sign in, as the page asks for it."""
    browser.open(url)
    browser.wait_for_text("Sign in")
    browser.type("#email", EMAIL)
    browser.type("#password", PASSWORD)
    browser.click("button.first")
    browser.wait_for(f"location.href.startsWith({json.dumps(url)})", "the app's address", 60)


def move_slider(browser: Chromium, to: int) -> None:
    """By keys. A page that draws itself anew takes the focus away, so each key asks for it."""
    browser.wait_for(f"{SLIDER} !== null", "there is a slider", 60)
    deadline = time.monotonic() + 60
    while (at := browser.evaluate(SLIDER)) != to:
        assert time.monotonic() < deadline, f"the slider stands at {at}"
        browser.press("ArrowRight" if at < to else "ArrowLeft")


def wait_for_everything(browser: Chromium, text: str) -> None:
    browser.wait_for(f"{EVERYTHING}.includes({json.dumps(text)})", text, 60)


# --- by path


def test_a_run_tells_what_its_pipeline_loaded(grocer: Grocer) -> None:
    """In its details, on the command line, and for the workspace as a whole."""
    run = grocer.newest(LOAD)
    (summary,) = run.pipeline_run_summaries or []
    assert (summary.pipeline_name, summary.dataset_name, summary.destination_name) == ("sales", "sales", "warehouse")
    assert (summary.status, summary.total_rows) == ("succeeded", 116)
    assert summary.rows_by_table == {"daily_sales": 112, "fruits": 4}
    said = OurCli(grocer.daemon.socket_url, grocer.official.home, grocer.official.directory)
    assert "sales: succeeded, 116 rows into sales of warehouse" in said("job-run", "load_sales", "info").expect().text
    answer = api(grocer, f"v1/workspaces/{grocer.workspace.id}/pipelines/sales")
    assert {table["name"] for table in answer["tables"]} == {"daily_sales", "fruits"}
    assert [load["run_id"] for load in answer["loads"]] == [str(run.id)]


@needs_chromium
def test_a_notebook_answers_to_a_widget(grocer: Grocer, browser: Chromium) -> None:
    use_notebook(grocer, browser, "notebook-by-path")


@needs_chromium
def test_a_streamlit_app_answers_to_a_widget(grocer: Grocer, browser: Chromium) -> None:
    use_streamlit(grocer, browser, "streamlit-by-path")


@needs_chromium
def test_the_dashboard_shows_the_pipelines_that_batch_runs_loaded(grocer: Grocer, browser: Chromium) -> None:
    use_dashboard(grocer, browser, "dashboard-by-path")


@needs_chromium
def test_fastapis_documentation_asks_its_operations(grocer: Grocer, browser: Chromium) -> None:
    use_documentation(grocer, browser, "fastapi-by-path")


def test_an_mcp_client_calls_a_tool(grocer: Grocer) -> None:
    url = grocer.serve(TOOLS)

    async def call() -> int:
        transport = StreamableHttpTransport(f"{url}mcp", headers={"Authorization": f"Bearer {grocer.token}"})
        async with Client(transport) as client:
            answer: int = (await client.call_tool("days_sold", {"fruit": "apple"})).data
            return answer

    assert asyncio.run(call()) == 28


def test_a_websocket_repeats_ten_thousand_messages(grocer: Grocer) -> None:
    url = grocer.serve(ECHO).replace("http://", "ws://")

    async def talk() -> list[str]:
        headers = {"Authorization": f"Bearer {grocer.token}"}
        async with websockets.connect(f"{url}echo", additional_headers=headers) as socket:
            sending = asyncio.create_task(_send(socket, 10_000))
            heard = [str(await socket.recv()) for _ in range(10_000)]
            await sending
            return heard

    assert asyncio.run(talk()) == [f"message {number}" for number in range(10_000)]


async def _send(socket: websockets.ClientConnection, count: int) -> None:
    for number in range(count):
        await socket.send(f"message {number}")


def test_the_public_client_publishes_and_takes_back(grocer: Grocer) -> None:
    """Whoever has the link sees the app, until it is revoked."""
    grocer.serve(API)
    name = API.removeprefix("jobs.")
    grocer.official("publish", name).expect()
    public = grocer.daemon.client.job(grocer.workspace.id, API).public_url
    assert public
    assert httpx.get(f"{public}fruits", follow_redirects=True).json() == ["apple", "banana", "cherry", "pear"]
    grocer.official("unpublish", name).expect()
    assert httpx.get(f"{public}fruits", follow_redirects=True).status_code in (403, 404, 410)


# --- by host: the daemon is started again with a domain, so these come last


@pytest.fixture(scope="module")
def with_domain(grocer: Grocer) -> Grocer:
    for run in list(grocer.daemon.client.runs(grocer.workspace.id)):
        if run.status in ("starting", "running"):
            grocer.daemon.client.cancel_run(grocer.workspace.id, run.id)
            grocer.workspace.wait_for_end(run.id)
    grocer.daemon.stop()
    grocer.daemon.settings["APPS__DOMAIN"] = "localhost"
    grocer.daemon.start()
    return grocer


@needs_chromium
def test_a_notebook_has_a_host_of_its_own(with_domain: Grocer, browser: Chromium) -> None:
    use_notebook(with_domain, browser, "notebook-by-host")


@needs_chromium
def test_a_streamlit_app_has_a_host_of_its_own(with_domain: Grocer, browser: Chromium) -> None:
    use_streamlit(with_domain, browser, "streamlit-by-host")


@needs_chromium
def test_the_dashboard_has_a_host_of_its_own(with_domain: Grocer, browser: Chromium) -> None:
    use_dashboard(with_domain, browser, "dashboard-by-host")


@needs_chromium
def test_fastapis_documentation_has_a_host_of_its_own(with_domain: Grocer, browser: Chromium) -> None:
    use_documentation(with_domain, browser, "fastapi-by-host")


def use_documentation(grocer: Grocer, browser: Chromium, picture: str) -> None:
    """The page shows the operations, and one that is tried out there is asked at the app's own address."""
    url = grocer.serve(API)
    visit(browser, url)
    browser.open(f"{url}docs#/default/fruits_fruits_get")
    browser.wait_for("""document.querySelector('[data-path="/sold/{fruit}"]')""" + " !== null", "the operations", 60)
    browser.wait_for(pressed(".try-out__btn"), "the operation is unfolded")
    browser.wait_for(pressed(".execute"), "it can be tried out")
    browser.wait_for("document.querySelector('.live-responses-table')?.innerText.includes('banana')", "its answer")
    assert browser.evaluate("document.querySelector('.request-url pre').innerText") == f"{url}fruits"
    grocer.keep(browser, picture)


def pressed(selector: str) -> str:
    """Presses a button that leads to no other page, as soon as there is one."""
    return f"((button) => {{ button?.click(); return Boolean(button); }})(document.querySelector('{selector}'))"


def use_notebook(grocer: Grocer, browser: Chromium, picture: str) -> None:
    visit(browser, grocer.serve(NOTEBOOK))
    wait_for_everything(browser, "On 15 days at least 20 of apple were sold.")
    move_slider(browser, 25)
    wait_for_everything(browser, "at least 25 of apple were sold.")
    grocer.keep(browser, picture)


def use_streamlit(grocer: Grocer, browser: Chromium, picture: str) -> None:
    visit(browser, grocer.serve(STREAMLIT))
    wait_for_everything(browser, "at least 20 of apple were sold.")
    move_slider(browser, 25)
    wait_for_everything(browser, "at least 25 of apple were sold.")
    grocer.keep(browser, picture)


def use_dashboard(grocer: Grocer, browser: Chromium, picture: str) -> None:
    visit(browser, f"{grocer.serve(DASHBOARD)}?pipeline=sales")
    (summary,) = grocer.newest(LOAD).pipeline_run_summaries or []
    assert summary.transaction_id
    wait_for_everything(browser, "Pipeline sales")
    wait_for_everything(browser, f"Last execution ID: {summary.transaction_id[:8]}")
    browser.wait_for(f"{SCHEMA_OPENED} && {EVERYTHING}.includes('daily_sales')", "the schema's tables", 60)
    grocer.keep(browser, picture)


def asked(grocer: Grocer, url: str) -> httpx.Response:
    """As a program with the person's token."""
    return httpx.get(url, headers={"Authorization": f"Bearer {grocer.token}"}).raise_for_status()


def api(grocer: Grocer, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = asked(grocer, f"{grocer.daemon.url}/api/api/{path}").json()
    return answer
