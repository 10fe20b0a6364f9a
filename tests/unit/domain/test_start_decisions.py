"""Whether a job may start now, and with what (semantics D4, D5, J6, W1)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.intervals import run_window
from runtime.domain.starting import Skip, Start, StartFacts, decide_start
from runtime.errors import InvalidError
from tests.factories import NOW, make_configuration, make_definition, make_job

DAILY = "schedule:0 8 * * *"
TICK = datetime(2026, 3, 10, 8, tzinfo=UTC)


def facts(**changes: Any) -> StartFacts:
    return StartFacts(**{"configuration": make_configuration(), "active_runs": 0, "completed_until": None, **changes})


def started(decision: Start | Skip) -> Start:
    assert isinstance(decision, Start)
    return decision


@given(st.none() | st.integers(1, 5), st.integers(0, 6))
def test_no_more_runs_are_active_than_concurrency_allows(concurrency: int | None, active: int) -> None:
    """Semantics D5: null is unlimited."""
    job = make_job(make_definition(execute={"concurrency": concurrency}))
    decision = decide_start(job, "manual:jobs.shop.load", facts(active_runs=active), NOW)
    is_full = concurrency is not None and active >= concurrency
    assert isinstance(decision, Skip) == is_full
    if isinstance(decision, Skip):
        assert decision.outcome == "skipped_concurrency_limit"
        assert f"concurrency is {concurrency}" in decision.reason


def test_absent_concurrency_is_one() -> None:
    """Semantics D5: the reason speaks English."""
    decision = decide_start(make_job(), "manual:", facts(active_runs=1), NOW)
    assert isinstance(decision, Skip)
    assert decision.reason.startswith("1 run of `jobs.shop.load`")


def test_a_scheduled_start_covers_the_elapsed_tick() -> None:
    """Semantics W1."""
    decision = started(decide_start(make_job(), DAILY, facts(), NOW))
    assert (decision.interval_start, decision.interval_end) == (TICK - timedelta(days=1), TICK)


def test_a_scheduled_start_reaches_back_to_the_last_completed_window() -> None:
    """Semantics W1, W5."""
    last = TICK - timedelta(days=4)
    decision = started(decide_start(make_job(), DAILY, facts(completed_until=last), NOW))
    assert (decision.interval_start, decision.interval_end) == (last, TICK)


@pytest.mark.parametrize("completed_until", [TICK, TICK + timedelta(hours=1)])
def test_a_manual_start_of_a_tick_that_is_done_runs_it_again(completed_until: datetime) -> None:
    """Semantics D4."""
    decision = started(decide_start(make_job(), DAILY, facts(completed_until=completed_until), NOW))
    assert (decision.interval_start, decision.interval_end) == (TICK - timedelta(days=1), TICK)


@pytest.mark.parametrize("cron", ["* * * * *", "*/15 * * * *", "0 * * * *"])
def test_the_first_tick_after_clocks_go_forward_covers_nothing_rather_than_less(cron: str) -> None:
    """Semantics W1: the tick before it lies in the hour that was skipped, which the SDK puts after it."""
    job = make_job(make_definition(require={"timezone": "Europe/Berlin"}))
    change = datetime(2025, 3, 30, 1, tzinfo=UTC)
    start, end = run_window(f"schedule:{cron}", change, None, "Europe/Berlin")
    assert start >= end
    decision = started(decide_start(job, f"schedule:{cron}", facts(), change))
    assert decision.interval_start == decision.interval_end == change


def test_ticks_are_read_in_the_jobs_own_zone() -> None:
    """Semantics T1."""
    job = make_job(make_definition(require={"timezone": "America/New_York"}))
    assert started(decide_start(job, DAILY, facts(), NOW)).interval_end == TICK + timedelta(hours=4)  # 8:00 EDT


@pytest.mark.parametrize("trigger", ["manual:jobs.shop.load", "job.success:jobs.up", "tag:x", "http:", "deployment:"])
def test_an_event_is_a_point_in_time(trigger: str) -> None:
    """Semantics W1: whatever has been completed."""
    decision = started(decide_start(make_job(), trigger, facts(completed_until=TICK), NOW))
    assert decision.interval_start == decision.interval_end == NOW


@pytest.mark.parametrize(
    ("job_type", "required", "override", "expected"),
    [
        ("batch", None, None, "prod"),
        ("interactive", None, None, "access"),
        ("batch", "dev", None, "dev"),
        ("batch", "dev", "staging", "staging"),
    ],
)
def test_the_profile_is_the_callers_else_the_jobs_else_the_default(
    job_type: Any, required: str | None, override: str | None, expected: str
) -> None:
    """Semantics J6."""
    job = make_job(make_definition(job_type=job_type, require={"profile": required} if required else {}))
    known = facts(configuration=make_configuration(profiles=("access", "prod")))
    assert started(decide_start(job, "manual:", known, NOW, override)).profile == expected


def test_a_profile_that_leads_elsewhere_is_refused() -> None:
    """Semantics J6."""
    with pytest.raises(InvalidError, match="profile"):
        decide_start(make_job(), "manual:", facts(), NOW, "../other-workspace/prod")
