"""Points in time and durations as people read them."""

from datetime import UTC, datetime, tzinfo

_UNITS = ((31_557_600, "year"), (604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def relative(at: datetime, now: datetime) -> str:
    """How long ago, or in how long: `2 minutes ago`, `in 3 hours`, `now`.

    Args:
        at: With offset, as is `now`.
    """
    seconds = (now - at).total_seconds()
    for size, name in _UNITS:
        count = int(abs(seconds) // size)
        if count:
            words = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "now"


def exact(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(at: datetime) -> str:
    """Date and time of day in this machine's time zone, to the second: `2026-01-02 04:04:05`."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def wall_clock(at: datetime, zone: tzinfo | None) -> str:
    """What a clock on the wall shows, to the minute where that says all: `2026-01-02 03:04 CET`.

    Args:
        zone: None means this machine's.
    """
    there = at.astimezone(zone)
    return there.strftime("%Y-%m-%d %H:%M %Z" if there.second == 0 else "%Y-%m-%d %H:%M:%S %Z")


def duration(seconds: float) -> str:
    """A length of time in its two largest units: `4 s`, `1 min 4 s`, `2 h 5 min`, `3 d 2 h`."""
    whole = int(seconds)
    units = ((whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count or len(units) - first == 1)


def clock(at: datetime) -> str:
    """The local time of day with milliseconds, as log lines carry it: `14:05:09.123`."""
    return at.astimezone().isoformat(timespec="milliseconds")[11:23]
