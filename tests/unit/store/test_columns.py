"""Values stand in columns without loss."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from runtime.store.columns import (
    from_micros,
    from_micros_or_none,
    to_micros,
    to_micros_or_none,
    uuid_or_none,
)
from runtime.store.database import migrations
from runtime.store.packages import compress

instants = st.datetimes(timezones=st.timezones() | st.just(UTC)).filter(
    lambda at: datetime(2, 1, 1, tzinfo=UTC) < at.replace(tzinfo=UTC) < datetime(9998, 1, 1, tzinfo=UTC)
)


@given(instants)
def test_an_instant_comes_back_as_the_same_moment_in_utc(at: datetime) -> None:
    """Store: integer microseconds, exact also before 1970 and in any zone."""
    back = from_micros(to_micros(at))
    assert back == at.astimezone(UTC)
    assert back.tzinfo is UTC


@given(instants, st.integers(1, 10**12))
def test_later_instants_have_larger_numbers(at: datetime, micros: int) -> None:
    """Store: columns sort and compare as the moments do."""
    earlier = to_micros(at)
    assert to_micros(at.astimezone(UTC) + timedelta(microseconds=micros)) == earlier + micros


@given(st.none() | st.uuids())
def test_null_is_none(value: UUID | None) -> None:
    """Store: NULL means not known, for identifiers and instants."""
    assert uuid_or_none(value.bytes if value else None) == value
    assert to_micros_or_none(None) is None
    assert from_micros_or_none(None) is None
    assert from_micros_or_none(0) == datetime(1970, 1, 1, tzinfo=UTC)


def test_schema_steps_are_numbered_without_a_gap() -> None:
    """Store: steps are applied in order from whatever is there."""
    assert [version for version, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_compressed_content_is_smaller() -> None:
    """Store: code is kept compressed."""
    assert len(compress(b"apples and pears\n" * 1000)) < 200
