"""What a terminal shows and what a pipe gets."""

import json
from datetime import UTC, datetime

import pytest

from cli.output.console import Column, Output, status_style

COLUMNS = (Column("Job"), Column("Status", status_style), Column("Empty"), Column("Label", wraps=True, spare=1))
ROWS = [("shop.load", "completed", "", "Load the shop"), ("shop.\x1b[2Jx", "failed", "", "a\tb")]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Output:
    monkeypatch.setattr(Output, "is_terminal", True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    return Output(now=lambda: NOW)


def test_a_pipe_gets_one_line_per_row_with_fields_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(COLUMNS, ROWS)
    assert capsys.readouterr().out == "shop.load\tcompleted\t\tLoad the shop\nshop.\\x1b[2Jx\tfailed\t\ta b\n"


def test_a_terminal_gets_a_table_without_empty_columns(terminal: Output, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(COLUMNS, ROWS)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "Job            Status     Label",
        "shop.load      completed  Load the shop",
        "shop.\\x1b[2Jx  failed     a b",
    ]


def test_a_narrow_terminal_does_without_the_spare_columns(
    terminal: Output, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    terminal.table(COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines()[0].split() == ["Job", "Status"]


def test_times_are_relative_for_a_person_and_exact_for_a_program(terminal: Output) -> None:
    assert terminal.time(NOW) == "now"
    assert terminal.duration(61) == "1 min 1 s"
    exact = Output(timestamps=True)
    assert exact.time(NOW) == "2026-01-02T03:04:05.000Z"
    assert exact.duration(1.2914) == "1.291"
    assert exact.time(None) == exact.duration(None) == ""


def test_named_values_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    Output().fields((("Job", "shop.load"), ("Reason", ""), ("Run", "3")))
    assert capsys.readouterr().out == "Job\tshop.load\nRun\t3\n"


def test_messages_go_to_stderr_and_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output().error("no \x1b[2Jjob", "look\nthere")
    Output().warning("careful")
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == "error: no \\x1b[2Jjob\nhint: look\nthere\nwarning: careful\n"


def test_json_keeps_letters_and_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    Output().json({"name": "Früchte"})
    assert json.loads(capsys.readouterr().out) == {"name": "Früchte"}
