"""Sets of time as compact ranges (semantics W3): the SDK coalesces alike, a set of hours models the rest."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.ranges import Range, coalesce, covers, intersect, subtract
from tests import scheduling_oracle as sdk

BASE = datetime(2026, 1, 1, tzinfo=UTC)


def hours(first: int, last: int) -> Range:
    return BASE + timedelta(hours=first), BASE + timedelta(hours=last)


ranges = st.builds(hours, st.integers(0, 24), st.integers(0, 24))
many = st.lists(ranges, max_size=8)


def held(several: list[Range] | tuple[Range, ...]) -> set[int]:
    """The hours that any of the ranges holds."""
    return {hour for hour in range(24) if any(start <= hours(hour, 0)[0] < end for start, end in several)}


def is_compact(several: tuple[Range, ...]) -> bool:
    flat = [edge for one in several for edge in one]
    return flat == sorted(set(flat))


@given(many, many, ranges)
def test_ranges_are_sets_of_time(first: list[Range], second: list[Range], bounds: Range) -> None:
    """Semantics W3: union, difference and intersection, always sorted, apart, not empty; coalesced as by the SDK."""
    union, difference, part = coalesce([*first, *second]), subtract(first, second), intersect(first, bounds)
    assert held(union) == held(first) | held(second)
    assert held(difference) == held(first) - held(second)
    assert held(part) == held(first) & held([bounds])
    assert all(map(is_compact, (union, difference, part)))
    if bounds[0] < bounds[1]:
        assert covers(union, bounds) == (held([bounds]) <= held(union))
    full = [one for one in first if one[0] < one[1]]  # empty ones, which the SDK keeps, hold nothing here
    assert list(coalesce(first)) == sdk.interval_store.sort_and_coalesce(full)
