"""Jobs with an `interval` and a pointer (semantics W2, D2, D4), with the SDK as the oracle."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.domain.intervals import (
    JobInterval,
    NoWindow,
    declared_interval,
    latest_window,
    pointer_window,
    snapped_range,
)
from runtime.errors import InvalidError
from tests import scheduling_oracle as sdk
from tests.clocks import ZONES, anywhen, is_quiet, zoned_moments
from tests.factories import make_definition

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAILY = "schedule:0 8 * * *"

triggers = st.sampled_from([DAILY, "schedule:0 * * * *", "schedule:30 2 * * *", "schedule:0 0 * * mon", "every:36h"])


def interval_of(
    trigger: str = DAILY, *, start: str = "2026-01-01T08:00:00Z", end: str | None = None, **fields: Any
) -> JobInterval:
    declared = {"start": start} if end is None else {"start": start, "end": end}
    override = fields.pop("override", None)
    require = {"timezone": fields.pop("timezone", "UTC")}
    definition = make_definition(interval=declared, triggers=[trigger], require=require, **fields)
    interval = declared_interval(definition, override)
    assert interval is not None
    return interval


def refusal(found: object) -> NoWindow:
    assert isinstance(found, NoWindow)
    return found


@given(
    triggers.filter(lambda trigger: trigger.startswith("schedule:")),
    st.tuples(st.sampled_from(ZONES), anywhen),
    st.integers(0, 40),
    st.booleans(),
)
def test_what_has_passed_of_an_interval_is_what_the_sdk_resolves(
    trigger: str, at: tuple[str, datetime], days: int, is_naive: bool
) -> None:
    """Semantics W2: both ends snapped back to ticks; times without an offset are the zone's.

    Near a change of clocks the SDK's floor may lie ahead of the moment it is of; ours never does (see `test_ticks`).
    """
    zone, start = at
    now = start + timedelta(days=days)
    text = start.replace(tzinfo=None).isoformat() if is_naive else start.isoformat()
    interval = interval_of(trigger, start=text, timezone=zone)
    assume(is_quiet(zone, start - 8 * DAY, start) and is_quiet(zone, now - 8 * DAY, now))
    spec = {"start": text, "end": now.isoformat()}
    expected = sdk.interval.resolve_interval_spec(spec, trigger.removeprefix("schedule:"), zone)
    assume(expected[0] <= expected[1])
    assert interval.elapsed(now) == expected
    ended = interval_of(trigger, start=text, end=now.isoformat(), timezone=zone) if expected[0] < expected[1] else None
    assert ended is None or ended.elapsed(now + timedelta(days=days)) == expected


@given(
    triggers,
    zoned_moments(),
    st.none() | st.integers(1, 30),
    st.lists(st.tuples(st.integers(1, 200_000), st.booleans()), min_size=1, max_size=12),
)
def test_windows_of_successes_are_continuous_and_disjoint(
    trigger: str, at: tuple[str, datetime], end_days: int | None, runs: list[tuple[int, bool]]
) -> None:
    """Semantics W2: whatever fails between, whenever they run, across changes of clocks, up to the interval's end."""
    zone, start = at
    end = (start + timedelta(days=end_days + 7)).isoformat() if end_days else None
    interval = interval_of(trigger, start=start.isoformat(), end=end, timezone=zone)
    pointer, done, now = None, [], start
    for step, succeeds in runs:
        now += timedelta(seconds=step)
        window = pointer_window(interval, pointer, now)
        if isinstance(window, NoWindow):
            assert window.outcome == (
                "skipped_out_of_interval"
                if interval.elapsed(now)[0] == interval.elapsed(now)[1] or (interval.end and now >= interval.end)
                else "skipped_already_covered"
            )
            continue
        assert window[0] < window[1] <= now
        assert interval.end is None or window[1] <= interval.end
        if succeeds:
            pointer = window[1]
            done.append(window)
    assert not done or done[0][0] == interval.start
    assert all(earlier[1] == later[0] for earlier, later in pairwise(done))
    if not isinstance(pointer_window(interval, pointer, now), NoWindow):
        return
    assert not done or done[-1][1] == interval.elapsed(now)[1]  # nothing is left out


@given(
    triggers.filter(lambda trigger: trigger.startswith("schedule:")),
    st.tuples(st.sampled_from(ZONES), anywhen),
    st.integers(0, 30 * 86_400),
)
def test_a_manual_start_of_a_job_that_is_up_to_date_repeats_the_tick_the_sdk_would_run(
    trigger: str, at: tuple[str, datetime], seconds: int
) -> None:
    """Semantics D4: the most recent elapsed tick, cut to the interval."""
    zone, start = at
    now = start + timedelta(seconds=seconds)
    interval = interval_of(trigger, start=start.isoformat(), timezone=zone)
    found = latest_window(interval, now)
    expected = sdk.interval.compute_run_interval(trigger, now, None, zone)
    assume(is_quiet(zone, min(expected[0], start - 8 * DAY), now))
    if isinstance(found, NoWindow):
        assert interval.elapsed(now)[0] == interval.elapsed(now)[1]
    else:
        assert found == (max(expected[0], interval.start), expected[1])


@given(triggers, zoned_moments(), st.integers(-20, 30), st.integers(-20, 30), st.integers(0, 30))
def test_a_backfill_reopens_whole_ticks(
    trigger: str, at: tuple[str, datetime], first: int, last: int, days: int
) -> None:
    """Semantics W3: all that the range touches and has passed, nothing that lies outside the interval."""
    zone, start = at
    now = start + timedelta(days=days, hours=5)
    interval = interval_of(trigger, start=start.isoformat(), timezone=zone, allow_external_schedulers=True)
    wanted = start + timedelta(days=first), start + timedelta(days=last, hours=1)
    found = snapped_range(interval, *wanted, now)
    elapsed = interval.elapsed(now)
    touched = max(wanted[0], elapsed[0]), min(wanted[1], elapsed[1])
    if isinstance(found, NoWindow):
        assert touched[0] >= touched[1]
        return
    assert elapsed[0] <= found[0] <= touched[0] < touched[1] <= found[1] <= elapsed[1]
    assert all(interval.floor(edge) == edge for edge in found)
    assert interval.floor(touched[0]) == found[0]
    assert interval.floor(found[1] - timedelta(microseconds=1)) < touched[1]


def test_a_schedule_snaps_the_start_backward_and_a_period_does_not() -> None:
    """Semantics W2."""
    assert interval_of(start="2026-01-01T12:00:00Z").start == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert interval_of("every:1h", start="2026-01-01T12:34:56Z").start == datetime(2026, 1, 1, 12, 34, 56, tzinfo=UTC)


def test_a_date_begins_at_midnight_of_the_jobs_zone() -> None:
    """Semantics W2, T1."""
    interval = interval_of("schedule:0 0 * * *", start="2026-01-01", timezone="Asia/Kathmandu")
    assert interval.start == datetime(2025, 12, 31, 18, 15, tzinfo=UTC)


def test_the_first_run_reaches_from_the_start_to_the_newest_tick() -> None:
    """Semantics W2, W5."""
    assert pointer_window(interval_of(), None, NOW) == (START + 8 * HOUR, NOW.replace(hour=8, minute=0))


def test_a_period_ends_its_windows_now() -> None:
    """Semantics W2: as the SDK, which knows no grid of periods."""
    assert pointer_window(interval_of("every:1h"), NOW - timedelta(minutes=7), NOW) == (NOW - timedelta(minutes=7), NOW)
    assert latest_window(interval_of("every:1h"), NOW) == (NOW - HOUR, NOW)


def test_a_window_after_the_end_of_the_interval_is_still_done_if_it_was_not() -> None:
    """Semantics D2, W2: the end has passed, but not all before it is complete; nothing is left out."""
    interval = interval_of(end="2026-02-01T08:00:00Z")
    end = datetime(2026, 2, 1, 8, tzinfo=UTC)
    assert pointer_window(interval, end - 2 * DAY, NOW) == (end - 2 * DAY, end)
    assert pointer_window(interval, None, NOW) == (interval.start, end)
    skipped = refusal(pointer_window(interval, end, NOW))
    assert skipped.outcome == "skipped_out_of_interval"
    assert skipped.reason == "its interval ended at 2026-02-01 08:00 UTC and is done"


def test_an_interval_that_has_not_begun_has_no_window() -> None:
    """Semantics D2."""
    skipped = refusal(pointer_window(interval_of(start="2026-06-01T08:00:00Z"), None, NOW))
    assert skipped.outcome == "skipped_out_of_interval"
    assert skipped.reason == "no tick of its interval has passed, which starts at 2026-06-01 08:00 UTC"
    assert refusal(latest_window(interval_of(start="2026-06-01T08:00:00Z"), NOW)) == skipped


def test_a_job_that_is_up_to_date_has_no_window() -> None:
    """Semantics D4."""
    skipped = refusal(pointer_window(interval_of(), NOW.replace(hour=8, minute=0), NOW))
    assert skipped.outcome == "skipped_already_covered"
    assert skipped.reason == "done up to 2026-03-10 08:00 UTC, the newest tick"


def test_a_start_that_moves_forward_leaves_out_what_lies_before_it() -> None:
    """Semantics W2: the pointer is of another deployment."""
    moved = interval_of(start="2026-03-01T08:00:00Z")
    assert pointer_window(moved, START, NOW) == (moved.start, NOW.replace(hour=8, minute=0))


def test_an_override_moves_the_ends_of_windows_but_not_of_discrete_ones() -> None:
    """Semantics T8, W3: ticks that are recorded stay what they are. The interval's end stays its last window's."""
    override = "schedule:0 * * * *"
    pointed = interval_of(override=override, end="2026-03-10T08:00:00Z")
    assert pointed.elapsed(NOW - DAY)[1] == (NOW - DAY).replace(minute=0)
    assert pointed.elapsed(NOW)[1] == NOW.replace(hour=8, minute=0)
    assert interval_of(override="schedule:0 3 * * *", end="2026-03-10T08:00:00Z").elapsed(NOW)[1].hour == 8
    discrete = interval_of(override=override, allow_external_schedulers=True)
    assert discrete.elapsed(NOW)[1] == NOW.replace(hour=8, minute=0)


def test_discrete_and_parallel_are_told_by_the_definition() -> None:
    """Semantics W3, in both engines; `interval.mode` parallel needs discrete windows, so it implies them."""
    assert not interval_of().is_discrete
    assert interval_of(allow_external_schedulers=True).is_discrete
    assert interval_of(engine=2, incremental_mode="interval").is_discrete
    assert not interval_of(engine=2, incremental_mode="pipeline").is_discrete
    parallel = declared_interval(
        make_definition(triggers=[DAILY], interval={"start": "2026-01-01", "mode": "parallel"})
    )
    assert parallel is not None
    assert (parallel.is_discrete, parallel.is_parallel) == (True, True)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"interval": {"start": "2026-01-01"}, "triggers": ["deployment:"]}, "needs a `schedule:` or `every:`"),
        ({"interval": {"start": "soon"}, "triggers": [DAILY]}, "soon"),
        ({"interval": {"start": "2026-01-01", "end": "later"}, "triggers": [DAILY]}, "later"),
        ({"interval": {"start": "2026-01-02", "end": "2026-01-02T07:00"}, "triggers": [DAILY]}, "holds no tick"),
        ({"interval": {"start": "0001-01-01"}, "triggers": [DAILY]}, "interval"),
        ({"interval": {"start": "2026-01-01"}, "triggers": ["schedule:0 0 1 1 * 0 2030-2040"]}, "does not come before"),
    ],
)
def test_an_interval_that_cannot_be_is_told_in_a_sentence(fields: dict[str, Any], why: str) -> None:
    """Semantics W2: naming the job."""
    with pytest.raises(InvalidError, match=r"jobs\.shop\.load") as caught:
        declared_interval(make_definition(**fields))
    assert why in caught.value.message


def test_a_job_without_interval_has_none() -> None:
    """Semantics W1."""
    assert declared_interval(make_definition(triggers=[DAILY])) is None
