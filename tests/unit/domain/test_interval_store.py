"""Jobs that do their interval tick by tick (semantics W3), with the SDK as the oracle."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.interval_store import (
    MOST_AT_ONCE,
    IntervalSpan,
    interval_spans,
    next_windows,
    open_windows,
    windows_at_once,
)
from runtime.domain.intervals import JobInterval, NoWindow, Window, declared_interval, snapped_range
from runtime.domain.ranges import Range, coalesce, covers, subtract
from tests import scheduling_oracle as sdk
from tests.clocks import ZONES, anywhen, is_quiet, zoned_moments
from tests.factories import make_definition

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TRIGGERS = ["schedule:0 * * * *", "schedule:*/40 */5 * * *", "schedule:0,45 2 * * *", "schedule:0 8 * * *", "every:7h"]

triggers = st.sampled_from(TRIGGERS)
hours = st.integers(-10, 60)
pieces = st.lists(st.tuples(hours, st.integers(1, 14)), max_size=5)


def store_of(trigger: str, start: datetime, zone: str = "UTC", mode: str = "sequential") -> JobInterval:
    declared = {"start": start.isoformat(), "mode": mode}
    interval = declared_interval(
        make_definition(
            triggers=[trigger], interval=declared, require={"timezone": zone}, allow_external_schedulers=True
        )
    )
    assert interval is not None
    return interval


def all_windows(interval: JobInterval, now: datetime) -> list[Window]:
    """Every window that has passed, the slow way."""
    edges = [interval.start]
    for tick in interval.ticks(interval.start):
        if tick > now:
            break
        edges.append(tick)
    return list(pairwise(edges))


def ranges_of(start: datetime, several: Sequence[tuple[int, int]]) -> tuple[Range, ...]:
    return coalesce((start + first * HOUR, start + (first + width) * HOUR) for first, width in several)


@given(triggers, zoned_moments(), pieces, st.integers(0, 48))
def test_open_windows_are_those_that_are_not_wholly_done(
    trigger: str, at: tuple[str, datetime], done: list[tuple[int, int]], later: int
) -> None:
    """Semantics W3: in order, across changes of clocks, however the done ranges lie to the ticks.

    On purpose unlike the SDK, which passes over a first window that is done in part, and goes back before the start of
    the interval for a range that ends before it.
    """
    zone, start = at
    interval, now = store_of(trigger, start, zone), start + later * HOUR
    completed = ranges_of(start, done)
    expected = [window for window in all_windows(interval, now) if not covers(completed, window)]
    assert list(open_windows(interval, completed, now)) == expected


@given(
    triggers.filter(lambda trigger: trigger.startswith("schedule:")),
    st.tuples(st.sampled_from(ZONES), anywhen),
    st.sets(st.integers(0, 40)),
    st.integers(0, 60),
)
def test_open_windows_are_the_sdks_eligible_intervals(
    trigger: str, at: tuple[str, datetime], done: set[int], later: int
) -> None:
    """Semantics W3: any set of completed ticks, wherever no clock is changed.

    Where one is, the SDK's windows may be empty, overlap or run backward; ours never do (see `test_ticks`).
    """
    zone, start = at
    interval, now = store_of(trigger, start, zone), start + later * HOUR
    windows = all_windows(interval, now)
    completed = coalesce(window for index, window in enumerate(windows) if index in done)
    cron, overall = trigger.removeprefix("schedule:"), interval.elapsed(now)
    found = list(open_windows(interval, completed, now))
    if is_quiet(zone, overall[0], now):
        assert found == sdk.interval_store.get_eligible_intervals(cron, overall, completed, zone)
        assert next(iter(found), None) == sdk.interval_store.next_eligible_interval(cron, overall, completed, zone)
    assert all(one[0] < one[1] for one in found)
    assert all(earlier[1] <= later_one[0] for earlier, later_one in pairwise(found))


@given(
    triggers,
    zoned_moments(),
    st.integers(1, 4),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=60),
)
def test_windows_are_done_each_once_in_order_and_not_more_at_once_than_allowed(
    trigger: str, at: tuple[str, datetime], at_once: int, later: int, ends: list[tuple[int, int]]
) -> None:
    """Semantics W3: whichever of the windows in work ends next, and however many fail on the way."""
    zone, start = at
    interval, now = store_of(trigger, start, zone, "parallel"), start + later * HOUR
    completed: tuple[Range, ...] = ()
    active: list[Window] = []
    succeeded: list[Window] = []
    begun: list[Window] = []
    for which, outcome in [*ends, *[(0, 1)] * 200]:
        starting = next_windows(interval, completed, active, now, at_once=at_once)
        assert starting == sorted(starting)
        active += starting
        begun += starting
        assert len(active) <= at_once
        if not active:
            break
        ended = active.pop(which % len(active))
        if outcome:
            succeeded.append(ended)
            completed = coalesce([*completed, ended])
    assert sorted(succeeded) == all_windows(interval, now)
    assert completed == coalesce([interval.elapsed(now)])
    if at_once == 1:
        assert succeeded == sorted(succeeded)
    assert set(begun) == set(succeeded)  # a window that failed was tried again


@given(triggers, zoned_moments(), hours, st.integers(1, 30), st.integers(0, 48))
def test_a_backfill_opens_exactly_the_windows_its_range_touches(
    trigger: str, at: tuple[str, datetime], first: int, width: int, later: int
) -> None:
    """Semantics W3."""
    zone, start = at
    interval, now = store_of(trigger, start, zone), start + later * HOUR
    wanted = start + first * HOUR, start + (first + width) * HOUR
    windows = all_windows(interval, now)
    found = snapped_range(interval, *wanted, now)
    left = coalesce(windows) if isinstance(found, NoWindow) else subtract(coalesce(windows), [found])
    touched = [window for window in windows if window[0] < wanted[1] and wanted[0] < window[1]]
    assert list(open_windows(interval, left, now)) == touched


@given(triggers, zoned_moments(), pieces, pieces, pieces, st.integers(0, 60))
def test_spans_tell_the_state_of_each_moment_once(
    trigger: str,
    at: tuple[str, datetime],
    done: list[tuple[int, int]],
    running: list[tuple[int, int]],
    failed: list[tuple[int, int]],
    later: int,
) -> None:
    """Semantics W3: what runs is running, else what is done is done, else what failed failed, else it is missing."""
    zone, start = at
    interval, now = store_of(trigger, start, zone), start + later * HOUR
    sets = {
        "running": ranges_of(start, running),
        "done": ranges_of(start, done),
        "failed": ranges_of(start, failed),
        "missing": (interval.elapsed(now),),
    }
    spans = interval_spans(interval, sets["done"], sets["running"], sets["failed"], now)
    edges = list(chain.from_iterable((span.start, span.end) for span in spans))
    assert coalesce((span.start, span.end) for span in spans) == coalesce([interval.elapsed(now)])
    assert edges == sorted(edges)
    for span in spans:
        assert span.start < span.end
        middle = span.start + (span.end - span.start) / 2
        assert span.state == next(
            state for state, several in sets.items() if any(one[0] <= middle < one[1] for one in several)
        )


def test_done_and_missing_stretches_are_one_span_but_windows_of_runs_stay_apart() -> None:
    """Semantics W3."""
    interval = store_of("schedule:0 * * * *", START)
    windows = all_windows(interval, START + 8 * HOUR)
    spans = interval_spans(interval, windows[:3], windows[3:5], windows[5:7], START + 8 * HOUR)

    def span(state: str, first: int, last: int) -> IntervalSpan:
        return IntervalSpan.model_validate({"state": state, "start": START + first * HOUR, "end": START + last * HOUR})

    assert spans == [
        span("done", 0, 3),
        span("running", 3, 4),
        span("running", 4, 5),
        span("failed", 5, 6),
        span("failed", 6, 7),
        span("missing", 7, 8),
    ]


def test_a_sequential_job_does_not_pass_a_failed_window_by() -> None:
    """Semantics W3: it is tried again when the job is triggered again, and nothing before."""
    interval, now = store_of("schedule:0 * * * *", START), START + 5 * HOUR
    first = next_windows(interval, (), (), now, at_once=1)
    assert first == all_windows(interval, now)[:1]
    assert next_windows(interval, (), (), now, at_once=1, set_aside=first) == []


def test_a_parallel_job_goes_on_with_the_windows_that_have_not_failed() -> None:
    """Semantics W3: so that one bad window is not tried again for each good one."""
    interval, now = store_of("schedule:0 * * * *", START, mode="parallel"), START + 5 * HOUR
    windows = all_windows(interval, now)
    assert next_windows(interval, (), windows[1:2], now, at_once=3, set_aside=windows[:1]) == windows[2:4]


def test_a_refresh_goes_alone() -> None:
    """Semantics R2: until one window has succeeded with it; it may clear what others write."""
    interval, now = store_of("schedule:0 * * * *", START, mode="parallel"), START + 5 * HOUR
    first = next_windows(interval, (), (), now, at_once=3, is_refreshing=True)
    assert first == all_windows(interval, now)[:1]
    assert next_windows(interval, (), first, now, at_once=3, is_refreshing=True) == []


def test_a_window_of_an_earlier_schedule_that_still_runs_keeps_others_off_its_time() -> None:
    """Semantics W3: windows in work never overlap, though a deploy divides time anew."""
    interval, now = store_of("schedule:0 * * * *", START, mode="parallel"), START + 5 * HOUR
    long_one = (START + HOUR / 2, START + 3 * HOUR)
    assert next_windows(interval, (), [long_one], now, at_once=4) == all_windows(interval, now)[3:]


def test_a_changed_schedule_divides_what_is_left_anew() -> None:
    """Semantics W3: days that are done stay done when the job becomes hourly."""
    hourly = store_of("schedule:0 * * * *", START)
    two_days = [(START, START + 2 * DAY)]
    assert next(open_windows(hourly, two_days, START + 3 * DAY)) == (START + 2 * DAY, START + 2 * DAY + HOUR)


@pytest.mark.parametrize(
    ("mode", "concurrency", "expected"),
    [("sequential", 5, 1), ("sequential", None, 1), ("parallel", 5, 5), ("parallel", None, MOST_AT_ONCE)],
)
def test_how_many_windows_are_in_work(mode: str, concurrency: int | None, expected: int) -> None:
    """Semantics W3, D5."""
    assert windows_at_once(store_of("every:1h", START, mode=mode), concurrency) == expected


def test_years_of_done_windows_cost_nothing() -> None:
    """Semantics W3: only what is missing is enumerated, and only as far as it is asked for."""
    interval = store_of("schedule:* * * * *", START - 20 * 365 * DAY)
    done = [(interval.start, START - HOUR)]
    assert len(list(open_windows(interval, done, START))) == 60
    assert len(list(islice(open_windows(interval, (), START), 3))) == 3
