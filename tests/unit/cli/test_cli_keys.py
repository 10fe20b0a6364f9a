"""The command that replaces the sealing key."""

import json

from cli.exit_codes import ExitCode
from tests.scripted_daemon import ScriptedDaemon, refusal
from tests.unit.cli.conftest import Run

ROTATE = "POST /api/api/v1/admin/keys/rotate"
DONE = {"key_id": "0123456789abcdef", "resealed_files": 12, "unreadable_files": 0}


def test_a_rotation_says_what_was_sealed(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers(ROTATE, DONE, status=201)
    done = run("keys", "rotate")
    assert (done.code, done.out) == (ExitCode.DONE, "")
    sealed, copy = done.err.splitlines()
    assert sealed == "sealed 12 files of configurations with the new key 0123456789abcdef"
    assert copy.startswith("copy the keys of the state directory again")


def test_json_is_all_there_is_on_stdout(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers(ROTATE, DONE, status=201)
    assert json.loads(run("keys", "rotate", "--json").out) == DONE


def test_files_that_do_not_open_are_warned_of(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers(ROTATE, {**DONE, "unreadable_files": 2}, status=201)
    assert "2 files could not be opened" in run("keys", "rotate").err


def test_a_key_of_systemd_is_refused_with_the_way_out(run: Run, daemon: ScriptedDaemon) -> None:
    message = "the sealing key is a systemd credential"
    daemon.does(ROTATE, lambda _: refusal(409, message, code="key_is_credential", hint="give the unit a new one"))
    done = run("keys", "rotate")
    assert done.code == ExitCode.FAILED
    assert done.err.splitlines() == [f"error: {message}", "hint: give the unit a new one"]
