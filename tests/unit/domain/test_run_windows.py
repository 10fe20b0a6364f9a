"""The window a run covers is the one the SDK computes (semantics W1, T1)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.domain.intervals import elapsed_ticks, run_window
from runtime.errors import InvalidError
from tests import oracle

CRONS = [
    "* * * * *",
    "*/15 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "0 8 * * *",
    "0 0 * * *",
    "59 23 * * *",
    "0 8 * * mon-fri",
    "0 0 1 * *",
    "0 0 29 2 *",
    "0 0 L * *",
    "15 10 * * * 30",
    "@weekly",
    "@yearly",
]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",  # changes its clocks by half an hour
    "Pacific/Apia",  # has skipped a day
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Antarctica/Troll",  # by two hours
]
CLOCK_CHANGES = [  # of Berlin, New York, Lord Howe; Apia's lost day
    datetime(2025, 3, 30, 1, tzinfo=UTC),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2025, 3, 9, 7, tzinfo=UTC),
    datetime(2025, 11, 2, 6, tzinfo=UTC),
    datetime(2025, 4, 5, 15, tzinfo=UTC),
    datetime(2025, 10, 4, 15, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
near_changes = st.builds(
    lambda change, seconds, micros: change + timedelta(seconds=seconds, microseconds=micros),
    st.sampled_from(CLOCK_CHANGES),
    st.integers(-3 * 3600, 3 * 3600) | st.integers(-6, 6).map(lambda halves: halves * 1800),
    st.sampled_from([-1, 0, 1, 999_999]),
)
moments = near_changes | st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
triggers = st.one_of(
    st.sampled_from(CRONS).map("schedule:{}".format),
    st.sampled_from(["every:60", "every:1m", "every:1.5h", "every:7d"]),
    st.sampled_from(["once:2026-01-01", "once:1960-01-01T00:00", "once:2026-01-01T10:00:00.5+02:00"]),
    st.sampled_from(["manual:", "manual:jobs.a", "http:8080", "webhook:", "tag:x", "deployment:", "job.fail:jobs.a"]),
)


@given(triggers, moments, st.none() | moments, st.sampled_from(ZONES))
@example("schedule:30 2 * * *", datetime(2025, 3, 30, 1, 10, tzinfo=UTC), None, "Europe/Berlin")
@example("schedule:0 * * * *", datetime(2025, 10, 26, 1, 30, tzinfo=UTC), None, "Europe/Berlin")
def test_a_window_is_the_sdks(trigger: str, now: datetime, completed_until: datetime | None, zone: str) -> None:
    """Semantics W1: any trigger, in any zone, across every change of clocks, with and without a completed end."""
    expected = oracle.interval.compute_run_interval(trigger, now, completed_until, zone)
    assert run_window(trigger, now, completed_until, zone) == expected


@given(st.sampled_from(CRONS), moments, st.sampled_from(ZONES))
def test_the_last_tick_is_the_sdks_floor(cron: str, now: datetime, zone: str) -> None:
    """Semantics T1, W2."""
    floor = oracle.interval.cron_floor(cron, now.astimezone(ZoneInfo(zone)))
    assert elapsed_ticks(cron, now, zone)[1] == floor.astimezone(UTC)


@given(triggers, moments, st.none() | moments, st.sampled_from(ZONES), st.sampled_from(ZONES))
def test_windows_are_utc_and_do_not_depend_on_the_zone_that_now_is_written_in(
    trigger: str, now: datetime, completed_until: datetime | None, zone: str, other: str
) -> None:
    """Semantics W1, W4."""
    window = run_window(trigger, now, completed_until, zone)
    assert run_window(trigger, now.astimezone(ZoneInfo(other)), completed_until, zone) == window
    assert all(end.utcoffset() == timedelta(0) for end in run_window(trigger, now, None, zone))


@given(st.sampled_from(CRONS), moments)
def test_where_clocks_do_not_change_a_tick_window_has_elapsed_and_is_not_empty(cron: str, now: datetime) -> None:
    """Semantics W1: `start < end <= now`; across a change of clocks the SDK promises none of it, nor do we."""
    for zone in ("UTC", "Asia/Kathmandu"):
        start, end = elapsed_ticks(cron, now, zone)
        assert start < end <= now


@given(
    st.sampled_from(["0 8 * * *", "0 0 * * *", "0 * * * *", "*/15 * * * *"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.lists(st.integers(1, 5 * 86400), min_size=2, max_size=12),
    st.sampled_from(ZONES),
)
def test_windows_of_successive_successes_leave_no_gap(cron: str, begin: datetime, steps: list[int], zone: str) -> None:
    """Semantics W1, W5: each run reaches back to the last success, however long the daemon was down."""
    completed_until: datetime | None = None
    windows = []
    now = begin
    for step in steps:
        now += timedelta(seconds=step)
        window = run_window(f"schedule:{cron}", now, completed_until, zone)
        if window[0] < window[1]:
            windows.append(window)
            completed_until = window[1]
    assert all(earlier[1] == later[0] for earlier, later in pairwise(windows))


@pytest.mark.parametrize(
    ("day", "expected_utc_hour"),
    [(datetime(2025, 3, 29, 20, tzinfo=UTC), 7), (datetime(2025, 3, 30, 20, tzinfo=UTC), 6)],
)
def test_eight_in_the_morning_stays_eight_through_a_change_of_clocks(day: datetime, expected_utc_hour: int) -> None:
    """Semantics T1."""
    assert elapsed_ticks("0 8 * * *", day, "Europe/Berlin")[1].hour == expected_utc_hour


def test_a_tick_at_this_very_moment_has_elapsed() -> None:
    """Semantics W1."""
    now = datetime(2026, 3, 10, 8, tzinfo=UTC)
    day = timedelta(days=1)
    assert elapsed_ticks("0 8 * * *", now, "UTC") == (now - day, now)
    assert elapsed_ticks("0 8 * * *", now - timedelta(microseconds=1), "UTC") == (now - 2 * day, now - day)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_schedule_that_never_comes_is_told_in_a_sentence(cron: str) -> None:
    """Semantics T1: croniter calls it valid, so it is met only here."""
    with pytest.raises(InvalidError, match="never comes"):
        run_window(f"schedule:{cron}", datetime(2026, 1, 1, tzinfo=UTC), None, "UTC")
