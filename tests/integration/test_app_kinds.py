"""Every kind of interactive job really run: the example workspace, job by job, in its sandbox.

The environment has everything at once, so that it is built once; which groups a job gets is tested elsewhere.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StreamableHttpTransport

from tests.example_apps import ExampleApps, example_manifest, reports
from tests.job_machine import JobMachine
from tests.official_client import client_virtualenv

pytest_plugins = ("tests.job_fixtures",)

PREFIX = "/apps/sales-0a1b2c3d"
PACKAGES = (
    "dlt[workspace,duckdb]==1.26.0",
    "fastapi",
    "fastmcp",
    "flask",
    "ibis-framework",
    "marimo",
    "pandas",
    "pyarrow",
    "streamlit",
    "uvicorn",
    "waitress",
    "websockets",
)


@pytest.fixture(scope="module")
def apps_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with every framework."""
    return client_virtualenv(tmp_path_factory.mktemp("environments"), PACKAGES)


@pytest.fixture(scope="module")
def manifest(apps_venv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The example's, as the SDK writes it."""
    return example_manifest(apps_venv, tmp_path_factory.mktemp("manifest"))


@pytest.fixture
async def apps(
    bubblewrap: None, apps_venv: Path, manifest: dict[str, Any], tmp_path: Path
) -> AsyncIterator[ExampleApps]:
    """The example workspace; its warehouse is empty."""
    machine = JobMachine.on(tmp_path / "state", apps_venv)
    yield ExampleApps.on(machine, manifest)
    machine.end_all()


async def page(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(follow_redirects=True) as client:
        return await client.get(url, headers=headers)


# --- what takes the prefix upon itself


@pytest.mark.parametrize("base_path", ["", PREFIX])
async def test_a_marimo_notebook_is_served_below_its_prefix(apps: ExampleApps, base_path: str) -> None:
    async with apps.serve("jobs.sales_notebook", base_path=base_path) as served:
        shown = await page(f"{served.url}{base_path}/")
        assert shown.status_code == 200
        assert "<title>Sales notebook</title>" in shown.text
        assert '"mode": "read"' in shown.text
        assert "cdn.jsdelivr.net/npm/@marimo-team" not in shown.text
        assert (await page(f"{served.url}{base_path}/health")).json() == {"status": "healthy"}
        if base_path:
            assert (await page(f"{served.url}/health")).status_code == 404


async def test_a_notebook_can_be_written_in_where_its_settings_say_so(apps: ExampleApps) -> None:
    """`[jobs.<section>.marimo]`."""
    settings = apps.files[".dlt/config.toml"].replace('command = "run"', 'command = "edit"')
    async with apps.serve("jobs.sales_notebook", config=settings) as served:
        assert '"mode": "edit"' in (await page(f"{served.url}/")).text


@pytest.mark.parametrize("base_path", ["", PREFIX])
async def test_a_streamlit_app_is_served_below_its_prefix(apps: ExampleApps, base_path: str) -> None:
    async with apps.serve("jobs.sales_dashboard", base_path=base_path) as served:
        assert "streamlit" in (await page(f"{served.url}{base_path}/")).text.lower()
        health = await page(f"{served.url}{base_path}/_stcore/health", Origin="https://elsewhere.example")
        assert (health.text, health.headers["access-control-allow-origin"]) == ("ok", "*")
        assert "missing ScriptRunContext" not in served.log  # the script was not run to find its file


async def test_settings_of_a_streamlit_app_are_kept(apps: ExampleApps) -> None:
    """`[jobs.<section>.streamlit]`: without this one, pages from anywhere may read the answers."""
    settings = f"{apps.files['.dlt/config.toml']}\n[jobs.sales_dashboard.streamlit]\nenable_cors = true\n"
    async with apps.serve("jobs.sales_dashboard", config=settings) as served:
        answer = await page(f"{served.url}/_stcore/health", Origin="https://elsewhere.example")
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("base_path", ["", PREFIX])
async def test_the_dashboard_is_served_below_its_prefix(apps: ExampleApps, base_path: str) -> None:
    """dlt's own launcher would not tell it."""
    async with apps.serve("jobs.workspace.dashboard", base_path=base_path) as served:
        shown = await page(f"{served.url}{base_path}/")
        assert (shown.status_code, '"mode": "read"' in shown.text) == (200, True)


# --- MCP servers


@pytest.mark.parametrize(
    ("job_ref", "tool", "arguments", "answer"),
    [
        ("jobs.sales_tools", "days_sold", {"fruit": "pear"}, 28),
        ("jobs.sales_services.returned_tools", "price", {"fruit": "apple"}, 0.4),
    ],
)
async def test_tools_are_called_over_streamable_http(
    apps: ExampleApps, job_ref: str, tool: str, arguments: dict[str, str], answer: float
) -> None:
    """By module, and returned from a function."""
    await apps.load()
    async with apps.serve(job_ref) as served, Client(StreamableHttpTransport(f"{served.url}/mcp")) as client:
        assert (await client.call_tool(tool, arguments)).data == answer


async def test_settings_of_an_mcp_server_are_kept(apps: ExampleApps) -> None:
    """`[jobs.<section>.mcp]`: server-sent events, on a path of its own."""
    settings = apps.files[".dlt/config.toml"].replace('path = "/mcp"', 'transport = "sse"\npath = "/events"')
    async with (
        apps.serve("jobs.sales_tools", config=settings) as served,
        Client(SSETransport(f"{served.url}/events")) as client,
    ):
        assert "apple" in (await client.call_tool("known_fruits")).data


async def test_an_mcp_server_behind_a_prefix_names_paths_that_have_it(apps: ExampleApps) -> None:
    """The client of server-sent events is told where to send its messages."""
    settings = apps.files[".dlt/config.toml"].replace('path = "/mcp"', 'transport = "sse"')
    async with (
        apps.serve("jobs.sales_tools", base_path=PREFIX, config=settings) as served,
        httpx.AsyncClient() as client,
        client.stream("GET", f"{served.url}/mcp") as events,
    ):
        line = await anext(line async for line in events.aiter_lines() if line.startswith("data:"))
        assert line.removeprefix("data:").strip().startswith(f"{PREFIX}/messages/")


async def test_an_mcp_server_that_nobody_could_reach_says_so(apps: ExampleApps) -> None:
    settings = apps.files[".dlt/config.toml"].replace('path = "/mcp"', 'transport = "stdio"')
    assert await apps.last_words("jobs.sales_tools", config=settings) == (
        'error: `jobs.sales_tools` has `transport = "stdio"`, which nobody can connect to'
    )


# --- applications that a function returns, or that are a server of their own


async def test_fastapi_is_served_with_its_documentation(apps: ExampleApps) -> None:
    await apps.load()
    async with apps.serve("jobs.sales_services.sales_api", base_path=PREFIX) as served:
        assert (await page(f"{served.url}/fruits")).json() == ["apple", "banana", "cherry", "pear"]
        assert len((await page(f"{served.url}/sold/apple?at_least=20")).json()) > 5
        assert (await page(f"{served.url}/sold/plum")).status_code == 404
        assert f"{PREFIX}/openapi.json" in (await page(f"{served.url}/docs")).text


WITHOUT_WAITRESS = '    import sys\n    sys.modules["waitress"] = None\n'
TELLING = """
    from flask import Flask, request
    site = Flask("sales")

    @site.post("/")
    def told():
        names = ("wsgi.url_scheme", "REMOTE_ADDR", "SCRIPT_NAME", "HTTP_X_FORWARDED_PREFIX")
        told = {name: request.environ.get(name) for name in names}
        server = request.environ["SERVER_SOFTWARE"]
        return {**told, "length": len(request.get_data()), "host": request.host, "server": server}

    return site
"""
FORWARDED = {
    "Host": "apps.example.com",
    "X-Forwarded-For": "2001:db8::7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "apps.example.com",
    "X-Forwarded-Prefix": PREFIX,
}


@pytest.mark.parametrize("server", ["waitress", "the standard library's"])
async def test_a_wsgi_application_knows_its_visitor_and_gets_what_comes_in_chunks(
    apps: ExampleApps, server: str
) -> None:
    before = apps.files["sales_services.py"]
    without = "" if server == "waitress" else WITHOUT_WAITRESS
    apps.files["sales_services.py"] = before.split("@run.interactive", 1)[0] + (
        f"@run.interactive(interface='rest_api')\ndef sales_site():\n{without}{TELLING}"
    )

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    async with apps.serve("jobs.sales_services.sales_site", base_path=PREFIX) as served, httpx.AsyncClient() as client:
        told = (await client.post(f"{served.url}/", content=pieces(), headers=FORWARDED)).json()
    assert ("waitress" in told.pop("server")) == (server == "waitress")
    assert told == {
        "wsgi.url_scheme": "https",
        "REMOTE_ADDR": "2001:db8::7",
        "SCRIPT_NAME": PREFIX,
        "HTTP_X_FORWARDED_PREFIX": PREFIX,
        "length": 3_000_000,
        "host": "apps.example.com",
    }


async def test_flask_is_served_and_links_below_its_prefix(apps: ExampleApps) -> None:
    """dlt's launcher refuses it."""
    await apps.load()
    async with apps.serve("jobs.sales_services.sales_site", base_path=PREFIX) as served:
        assert f'href="{PREFIX}/fruits/apple"' in (await page(f"{served.url}/")).text
        assert "pieces" in (await page(f"{served.url}/fruits/apple")).text
        assert "GET /" not in served.log


async def test_a_starlette_application_speaks_websocket(apps: ExampleApps) -> None:
    async with (
        apps.serve("jobs.sales_services.echo") as served,
        websockets.connect(f"{served.websocket_url}/echo") as socket,
    ):
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def test_a_function_may_be_its_own_server(apps: ExampleApps) -> None:
    async with apps.serve("jobs.sales_services.plain_server") as served:
        assert (await page(f"{served.url}/anything")).text == "apple, banana, cherry, pear"


async def test_an_application_that_is_told_to_end_ends_well(apps: ExampleApps) -> None:
    """With exit code 0, also with a request under way."""
    async with apps.serve("jobs.sales_services.echo") as served, websockets.connect(f"{served.websocket_url}/echo"):
        assert apps.jobs.runner.terminate(served.process)
        async with asyncio.timeout(30):
            assert await apps.jobs.runner.wait(served.process) == 0


NO_SERVER = """
    import sys
    sys.modules["uvicorn"] = None
    async def app(scope, receive, send): ...
    return app
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            NO_SERVER,
            "returned an ASGI application, which needs a server, and its environment has no `uvicorn`",
        ),
        ("    raise ValueError('no sales today')", "ValueError: no sales today"),
    ],
    ids=["no server", "an error of its own"],
)
async def test_an_application_that_cannot_be_served_says_why(apps: ExampleApps, body: str, words: str) -> None:
    before = apps.files["sales_services.py"]
    apps.files["sales_services.py"] = before.split("@run.interactive", 1)[0] + (
        f"@run.interactive(interface='rest_api')\ndef echo():\n{body}\n"
    )
    assert words in await apps.last_words("jobs.sales_services.echo")


# --- reports


async def test_a_pipeline_leaves_a_report(apps: ExampleApps) -> None:
    job_ref = "jobs.sales_pipeline.load_sales"
    launch = apps.launch(job_ref)
    assert await apps.jobs.runner.wait(await apps.start(launch, job_ref, {})) == 0
    (report,) = reports(launch)
    assert (report["pipeline_name"], report["dataset_name"], report["destination_name"]) == (
        "sales",
        "sales",
        "warehouse",
    )
    (load,) = report["loads"]
    assert (load["status"], load["rows"]) == ("succeeded", {"daily_sales": 112, "fruits": 4})
    assert "pieces" in load["schema_changes"]["daily_sales"]
    (day,) = [
        column
        for table in report["tables"]
        if table["name"] == "daily_sales"
        for column in table["columns"]
        if column["name"] == "day"
    ]
    assert (day["data_type"], day["nullable"], day["primary_key"]) == ("date", False, True)
    assert "_dlt_loads" not in json.dumps(report["tables"])


FAILING = """
import multiprocessing, subprocess, sys
import dlt
import dlt.hub.run as run

CHILD = '''
import dlt
dlt.pipeline("third", destination="duckdb").run([{"fruit": "plum"}], table_name="fruits")
'''

@dlt.resource
def rotten():
    yield {"fruit": "apple"}
    raise ValueError("rotten")

def load(name):
    dlt.pipeline(name, destination="duckdb").run([{"fruit": "pear"}], table_name="fruits")

@run.job()
def load_sales():
    load("first")
    load("first")
    subprocess.run([sys.executable, "-c", CHILD], check=True)
    spawned = multiprocessing.get_context("spawn").Process(target=load, args=("fourth",))
    spawned.start()
    spawned.join()
    try:
        dlt.pipeline("second", destination="duckdb").run(rotten())
    except Exception:
        print("as expected")
    dlt.pipeline("unused", destination="duckdb")
"""


async def test_failed_and_repeated_runs_of_pipelines_are_told(apps: ExampleApps) -> None:
    """Those of processes that the job starts as well, in whichever way; a notebook's kernel is one that is spawned."""
    apps.files["sales_pipeline.py"] = FAILING
    job_ref = "jobs.sales_pipeline.load_sales"
    launch = apps.launch(job_ref)
    assert await apps.jobs.runner.wait(await apps.start(launch, job_ref, {})) == 0, apps.jobs.log(launch.run_id)
    told = {report["pipeline_name"]: report["loads"] for report in reports(launch)}
    assert set(told) == {"first", "second", "third", "fourth"}
    for name in ("third", "fourth"):
        assert [load["rows"] for load in told[name]] == [{"fruits": 1}]
    assert [load["rows"] for load in told["first"]] == [{"fruits": 1}] * 2
    assert [bool(load["schema_changes"]) for load in told["first"]] == [True, False]
    assert [(load["status"], load["failed_step"]) for load in told["second"]] == [("failed", "extract")]


KILLED = """
import os, signal
import dlt
import dlt.hub.run as run

@dlt.resource
def endless():
    yield {"fruit": "apple"}
    os.kill(os.getpid(), signal.SIGKILL)

@run.job()
def load_sales():
    dlt.pipeline("first", destination="duckdb").run([{"fruit": "pear"}], table_name="fruits")
    dlt.pipeline("first", destination="duckdb").run(endless())
"""


async def test_a_pipeline_that_is_killed_leaves_how_far_it_came(apps: ExampleApps) -> None:
    """As at a timeout, for want of memory, or by a power cut."""
    apps.files["sales_pipeline.py"] = KILLED
    job_ref = "jobs.sales_pipeline.load_sales"
    launch = apps.launch(job_ref)
    assert await apps.jobs.runner.wait(await apps.start(launch, job_ref, {})) == 128 + 9
    (told,) = reports(launch)
    assert [(load["status"], load["failed_step"]) for load in told["loads"]] == [
        ("succeeded", None),
        ("running", "extract"),
    ]
    assert [table["name"] for table in told["tables"]] == ["fruits"]


async def test_a_report_that_cannot_be_written_costs_one_line(apps: ExampleApps) -> None:
    """Never the run."""
    apps.files["sales_pipeline.py"] = "import os\nos.chmod('/run/report', 0o500)\n" + FAILING
    job_ref = "jobs.sales_pipeline.load_sales"
    launch = apps.launch(job_ref)
    assert await apps.jobs.runner.wait(await apps.start(launch, job_ref, {})) == 0
    assert apps.jobs.log(launch.run_id).count("left no report: PermissionError") == 5
