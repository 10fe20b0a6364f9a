"""How moments and spans of time are written wherever a person reads a reason."""

from datetime import UTC, datetime

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def moment(at: datetime) -> str:
    """A moment in UTC, with seconds only where they say something: `2026-11-24 12:00 UTC`."""
    utc = at.astimezone(UTC)
    return utc.strftime("%Y-%m-%d %H:%M UTC" if utc.second == 0 else "%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float) -> str:
    """A length of time in the largest unit that fits it whole: `5 minutes`, `1 day`, `90 minutes`, `61.5 seconds`."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds % size == 0), _UNITS[-1])
    count = seconds / size
    return f"{count:.15g} {unit}{'' if count == 1 else 's'}"
