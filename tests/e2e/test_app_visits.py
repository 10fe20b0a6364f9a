"""A person visits apps with a real browser, by path and by host: lets itself in, uses them, and is thrown out."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from runtime.wire.admin_client import AdminClient
from runtime.wire.member_client import MemberClient
from runtime.wire.run_details import DetailedRunResponse
from tests.app_machine import app_job
from tests.chromium import Chromium, chromium, needs_chromium
from tests.deployed_workspace import SDK, WORKSPACES, DeployedWorkspace, files_of
from tests.processes import DaemonProcess

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
STRANGER = "eve@example.org"
BOARD, BROKEN, SLOW = "jobs.visited.board", "jobs.visited.broken", "jobs.visited.slow"

pytestmark = needs_chromium


def job(function: str) -> dict[str, Any]:
    definition = app_job(function)
    definition["job_ref"] = f"jobs.visited.{function}"
    definition["entry_point"] |= {"module": "visited"}
    return definition


@pytest.fixture(scope="module", params=["path", "host"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    settings = {"APPS__DOMAIN": "localhost"} if request.param == "host" else {}
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), settings).start()
    admin = AdminClient(process.client.connection)
    for email in (EMAIL, STRANGER):
        admin.add_user(email)
        admin.set_password(email, PASSWORD)
    yield process
    process.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, f"shop-{uuid4().hex[:6]}")
    MemberClient(daemon.client.connection, made.id).add(EMAIL, "viewer")
    code = files_of(WORKSPACES / "visited")
    made.deploy(code, job("board"), job("broken"), job("slow"), requirements=(SDK, "websockets>=15"))
    return made


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with chromium(tmp_path) as opened:
        yield opened


def url_of(workspace: DeployedWorkspace, job_ref: str) -> str:
    url = workspace.daemon.client.job(workspace.id, job_ref).script_url
    assert url is not None
    return url


def sign_in(browser: Chromium, email: str = EMAIL) -> None:
    browser.wait_for_text("Sign in")
    browser.type("#email", email)
    browser.type("#password", PASSWORD)
    browser.click("button.first")


def ask(url: str, token: str | None = None) -> httpx.Response:
    """As a program does; names below `localhost` are known to browsers only."""
    parts = urlsplit(url)
    headers = {"Host": parts.netloc} | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx.get(f"http://127.0.0.1:{parts.port}{parts.path}", headers=headers, timeout=60)


def wait_until(browser: Chromium, expression: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not browser.evaluate(expression):
        assert time.monotonic() < deadline, f"never {expression}; the page says: {browser.text}"
        time.sleep(0.05)


def test_a_member_signs_in_waits_and_uses_the_app(workspace: DeployedWorkspace, browser: Chromium) -> None:
    """Semantics S4: the visit wakes it; the page follows the log; the WebSocket works; nothing leaks either way."""
    url = url_of(workspace, BOARD)
    browser.open(url + "?tab=2")
    sign_in(browser)
    browser.wait_for_text("is starting")
    wait_until(browser, "document.body.innerText.includes('heard hello')", 120)
    assert browser.address == url + "?tab=2"

    app_cookies = browser.cookies()
    path = "/" if "localhost" in url.split("/")[2] else url.removeprefix(url.split("/apps/")[0])
    assert app_cookies["taste"]["path"] == app_cookies["dlt-runtime-app"]["path"] == path
    assert app_cookies["taste"]["domain"] == url.split("/")[2].partition(":")[0]
    assert app_cookies["dlt-runtime-app"]["httpOnly"]
    assert browser.evaluate("document.cookie") == "taste=sweet"

    # The app has seen its own cookie and none of ours.
    browser.open(url + "cookies")
    browser.wait_for_text("taste=sweet")
    assert "dlt-runtime" not in browser.text

    # Its page can read nothing of the API, whose pages see none of its cookies.
    api = workspace.daemon.url
    question = f"fetch('{api}/w/{workspace.id}', {{credentials: 'include'}}).then(() => 'read', () => 'refused')"
    browser.evaluate(f"window.answer = null; {question}.then((answer) => {{ window.answer = answer; }})")
    wait_until(browser, "window.answer !== null")
    assert browser.evaluate("window.answer") == "refused"
    browser.open(f"{api}/w/{workspace.id}")
    browser.wait_for_text(f"Signed in as {EMAIL}")
    assert "taste" not in browser.cookies()
    assert "dlt-runtime-app" not in browser.cookies()
    assert "dlt-runtime-session" in browser.cookies()


def test_somebody_else_is_not_let_in(workspace: DeployedWorkspace, browser: Chromium) -> None:
    browser.open(url_of(workspace, BOARD))
    sign_in(browser, STRANGER)
    browser.wait_for_text("There is nothing here")


def test_revoking_a_public_link_ends_an_open_websocket_at_once(workspace: DeployedWorkspace, browser: Chromium) -> None:
    client = workspace.daemon.client
    link = client.publish(workspace.id, BOARD).public_url
    assert link is not None
    browser.open(link)
    wait_until(browser, "document.body.innerText.includes('heard hello')", 120)
    assert browser.address == url_of(workspace, BOARD)
    client.unpublish(workspace.id, BOARD)
    began = time.monotonic()
    wait_until(browser, "document.body.innerText.includes('ended 1008')", 5)
    assert time.monotonic() - began < 1.5  # with the time that it takes to look
    browser.open(url_of(workspace, BOARD))
    browser.wait_for_text("This link has ended")
    browser.open(link)
    browser.wait_for_text("This link leads nowhere")


def test_a_member_who_is_removed_is_thrown_out_at_once(workspace: DeployedWorkspace, browser: Chromium) -> None:
    members = MemberClient(workspace.daemon.client.connection, workspace.id)
    browser.open(url_of(workspace, BOARD))
    sign_in(browser)
    wait_until(browser, "document.body.innerText.includes('heard hello')", 120)
    (ada,) = (member.user_id for member in members.members() if member.email == EMAIL)
    try:
        members.remove(ada)
        began = time.monotonic()
        wait_until(browser, "document.body.innerText.includes('ended 1008')", 5)
        assert time.monotonic() - began < 1.5  # with the time that it takes to look
        browser.open(url_of(workspace, BOARD))
        browser.wait_for_text("That is not allowed")
    finally:
        members.add(EMAIL, "viewer")


def test_an_app_that_fails_says_why(workspace: DeployedWorkspace, browser: Chromium) -> None:
    """Semantics S6. A visitor by a public link learns nothing of it."""
    url = url_of(workspace, BROKEN)
    browser.open(url)
    sign_in(browser)
    browser.wait_for_text("This app has failed")
    assert "the board is not there" in browser.text
    assert "LookupError" in browser.evaluate("document.querySelector('pre').innerText")
    link = workspace.daemon.client.publish(workspace.id, BROKEN).public_url
    browser.open(str(link))
    browser.wait_for_text("Whoever shared it can see why")
    assert "LookupError" not in browser.text


def test_a_page_that_waits_for_what_is_cancelled_says_so_and_starts_nothing_by_itself(
    workspace: DeployedWorkspace, browser: Chromium
) -> None:
    client = workspace.daemon.client
    job_id = client.job(workspace.id, SLOW).id

    def runs() -> list[DetailedRunResponse]:
        """Newest first."""
        return list(client.runs(workspace.id, job_id=job_id))

    browser.open(url_of(workspace, SLOW))
    sign_in(browser)
    browser.wait_for_text("is starting")
    wait_until(browser, "document.body.innerText.includes('still thinking')", 60)
    client.cancel_run(workspace.id, runs()[0].id)
    wait_until(browser, "document.body.innerText.includes('It was stopped before it answered: cancelled')", 60)
    assert "was stopped" in browser.evaluate("document.querySelector('h1').innerText")
    assert [run.status for run in runs()] == ["cancelled"]
    browser.click("#start button")
    browser.wait_for_text("is starting")
    newest, _ = runs()
    client.cancel_run(workspace.id, newest.id)


def test_a_program_comes_with_a_token_or_not_at_all(workspace: DeployedWorkspace) -> None:
    url = url_of(workspace, BOARD)
    assert ask(url).status_code == 401
    assert ask(url, "nonsense").status_code == 401
    created = AdminClient(workspace.daemon.client.connection).create_token(EMAIL, str(workspace.id), 1)
    answer = ask(url, created.token)
    assert answer.status_code == 200
    assert "The board" in answer.text
    assert answer.headers["x-dlt-runtime-version"] == "1"
    assert ask(url.replace("board-", "nobody-"), created.token).status_code == 404
