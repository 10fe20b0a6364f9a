"""Times and time zones as query parameters name them."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from litestar.params import QueryParameter

from runtime.errors import InvalidError


def moment(description: str) -> QueryParameter:
    """A parameter that is a time: text, since the framework would take a number for seconds since the epoch."""
    return QueryParameter(description=description, schema_extra={"format": "date-time"})


def zone_of(name: str) -> ZoneInfo:
    """The zone with this IANA name; InvalidError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory of zones
        raise InvalidError(f"`tz`: `{name}` is not an IANA time zone", code="invalid") from None


def time_of(name: str, text: str) -> datetime:
    """The time that the parameter `name` holds, with or without an offset; InvalidError if it holds none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidError(f"`{name}`: `{text}` is not a time, such as 2026-03-10T12:00:00", code="invalid") from None


def in_zone(name: str, text: str | None, zone: str) -> datetime | None:
    """As `time_of`, in a zone where it carries no offset of its own."""
    if text is None:
        return None
    at = time_of(name, text)
    return at if at.tzinfo is not None else at.replace(tzinfo=zone_of(zone))
