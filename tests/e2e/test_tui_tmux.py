"""A person at a terminal, by keys alone: log in, deploy, launch, follow, cancel, schedule, pause, publish."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.wire.admin_client import AdminClient
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace
from tests.official_client import copy_workspace
from tests.our_cli import COMMAND, OurCli, connected_workspace
from tests.processes import DaemonProcess, needs_jobs, wait_for
from tests.tmux import Tmux, needs_tmux

pytestmark = [needs_jobs, needs_tmux]

EMAIL = "ada@example.org"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A person's home with the command in it."""
    program = tmp_path / "bin" / "dlt-runtime"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec {COMMAND[0]} -c 'from cli.main import main; main()' \"$@\"\n")
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def terminal(daemon: DaemonProcess, virtualenv: Path, home: Path) -> Iterator[Tmux]:
    """A shell before a copy of the orchard, with a daemon on the network."""
    directory = copy_workspace(WORKSPACES / "orchard", home / "orchard")
    environment = OurCli(daemon.url, home, directory, virtualenv).environment
    environment["PATH"] = f"{home / 'bin'}:{environment['PATH']}"
    with Tmux(["sh"], directory, environment, keep=home) as terminal:
        yield terminal


def test_everything_of_a_day_is_done_by_keys(daemon: DaemonProcess, terminal: Tmux, home: Path) -> None:
    """From the login to the public link; each pane is kept beside the test's files."""
    AdminClient(daemon.client.connection).add_user(EMAIL)
    _log_in(daemon, terminal)
    terminal.line("dlt-runtime deploy")
    terminal.reads("deployed: ")
    workspace = DeployedWorkspace(daemon, connected_workspace(home / "orchard"))

    terminal.line("dlt-runtime tui")
    terminal.reads("never run")
    terminal.capture("overview")
    terminal.press("2")
    terminal.reads("stand")
    _choose(terminal, "rest")
    terminal.press("l")
    terminal.reads("started run 1 of")
    terminal.reads("▶ running")
    terminal.capture("jobs")

    terminal.press("3")
    terminal.reads("orchard.rest #1")
    terminal.press("Enter")
    terminal.reads("resting")
    terminal.reads("following")
    terminal.capture("run")
    terminal.press("c")
    terminal.reads("cancelled")
    terminal.capture("cancelled")
    terminal.press("Escape")  # right before another key it would read as Alt
    terminal.reads("Timeline")

    terminal.press("2")
    terminal.reads("Last runs")
    _choose(terminal, "greet")
    terminal.press("s")
    terminal.reads("Schedule of orchard.greet")
    terminal.line("every:1h")
    terminal.reads("every hour")
    terminal.press("p")
    terminal.reads("‖ paused")
    terminal.capture("paused")

    _choose(terminal, "stand")
    terminal.press("u")
    wait_for(lambda: workspace.daemon.client.job(workspace.id, "jobs.stand.stand").public_url, "the link is on")
    terminal.capture("published")
    terminal.press("q")
    terminal.reads("$")

    (rest,) = [run for run in daemon.client.runs(workspace.id) if run.script.job_ref == "jobs.orchard.rest"]
    assert rest.status == "cancelled"
    greet = daemon.client.job(workspace.id, "jobs.orchard.greet")
    assert (greet.paused, greet.schedule_override) == (True, "every:1h")


def _log_in(daemon: DaemonProcess, terminal: Tmux) -> None:
    """Another person, an administrator, approves the code that is shown."""
    terminal.line("dlt-runtime login")
    shown = terminal.reads("auth approve")
    (code,) = set(re.findall(r"auth approve ([A-Z0-9-]+)", shown))
    AdminClient(daemon.client.connection).approve_device(code, EMAIL)
    terminal.reads(f"as {EMAIL}")


def _choose(terminal: Tmux, name: str) -> None:
    """Filter the list to one job. Who types on before the field has the keys types into the list.

    What the field holds is selected, so that typing replaces it.
    """
    terminal.press("/")
    terminal.lacks("Open")
    terminal.line(name)
    terminal.reads(f"> orchard.{name}" if name != "stand" else "> stand.stand")
