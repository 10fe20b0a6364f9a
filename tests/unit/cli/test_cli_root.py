"""The root command: help, version, completion, errors that nobody expected, and what is imported when."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli.commands.info
from cli.exit_codes import ExitCode
from cli.groups import load_command
from cli.main import COMMANDS
from tests.scripted_daemon import ScriptedDaemon
from tests.unit.cli.conftest import Run

OFFICIAL = (
    "login logout launch serve publish unpublish trigger run-pipeline logs cancel deploy info deployment configuration "
    "job jobs job-run job-runs workspace"
)
HEAVY = ("rich", "yaml", "pathspec", "tomlkit", "httpx._main", "cli.workspace.packing", "runtime.daemon", "dlt")


def test_every_command_of_the_public_client_is_there() -> None:
    """All but `dashboard`, which comes with interactive apps."""
    assert set(OFFICIAL.split()) <= {entry.name for entry in COMMANDS}


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_loads_and_explains_itself(run: Run, entry: object) -> None:
    name = entry.name  # type: ignore[attr-defined]
    assert load_command(entry).help  # type: ignore[arg-type]
    done = run(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Usage: dlt-runtime {name}" in done.out


def test_without_a_command_help_is_printed(run: Run) -> None:
    done = run()
    assert done.code == 0
    assert "job-run " in done.out
    assert "job-runs" not in done.out


def test_all_operations_are_listed_on_request(run: Run) -> None:
    lines = run("--help-all").out.splitlines()
    assert any(line.startswith("job-run cancel ") for line in lines)
    assert any(line.startswith("launch ") for line in lines)


def test_the_version_is_one_line(run: Run) -> None:
    assert run("--version").out.startswith("dlt-runtime ")


def test_exit_statuses_are_what_scripts_rely_on() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "NO_DAEMON": 4,
        "INTERRUPTED": 130,
    }


def test_a_bug_is_one_line_without_a_traceback_unless_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(cli.commands.info, "session_of", broken)
    done = run("info")
    assert (done.code, done.err.splitlines()[0]) == (1, "error: unexpected KeyError: 'secret detail'")
    with pytest.raises(KeyError):
        run("info", "--debug")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpcore leaves its socket open
def test_nobody_at_the_socket_ends_with_4(run: Run, workspace: Path) -> None:
    done = run("job", "list", "--url", f"unix://{workspace}/no.sock")
    assert done.code == ExitCode.NO_DAEMON
    assert done.err.splitlines()[0] == f"error: no daemon answers at `{workspace}/no.sock`"


def test_outside_of_a_workspace_the_way_to_one_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("deploy")
    assert done.code == ExitCode.NOT_FOUND
    assert done.err == (
        f"error: there is no dlt workspace in `{tmp_path}` or above\n"
        "hint: go to your project, or make a workspace here: `mkdir .dlt && touch .dlt/.workspace`\n"
    )
    (tmp_path / ".dlt").mkdir()
    assert "`touch .dlt/.workspace` makes it a workspace" in run("deploy").err


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("word", ["--version", "--help"])
def test_output_that_cannot_be_written_is_no_bug(tmp_path: Path, word: str, unbuffered: str) -> None:
    root = str(Path(cli.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONUNBUFFERED": unbuffered}
    words = [sys.executable, "-m", "cli.main", word]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path, env=environment
        )
    assert (ended.returncode, ended.stderr.splitlines()) == (
        1,
        ["error: the system refuses: No space left on device", "hint: `--debug` shows where it happened"],
    )


def test_words_are_completed(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setenv("_DLT_RUNTIME_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "dlt-runtime job-")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run().out.split() == ["job-run"]


def test_a_listing_imports_nothing_that_only_a_deploy_or_a_terminal_needs(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from cli.main import main\n"
        f"sys.argv = ['dlt-runtime', 'job', 'list', '--url', 'unix://{tmp_path}/no.sock', '-w', 'x']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print([name for name in {HEAVY!r} if sys.modules.get(name)])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    words = [sys.executable, "-c", code]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert ended.returncode == ExitCode.NO_DAEMON, ended.stderr
    assert ended.stdout == "[]\n"


@pytest.mark.parametrize("limit", ["0", "x", "9" * 20])
def test_a_limit_that_is_none_is_a_wrong_command_line(
    run: Run, daemon: ScriptedDaemon, workspace: Path, limit: str
) -> None:
    assert run("job-run", "list", "--limit", limit).code == ExitCode.USAGE


def test_the_interface_for_a_terminal_says_so_where_there_is_none(
    run: Run, daemon: ScriptedDaemon, workspace: Path
) -> None:
    done = run("tui")
    assert (done.code, done.err.splitlines()[0]) == (ExitCode.USAGE, "error: `tui` needs a terminal")
    assert daemon.asked == []
