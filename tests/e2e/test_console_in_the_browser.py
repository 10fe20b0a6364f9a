"""`/w/<workspace>`: the console in a real browser, by the login that everything else has, and what it does not let by.

What it looks like is kept where `TESTS_ARTEFACTS` says.
"""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import zstandard
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from runtime.wire.addresses import API_PREFIX
from runtime.wire.admin_client import AdminClient
from tests.benchmarks.crowded_store import fill_store
from tests.chromium import Chromium, chromium, needs_chromium
from tests.page_browser import PageBrowser
from tests.processes import DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

EMAIL, STRANGER, PASSWORD = "crowd@example.org", "eve@example.org", "correct horse battery"
ARTEFACTS = "TESTS_ARTEFACTS"
SESSION = "dlt-runtime-session"
LINE = "2026-03-10 12:00:00 INFO sold 28 apples"
JOB = "crowd.job_00001"

TERMINAL = """
Object.defineProperty(Object.prototype, 'terminal', {configurable: true, set(made) {
  if (made.buffer) window.shown = () => Array.from({length: made.rows}, (_, row) =>
    made.buffer.active.getLine(row)?.translateToString(true)).join('\\n');
  Object.defineProperty(this, 'terminal', {configurable: true, writable: true, value: made});
}});
"""
"""Keeps a way to what the page's terminal holds: it is drawn on a canvas, which has no text to be read."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    folder = tmp_path_factory.mktemp("console")
    (folder / "state").mkdir(mode=0o700)
    fill_store(folder / "state" / "runtime.db", ["manual:"] * 3, runs=6)
    with closing(sqlite3.connect(folder / "state" / "runtime.db")) as connection, connection:
        connection.execute(
            "INSERT INTO log_chunks SELECT id, 0, 1, 'program', created_at, ? FROM runs",
            (zstandard.ZstdCompressor().compress(LINE.encode()),),
        )
        connection.execute(
            "INSERT INTO workspace_members SELECT workspaces.id, users.id, 'owner', 1 FROM workspaces, users"
        )
    daemon = DaemonProcess(folder).start()
    admin = AdminClient(daemon.client.connection)
    admin.add_user(STRANGER)
    for email in (EMAIL, STRANGER):
        admin.set_password(email, PASSWORD)
    try:
        yield daemon
    finally:
        daemon.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> UUID:
    with closing(sqlite3.connect(daemon.state / "runtime.db")) as connection:
        (found,) = connection.execute("SELECT id FROM workspaces").fetchone()
    return UUID(bytes=found)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with chromium(tmp_path) as browser:
        browser.before_pages(TERMINAL)
        yield browser


@needs_chromium
def test_who_signs_in_uses_the_console_until_signing_out(
    daemon: DaemonProcess, workspace: UUID, browser: Chromium, tmp_path: Path
) -> None:
    browser.open(f"{daemon.url}/w/{workspace}")
    browser.type("#email", EMAIL)
    browser.type("#password", PASSWORD)
    browser.click("button.first")
    shows(browser, "runs per hour")
    browser.evaluate("document.querySelector('.xterm-helper-textarea').focus()")
    browser.press("2")
    shows(browser, "a part of a name")
    browser.press("3")
    shows(browser, "a part of a job's name")
    shows(browser, f"{JOB} #2")
    browser.press("Enter")
    shows(browser, LINE)
    keep(browser, "console-run", tmp_path)
    assert not [each for each in browser.complaints if "Policy" in each]
    assert browser.evaluate("document.cookie") == ""

    browser.click("header button")
    browser.wait_for_text("Sign in")
    wait_for(lambda: not daemon.left_behind(), "the console's processes end", 20)


def test_a_page_is_for_a_member_who_is_signed_in_and_comes_from_here(daemon: DaemonProcess, workspace: UUID) -> None:
    """Nobody else's cookie opens it, nor one's own from another site's page; nothing is to be had in others' names."""
    member, stranger = cookie_of(daemon, EMAIL), cookie_of(daemon, STRANGER)
    assert httpx.get(f"{daemon.url}/w/{workspace}", headers=stranger).status_code == 404
    for headers, origin, status in (
        ({}, daemon.url, 401),
        ({"Cookie": f"{SESSION}=guess"}, daemon.url, 401),
        (stranger, daemon.url, 404),
        (member, "https://elsewhere.example", 401),
        (member, "http://127.0.0.1:1", 401),
    ):
        with pytest.raises(InvalidStatus) as refused, page_of(daemon, workspace, headers, origin):
            pass
        assert refused.value.response.status_code == status, (headers, origin)

    with page_of(daemon, workspace, member, daemon.url) as page:
        reads(page, "runs per hour")
        assert httpx.get(f"{daemon.url}/download/{uuid4().hex}", headers=member).status_code == 404
        assert httpx.get(f"{daemon.url}/download/{uuid4().hex}", headers=stranger).status_code == 404
        key = key_within(daemon)
        me = asked(daemon, "/v1/me", key)
        assert me.json()["email"] == EMAIL
        assert asked(daemon, "/v1/admin/users", key).status_code == 403
        assert asked(daemon, "/v1/me", None).status_code == 401
        elsewhere = httpx.get(f"{daemon.url}{API_PREFIX}/v1/me", headers={"Authorization": f"Bearer {key}"})
        assert elsewhere.status_code == 401


def test_a_link_to_a_run_opens_it_and_a_daemon_that_is_killed_leaves_no_page(
    daemon: DaemonProcess, workspace: UUID
) -> None:
    run = next(daemon.client.runs(workspace))
    with page_of(daemon, workspace, cookie_of(daemon, EMAIL), daemon.url, f"/runs/{run.id}") as page:
        reads(page, "28 apples")
        daemon.kill()
        wait_for(lambda: not daemon.left_behind(), "the console's processes end", 20)


def cookie_of(daemon: DaemonProcess, email: str) -> dict[str, str]:
    """The header of a browser that this person is signed in with."""
    with PageBrowser() as browser:
        browser.open(f"{daemon.url}/login").press("Sign in", email=email, password=PASSWORD)
        return {"Cookie": f"{SESSION}={browser.cookie(SESSION)}"}


def page_of(
    daemon: DaemonProcess, workspace: UUID, headers: dict[str, str], origin: str, part: str = ""
) -> ClientConnection:
    url = f"ws{daemon.url.removeprefix('http')}/w/{workspace}{part}/ws?width=100&height=30"
    return connect(url, additional_headers=headers, origin=Origin(origin), proxy=None, open_timeout=30)


def reads(page: ClientConnection, text: str) -> None:
    """Wait until what was drawn holds a text."""
    shown = ""
    while text not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown):
        message = page.recv(timeout=30)
        shown += message.decode(errors="replace") if isinstance(message, bytes) else ""


def key_within(daemon: DaemonProcess) -> str:
    """What a page shows the API, as only the daemon's own user can find out."""
    (pid, *_) = daemon.left_behind()
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(each.partition(b"=")[2].decode() for each in variables if each.startswith(b"DLT_RUNTIME_TOKEN="))


def asked(daemon: DaemonProcess, path: str, key: str | None) -> httpx.Response:
    """Over the console's own socket."""
    transport = httpx.HTTPTransport(uds=str(daemon.state / "tmp" / "console.sock"))
    with httpx.Client(transport=transport) as client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return client.get(f"http://runtime{API_PREFIX}{path}", headers=headers)


def shows(browser: Chromium, text: str) -> None:
    """Wait until the terminal on the page shows a text."""
    browser.wait_for(f"window.shown && window.shown().includes({text!r})", f"`{text}` is drawn")


def keep(browser: Chromium, name: str, folder: Path) -> None:
    (Path(os.environ.get(ARTEFACTS, folder)) / f"{name}.png").write_bytes(browser.screenshot())
