"""Time zones as query parameters name them."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runtime.errors import InvalidError


def zone_of(name: str) -> ZoneInfo:
    """The zone with this IANA name; InvalidError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory of zones
        raise InvalidError(f"`tz`: `{name}` is not an IANA time zone", code="invalid") from None


def in_zone(at: datetime | None, zone: str) -> datetime | None:
    """A time in a zone where it carries no offset of its own."""
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=zone_of(zone))
