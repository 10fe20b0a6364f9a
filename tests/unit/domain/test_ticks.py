"""When timed triggers are due (semantics T1-T3, W5), with the SDK as the oracle."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runtime.domain.ticks import PUNCTUAL, cron_floor, cron_ticks, elapsed_tick, next_tick, next_ticks
from runtime.domain.triggers import parse_trigger
from tests import scheduling_oracle as sdk
from tests.clocks import CRONS, ZONES, anywhen, is_quiet, ticks_by_the_wall, zoned_moments

SPRING = datetime(2025, 3, 30, 1, tzinfo=UTC)  # Berlin goes from 02:00 to 03:00
AUTUMN = datetime(2025, 10, 26, 1, tzinfo=UTC)  # and from 03:00 back to 02:00
LORD_HOWE_SPRING = datetime(2025, 10, 4, 15, 30, tzinfo=UTC)  # from 02:00 to 02:30: 02:15 stands for 02:45, after 02:30
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)

crons = st.sampled_from(CRONS)
schedules = crons.map("schedule:{}".format)
timed = schedules | st.sampled_from(["every:60", "every:90", "every:1h", "every:1d", "once:2020-02-29T12:00:00Z"])


@given(crons, zoned_moments())
@example("* * * * *", ("Europe/Berlin", AUTUMN + timedelta(minutes=50)))
@example("30 2 * * *", ("Europe/Berlin", SPRING + timedelta(minutes=10)))
@example("0,45 2 * * *", ("Europe/Berlin", SPRING))
@example("*/15 * * * *", ("Europe/Berlin", AUTUMN + timedelta(minutes=10)))
@example("15,30 0,2 * * *", ("Australia/Lord_Howe", LORD_HOWE_SPRING - timedelta(minutes=10)))
@example("15,30 0,2 * * *", ("Australia/Lord_Howe", LORD_HOWE_SPRING + timedelta(minutes=20)))
@example("0 12 30,31 12 *", ("Pacific/Apia", datetime(2011, 12, 30, 15, tzinfo=UTC)))
def test_ticks_are_the_sdks_wall_times_in_the_order_of_time(cron: str, at: tuple[str, datetime]) -> None:
    """Semantics T1: each once, whoever asks from where; the floor is the newest of the same ticks."""
    zone, now = at
    ticks = ticks_by_the_wall(cron, zone, now)
    later, earlier = [tick for tick in ticks if tick > now], [tick for tick in ticks if tick <= now]
    limit = now + timedelta(days=0.9)
    expected = list(takewhile(lambda tick: tick <= limit, later[:40]))
    assert list(islice(takewhile(lambda tick: tick <= limit, cron_ticks(cron, zone, now)), 40)) == expected
    if earlier:
        assert cron_floor(cron, zone, now) == earlier[-1]


@given(crons, zoned_moments())
def test_a_schedule_ticks_next_when_the_sdk_says(cron: str, at: tuple[str, datetime]) -> None:
    """Semantics T1: the same moment, wherever no clock is changed near it.

    Near a change we differ on purpose, since the SDK's answer depends on where one starts: it may lie before `now` (an
    hour that comes twice) or leave out a tick of the hour that is skipped. Ours is after `now`, never after the SDK's,
    and the SDK's is one of our ticks.
    """
    zone, now = at
    assume(list(islice(cron_ticks(cron, zone, now), 1)))
    expected = sdk.interval.next_scheduled_run(f"schedule:{cron}", now, zone)
    tick = next_tick(parse_trigger(f"schedule:{cron}"), timezone=zone, since=now, last_tick=None)
    assert tick is not None
    assert tick > now
    assert cron_floor(cron, zone, expected) == expected
    if is_quiet(zone, now, expected):
        assert tick == expected
    elif expected > now:
        assert tick <= expected


@given(crons, zoned_moments())
def test_the_floor_is_the_sdks(cron: str, at: tuple[str, datetime]) -> None:
    """Semantics T1, W2: the same tick wherever no clock is changed near it; ours has always passed."""
    zone, now = at
    assume(cron_floor(cron, zone, now))
    expected = sdk.interval.cron_floor(cron, now.astimezone(ZoneInfo(zone))).astimezone(UTC)
    floor = cron_floor(cron, zone, now)
    assert floor is not None
    assert floor <= now
    if is_quiet(zone, expected, now):
        assert floor == expected
    elif expected <= now:
        assert floor >= expected


@given(schedules, zoned_moments(), st.lists(st.integers(-120, 40_000), max_size=12))
@example("schedule:0,45 2 * * *", ("Europe/Berlin", SPRING - timedelta(hours=1)), [1800] * 8)
def test_every_tick_is_dispatched_once_or_covered_by_a_later_one(
    text: str, at: tuple[str, datetime], steps: list[int]
) -> None:
    """Semantics T1, W5: whenever one looks, late or early, and though the machine's clock be set back meanwhile."""
    zone, since = at
    trigger, last, taken, now = parse_trigger(text), None, [], since
    for step in steps:
        now += timedelta(seconds=step)
        tick = elapsed_tick(trigger, timezone=zone, since=since, last_tick=last, now=now)
        if tick is not None:
            assert now >= tick
            last = tick
            taken.append(tick)
        due = next_tick(trigger, timezone=zone, since=since, last_tick=last)
        assert due is None or due > now or not tick  # what is left is to come
    assert all(earlier < later for earlier, later in pairwise(taken))
    missed = islice(cron_ticks(trigger.expression, zone, since), 2000)
    assert all(any(tick <= one for one in taken) for tick in takewhile(lambda tick: tick <= (last or since), missed))


@given(schedules, zoned_moments())
def test_who_looks_at_each_tick_takes_them_all(text: str, at: tuple[str, datetime]) -> None:
    """Semantics T1: none is lost, none comes twice."""
    zone, since = at
    trigger, last = parse_trigger(text), None
    for expected in islice(cron_ticks(trigger.expression, zone, since), 8):
        assert next_tick(trigger, timezone=zone, since=since, last_tick=last) == expected
        assert elapsed_tick(trigger, timezone=zone, since=since, last_tick=last, now=expected) == expected
        last = expected


@given(timed, zoned_moments(), st.none() | st.integers(-100_000, 100_000), st.integers(-200_000, 200_000))
def test_a_tick_is_due_exactly_if_the_next_one_has_passed(
    text: str, at: tuple[str, datetime], taken: int | None, later: int
) -> None:
    """Semantics T1-T3: so a timer set to the one finds the other; once it is taken, the next lies ahead."""
    zone, since = at
    trigger, now = parse_trigger(text), since + timedelta(seconds=later)
    last = since + timedelta(seconds=taken) if taken is not None else None
    due = next_tick(trigger, timezone=zone, since=since, last_tick=last)
    tick = elapsed_tick(trigger, timezone=zone, since=since, last_tick=last, now=now)
    assert (tick is not None) == (due is not None and due <= now)
    shown = next_ticks(trigger, 3, timezone=zone, since=since, last_tick=last, now=now)
    assert all(earlier < later for earlier, later in pairwise(shown))
    assert all(one >= now for one in shown)
    assert shown[:1] == ([max(due, now)] if due else [])
    if tick is not None:
        assert tick <= now
        following = next_tick(trigger, timezone=zone, since=since, last_tick=tick)
        assert following is None or following > tick
        assert elapsed_tick(trigger, timezone=zone, since=since, last_tick=tick, now=tick) is None
        assert shown[1:2] == ([following] if following and following > now else shown[1:2])


@given(st.integers(60, 90_000), anywhen, st.integers(0, 400_000))
def test_a_period_runs_from_the_last_scheduled_time_and_after_downtime_once(
    seconds: int, last: datetime, late: int
) -> None:
    """Semantics T2: what the SDK names next; a tick it would drop as missed runs at once, then comes a full period."""
    trigger, period = parse_trigger(f"every:{seconds}"), timedelta(seconds=seconds)
    now = last + timedelta(seconds=late)
    expected = sdk.interval.next_scheduled_run(f"every:{seconds}", now, "UTC", last)
    due = next_tick(trigger, timezone="UTC", since=last - period, last_tick=last)
    assert due == last + period
    tick = elapsed_tick(trigger, timezone="UTC", since=last, last_tick=last, now=now)
    if tick is None:
        assert due == expected
        return
    following = next_tick(trigger, timezone="UTC", since=last, last_tick=tick)
    if now - due >= PUNCTUAL:
        assert (tick, following) == (now, expected)
    else:  # no drift
        assert (tick, following) == (due, due + period)


@given(anywhen, anywhen)
def test_a_period_runs_first_one_period_after_it_is_deployed(since: datetime, earlier: datetime) -> None:
    """Semantics T2: as the SDK, whatever the time of day."""
    expected = sdk.interval.next_scheduled_run("every:6h", since, "UTC")
    assert next_tick(parse_trigger("every:6h"), timezone="Asia/Gaza", since=since, last_tick=None) == expected


@given(anywhen, anywhen, anywhen)
def test_once_is_once(at: datetime, since: datetime, now: datetime) -> None:
    """Semantics T3: at its time, or at deploy if that has passed, as the SDK; never again once it was taken.

    The SDK's answer for a time that has passed is `now`, ours the time itself: it is what the run stands for.
    """
    trigger = parse_trigger(f"once:{at.isoformat()}")
    due = next_tick(trigger, timezone="UTC", since=since, last_tick=None)
    assert due == at
    assert max(due, now) == sdk.interval.next_scheduled_run(trigger.text, now, "UTC")
    assert elapsed_tick(trigger, timezone="UTC", since=since, last_tick=None, now=now) == (at if at <= now else None)
    assert next_tick(trigger, timezone="UTC", since=now, last_tick=at) is None
    assert next_ticks(trigger, 5, timezone="UTC", since=now, last_tick=at, now=now) == []


@pytest.mark.parametrize("text", ["manual:", "job.success:jobs.a", "http:", "deployment:", "webhook:x", "tag:y"])
def test_time_does_not_move_events(text: str) -> None:
    """Semantics T4-T7."""
    clock = {"timezone": "UTC", "since": NOW, "last_tick": None}
    assert next_tick(parse_trigger(text), **clock) is None  # type: ignore[arg-type]
    assert elapsed_tick(parse_trigger(text), now=NOW, **clock) is None  # type: ignore[arg-type]
    assert next_ticks(parse_trigger(text), 5, now=NOW, **clock) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 1 1 * 0 2020-2021"])
def test_a_schedule_that_never_comes_again_is_never_due(cron: str) -> None:
    """Semantics T1."""
    assert next_tick(parse_trigger(f"schedule:{cron}"), timezone="UTC", since=NOW, last_tick=None) is None
    assert cron_floor("0 0 30 2 *", "UTC", NOW) is None
    assert cron_floor("0 0 1 1 * 0 2020-2021", "UTC", NOW) == datetime(2021, 1, 1, tzinfo=UTC)


def test_a_leap_day_comes_every_four_years_but_not_in_2100() -> None:
    """Semantics T1."""
    ticks = islice(cron_ticks("0 0 29 2 *", "UTC", datetime(2090, 1, 1, tzinfo=UTC)), 3)
    assert [tick.year for tick in ticks] == [2092, 2096, 2104]


@pytest.mark.parametrize(("late", "following"), [(59, 3600), (60, 3660), (7200, 10800)])
def test_a_period_is_punctual_within_a_minute(late: int, following: int) -> None:
    """Semantics T2: no drift through a busy machine; later than that the tick was missed, and a full period follows."""
    trigger, due = parse_trigger("every:1h"), NOW + timedelta(hours=1)
    tick = elapsed_tick(trigger, timezone="UTC", since=NOW, last_tick=None, now=due + timedelta(seconds=late))
    assert next_tick(trigger, timezone="UTC", since=NOW, last_tick=tick) == due + timedelta(seconds=following)


def test_after_a_weekend_off_one_tick_stands_for_all() -> None:
    """Semantics W5: the newest of them."""
    friday, monday = datetime(2026, 3, 6, 18, tzinfo=UTC), datetime(2026, 3, 9, 7, 20, tzinfo=UTC)
    trigger = parse_trigger("schedule:0 * * * *")
    tick = elapsed_tick(trigger, timezone="UTC", since=friday, last_tick=friday, now=monday)
    assert tick == monday.replace(minute=0)


def test_ticks_to_read_begin_now_where_one_is_due_already() -> None:
    """Semantics T2: then come full periods."""
    ticks = next_ticks(
        parse_trigger("every:1h"),
        3,
        timezone="UTC",
        since=NOW - timedelta(days=9),
        last_tick=NOW - timedelta(days=3),
        now=NOW,
    )
    assert ticks == [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2)]


def test_there_are_twenty_zones_and_their_clocks_are_changed() -> None:
    """So that the tests above mean something."""
    assert len(ZONES) >= 20
    assert sum(not is_quiet(zone, SPRING.replace(month=1), AUTUMN) for zone in ZONES) > 12
