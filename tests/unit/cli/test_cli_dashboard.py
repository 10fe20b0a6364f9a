"""`dashboard`: which link is printed and opened."""

import webbrowser
from pathlib import Path

import pytest

from tests.scripted_daemon import WORKSPACE_ID, ScriptedDaemon
from tests.unit.cli.conftest import Run

STATUS = {
    "version": "0.1.0",
    "state_dir": "/state",
    "socket": "/run/api.sock",
    "api_base_url": "https://runtime.example:8470/api/api",
    "auth_base_url": "https://runtime.example:8470/api/auth",
    "users": 1,
    "workspaces": 1,
    "jobs": 0,
    "active_runs": 0,
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the browser was given; it is there."""
    links: list[str] = []

    def show(link: str) -> bool:
        links.append(link)
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    return links


def test_the_link_is_at_the_address_that_commands_use(
    run: Run, daemon: ScriptedDaemon, workspace: Path, opened: list[str]
) -> None:
    done = run("--url", "http://127.0.0.1:8470", "dashboard")
    assert (done.code, done.out.strip()) == (0, f"http://127.0.0.1:8470/w/{WORKSPACE_ID}")
    assert opened == [done.out.strip()]


def test_through_the_socket_the_daemon_is_asked_where_browsers_reach_it(
    run: Run, daemon: ScriptedDaemon, workspace: Path, opened: list[str]
) -> None:
    daemon.answers("GET /api/api/v1/admin/status", STATUS)
    done = run("dashboard", "--no-browser")
    assert (done.code, done.out.strip()) == (0, f"https://runtime.example:8470/w/{WORKSPACE_ID}")
    assert opened == []


def test_without_a_browser_it_says_so(
    run: Run, daemon: ScriptedDaemon, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda link: False)
    assert "there is no browser here" in run("--url", "http://127.0.0.1:8470", "dashboard").err
