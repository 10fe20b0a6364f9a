"""A home of its own for every test, a workspace to stand in, and a daemon that answers from a script."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli.session
from cli.main import app
from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import Endpoint
from tests.scripted_daemon import WORKSPACE_ID, Outcome, ScriptedDaemon


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the person who runs the tests: no settings, tokens, socket, virtualenv or time zone."""
    for name in list(os.environ):
        if name.startswith(("DLT_RUNTIME_", "XDG_", "RUNTIME__")) or name in ("VIRTUAL_ENV", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory / "run"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")
    return directory


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace directory that is connected, and is where commands run."""
    root = tmp_path / "shop"
    (root / ".dlt").mkdir(parents=True)
    (root / ".dlt" / ".workspace").touch()
    (root / ".dlt" / "config.toml").write_text(f'[runtime]\nworkspace_id = "{WORKSPACE_ID}"\n')
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDaemon]:
    """The daemon that every command of the test reaches, whatever address it uses."""
    scripted = ScriptedDaemon()
    clients: list[RuntimeClient] = []

    def connect(endpoint: Endpoint) -> RuntimeClient:
        from cli.credentials import keeper_at

        clients.append(
            RuntimeClient(endpoint, keeper=keeper_at(endpoint), user_agent="tests", transport=scripted.transport)
        )
        return clients[-1]

    monkeypatch.setattr(cli.session, "connect", connect)
    yield scripted
    for client in clients:
        client.close()


@pytest.fixture
def run() -> "Run":
    """Runs a command line and returns what it wrote and its exit status."""
    return Run()


class Run:
    """Calls the program as a shell would."""

    def __call__(self, *words: str, stdin: str | None = None) -> Outcome:
        result = CliRunner().invoke(app, list(words), input=stdin, prog_name="dlt-runtime")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)
