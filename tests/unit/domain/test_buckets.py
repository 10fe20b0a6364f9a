"""Periods cut into buckets: contiguous, aligned to local time, right where clocks change."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.buckets import BUCKET_SIZES, MOST_BUCKETS, BucketSize, buckets_of, instant_of
from runtime.errors import InvalidError

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",  # changed its clocks at midnight
    "America/Havana",  # a day that begins twice
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kolkata",
    "Pacific/Apia",  # left out a whole day
)


def hours(zone: str, start: str, end: str, size: BucketSize = "1h") -> list[float]:
    """How long each bucket of a period is."""
    found = buckets_of(datetime.fromisoformat(start), datetime.fromisoformat(end), ZoneInfo(zone), size)
    return [(bucket.end - bucket.counts_from) / timedelta(hours=1) for bucket in found]


def test_a_day_has_as_many_hours_as_the_clocks_give_it() -> None:
    assert hours("Europe/Berlin", "2026-03-28", "2026-03-31", "1d") == [24, 23, 24]
    assert hours("Europe/Berlin", "2026-10-24", "2026-10-27", "1d") == [24, 25, 24]
    assert hours("America/Sao_Paulo", "2018-11-03", "2018-11-06", "1d") == [24, 23, 24]
    assert hours("America/Havana", "2026-10-31", "2026-11-03", "1d") == [24, 25, 24]


def test_the_hour_that_comes_twice_is_two_buckets_and_a_skipped_one_none() -> None:
    assert hours("Europe/Berlin", "2026-10-25T00:00", "2026-10-25T05:00") == [1] * 6
    assert hours("Europe/Berlin", "2026-03-29T00:00", "2026-03-29T05:00") == [1] * 4
    assert hours("Australia/Lord_Howe", "2026-04-05T00:00", "2026-04-05T04:00") == [1, 1.5, 1, 1]
    assert hours("Pacific/Apia", "2011-12-29", "2012-01-01", "1d") == [24, 24]


def test_weeks_begin_on_monday_months_on_the_first() -> None:
    weeks = buckets_of(datetime(2026, 3, 5), datetime(2026, 3, 20), ZoneInfo("UTC"), "1w")
    assert [bucket.start.day for bucket in weeks] == [2, 9, 16]
    months = buckets_of(datetime(2025, 12, 5), datetime(2026, 2, 1), ZoneInfo("Europe/Berlin"), "1m")
    assert [bucket.start for bucket in months] == [
        datetime(2025, 11, 30, 23, tzinfo=UTC),
        datetime(2025, 12, 31, 23, tzinfo=UTC),
    ]
    years = buckets_of(datetime(2025, 12, 5), datetime(2026, 2, 1), ZoneInfo("UTC"), "1y")
    assert [bucket.start.year for bucket in years] == [2025, 2026]


def test_the_first_bucket_is_named_by_its_beginning_and_counts_from_the_periods() -> None:
    (bucket,) = buckets_of(datetime(2026, 3, 10, 12), datetime(2026, 3, 10, 13), ZoneInfo("UTC"), "1d")
    assert (bucket.start.hour, bucket.counts_from.hour, bucket.end.hour) == (0, 12, 13)


def test_times_with_an_offset_stand_for_themselves() -> None:
    start, end = datetime(2026, 3, 10, 12, tzinfo=UTC), datetime(2026, 3, 10, 14, tzinfo=UTC)
    (whole,) = buckets_of(start, end, ZoneInfo("Asia/Tokyo"), "all")
    assert (whole.start, whole.end) == (start, end)


@pytest.mark.parametrize(
    ("start", "end", "size"),
    [
        ("2026-03-10", "2026-03-10", "all"),
        ("2026-03-11", "2026-03-10", "1d"),
        ("2000-01-01", "2026-01-01", "1h"),
        ("0001-01-01", "2026-01-01", "1y"),
        ("2026-01-01", "9999-12-31", "1y"),
        ("0001-01-01T00:00:00+14:00", "2026-01-01", "1y"),
        ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59", "1h"),
    ],
)
def test_periods_that_make_no_sense_or_too_many_buckets_are_refused(start: str, end: str, size: BucketSize) -> None:
    with pytest.raises(InvalidError):
        buckets_of(datetime.fromisoformat(start), datetime.fromisoformat(end), ZoneInfo("Pacific/Apia"), size)


@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    start=st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)),
    length=st.timedeltas(timedelta(minutes=1), timedelta(days=300)),
    size=st.sampled_from(BUCKET_SIZES),
)
def test_buckets_cover_the_period_without_gap_or_overlap(
    zone: ZoneInfo, start: datetime, length: timedelta, size: BucketSize
) -> None:
    if instant_of(start, zone) >= instant_of(start + length, zone):
        return  # both in an hour that the clocks skip
    buckets = buckets_of(start, start + length, zone, size)
    assert 0 < len(buckets) <= MOST_BUCKETS
    assert buckets[0].counts_from == instant_of(start, zone)
    assert buckets[-1].end == instant_of(start + length, zone)
    for before, after in itertools.pairwise(buckets):
        assert before.end == after.counts_from == after.start
    for bucket in buckets if size != "all" else ():
        assert bucket.start <= bucket.counts_from < bucket.end
        local = bucket.start.astimezone(zone)
        just_before = (bucket.start - timedelta(seconds=1)).astimezone(zone)
        jumped = just_before.utcoffset() != local.utcoffset()
        assert jumped or (local.minute, local.second) == (0, 0)
        assert size == "1h" or jumped or local.hour == 0
