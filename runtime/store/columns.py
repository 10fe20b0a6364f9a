"""How domain values stand in columns: instants as integer microseconds, identifiers as 16 bytes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    return (at - _EPOCH) // _MICROSECOND


def to_micros_or_none(at: datetime | None) -> int | None:
    """As `to_micros`, for a column that may be NULL."""
    return None if at is None else to_micros(at)


def from_micros(value: int) -> datetime:
    """The UTC datetime of a column."""
    return _EPOCH + timedelta(microseconds=value)


def from_micros_or_none(value: int | None) -> datetime | None:
    """As `from_micros`, for a column that may be NULL."""
    return None if value is None else from_micros(value)


def uuid_or_none(value: bytes | None) -> UUID | None:
    """The identifier in a column that may be NULL."""
    return None if value is None else UUID(bytes=value)
