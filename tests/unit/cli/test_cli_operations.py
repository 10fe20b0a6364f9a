"""`backup` and `backfill`, where what was typed or what is written to does not do."""

import errno
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.commands.backfill import parse_time
from runtime.errors import InvalidError
from runtime.wire.operations_client import OperationsClient
from tests.scripted_daemon import ScriptedDaemon
from tests.unit.cli.conftest import Run


def test_a_time_has_the_zone_of_the_job_unless_it_says_one() -> None:
    assert parse_time("2026-01-31T08:00", "Europe/Berlin") == datetime(2026, 1, 31, 7, tzinfo=UTC)
    assert parse_time("2026-01-31T08:00+05:00", "Europe/Berlin") == datetime(2026, 1, 31, 3, tzinfo=UTC)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "soon", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="is no time"):
        parse_time(text, "UTC")


def test_a_backup_that_stdout_does_not_take_is_an_error_like_others(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backup(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OperationsClient, "backup", backup)
    outcome = run("backup", "-")
    assert outcome.code == 1
    assert "stdout cannot be written: No space left on device" in outcome.err


def test_a_backup_into_a_directory_that_is_closed_to_this_user_says_that_it_cannot_be_written(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = Path.exists

    def closed(self: Path) -> bool:
        if self.parent == Path("/closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return exists(self)

    monkeypatch.setattr(Path, "exists", closed)
    outcome = run("backup", "/closed/runtime.tar")
    assert (outcome.code, outcome.err) == (1, "error: `/closed/runtime.tar` cannot be written: Permission denied\n")


def test_where_nobody_is_told_of_anything_the_way_to_change_that_is_said(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers("GET /api/api/v1/admin/notifications", {"items": []})
    outcome = run("notify", "list")
    assert (outcome.code, outcome.out) == (0, "")
    assert "`[notify.targets.NAME]` in the settings" in outcome.err


def test_a_value_that_is_none_of_the_choices_is_refused_in_words_of_our_own(daemon: ScriptedDaemon, run: Run) -> None:
    outcome = run("graph", "--format", "svg")
    assert outcome.code == 2
    assert outcome.err.splitlines()[0] == (
        "error: invalid value for '--format': 'svg' is not one of 'text', 'dot', 'mermaid'"
    )
