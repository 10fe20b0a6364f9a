"""The states of a run and how it ends (semantics S1, S2, S6)."""

from datetime import timedelta
from itertools import product
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.runs import (
    ACTIVE_STATUSES,
    FINAL_STATUSES,
    RUN_STATUSES,
    RunStatus,
    check_transition,
    judge_end,
)
from runtime.errors import ConflictError
from tests.factories import NOW, make_run

# A pending run has no process, so it may end at once; one that starts may end before it is seen to run.
ALLOWED: dict[RunStatus, set[RunStatus]] = {
    "pending": {"starting", "cancelling", "cancelled", "failed"},
    "starting": {"running", "cancelling", "completed", "failed", "cancelled"},
    "running": {"cancelling", "completed", "failed"},
    "cancelling": {"completed", "failed", "cancelled"},
    "completed": set(),
    "failed": set(),
    "cancelled": set(),
    "skipped": set(),
}


@pytest.mark.parametrize(("current", "following"), list(product(RUN_STATUSES, RUN_STATUSES)))
def test_a_run_takes_only_the_steps_there_are(current: RunStatus, following: RunStatus) -> None:
    """Semantics S1: every pair; final states never change, nothing becomes skipped, nothing steps back."""
    if following in ALLOWED[current]:
        check_transition(current, following)
    else:
        with pytest.raises(ConflictError) as caught:
            check_transition(current, following)
        assert caught.value.code == ("run_ended" if current in FINAL_STATUSES else "run_transition")
        assert current in caught.value.message


def test_a_status_is_either_active_or_final() -> None:
    """Semantics S1."""
    assert set(RUN_STATUSES) == ACTIVE_STATUSES | FINAL_STATUSES
    assert not ACTIVE_STATUSES & FINAL_STATUSES
    assert sorted(FINAL_STATUSES) == ["cancelled", "completed", "failed", "skipped"]


def test_every_active_state_leads_to_an_end() -> None:
    """Semantics S1: a run can always fail, whatever happens to it."""
    for status in ACTIVE_STATUSES:
        check_transition(status, "failed")


def test_a_runs_duration_is_known_once_it_has_ended() -> None:
    """Semantics S1."""
    assert make_run(started_at=NOW).duration_seconds is None
    assert make_run(ended_at=NOW).duration_seconds is None
    ended = make_run(status="completed", started_at=NOW, ended_at=NOW + timedelta(seconds=61.9))
    assert ended.duration_seconds == 61
    assert ended.is_final


Stop = Literal["timeout", "cancel"] | None


@pytest.mark.parametrize(
    ("exit_code", "stop", "last_line", "status", "reason"),
    [
        (0, None, "done", "completed", None),
        (0, "timeout", "saved", "completed", None),
        (0, "cancel", "saved", "completed", None),
        (1, None, "ValueError: no apples", "failed", "exit code 1: ValueError: no apples"),
        (1, None, "\tmod:`here` attr: `there` ", "failed", "exit code 1: mod:`here` attr: `there`"),
        (1, None, "", "failed", "exit code 1"),
        (128, None, "", "failed", "exit code 128"),
        (137, None, "loading", "failed", "killed by signal 9: loading"),
        (143, None, "", "failed", "killed by signal 15"),
        (143, "cancel", "x", "cancelled", "cancelled on request"),
        (137, "cancel", "x", "cancelled", "cancelled on request"),
        (None, "cancel", "x", "cancelled", "cancelled on request"),
        (137, "timeout", "x", "failed", "timeout: the job ran past its limit of 7200 s"),
        (1, "timeout", "KeyboardInterrupt", "failed", "timeout: the job ran past its limit of 7200 s"),
        (None, "timeout", "", "failed", "timeout: the job ran past its limit of 7200 s"),
    ],
)
def test_how_a_process_ended_is_how_its_run_ends(
    exit_code: int | None, stop: Stop, last_line: str, status: RunStatus, reason: str | None
) -> None:
    """Semantics S2, S6: exit 0 within the grace is completed, a cancel goes the same way."""
    end = judge_end(exit_code, stopped_for=stop, last_line=last_line, timeout_seconds=7200)
    assert (end.status, end.exit_code, end.reason) == (status, exit_code, reason)


def test_a_sandbox_that_vanished_is_told_as_such() -> None:
    """Semantics S6."""
    end = judge_end(None, stopped_for=None, last_line="")
    assert end.status == "failed"
    assert "disappeared" in (end.reason or "")


@given(
    st.none() | st.integers(0, 255),
    st.sampled_from([None, "timeout", "cancel"]),
    st.text(),
    st.none() | st.floats(0.1, 1e6),
)
def test_every_end_is_final_and_every_failure_has_a_reason(
    exit_code: int | None, stop: Stop, last_line: str, limit: float | None
) -> None:
    """Semantics S1, S6."""
    end = judge_end(exit_code, stopped_for=stop, last_line=last_line, timeout_seconds=limit)
    assert end.status in {"completed", "failed", "cancelled"}
    assert bool(end.reason) == (end.status != "completed")
    assert (end.status == "completed") == (exit_code == 0)
    assert "cancelled" not in (end.status,) or stop == "cancel"
