"""Zones, cron expressions and moments that are worth a test: those around changes of clocks, and leap days."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from croniter import croniter
from hypothesis import strategies as st

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",  # winter is its exception, not summer
    "America/New_York",
    "America/St_Johns",
    "America/Havana",  # at midnight
    "America/Nuuk",  # before midnight
    "America/Santiago",
    "America/Sao_Paulo",  # at midnight, until 2019
    "Africa/Casablanca",  # four times a year
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",  # by half an hour and back, once each
    "Australia/Adelaide",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",  # has skipped a day
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Antarctica/Troll",  # by two hours
]
CRONS = [
    "*/15 * * * *",
    "7/20 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "0,45 2 * * *",
    "10,40 1-3 * * *",
    "15,30 0,2 * * *",
    "0 8 * * *",
    "0 0 * * *",
    "59 23 * * *",
    "*/40 */5 * * *",
    "0 8 * * mon-fri",
    "30 1 * * sun",
    "0 0 1 * *",
    "0 0 29 2 *",
    "0 0 L * *",
    "0 3 1-7 * sun",
    "0 0 * * 5#2",
    "15 10 * * * 30",
    "0 1 * * * 0 2011-2032",
    "@hourly",
    "@weekly",
    "@yearly",
]
anywhen = st.integers(0, 20 * 365 * 86400).map(lambda seconds: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(0, seconds))


@cache
def clock_changes(zone: str) -> list[datetime]:
    """The moments between 2010 and 2030 at which a zone's clocks are changed."""
    tz, changes = ZoneInfo(zone), []
    day = datetime(2010, 1, 1, tzinfo=UTC)
    while day.year < 2030:
        before, after = day, day + timedelta(days=1)
        day = after
        if before.astimezone(tz).utcoffset() == after.astimezone(tz).utcoffset():
            continue
        offset = before.astimezone(tz).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = before + (after - before) // 2
            before, after = (middle, after) if middle.astimezone(tz).utcoffset() == offset else (before, middle)
        changes.append(after.replace(microsecond=0))
    return changes


def zoned_moments() -> st.SearchStrategy[tuple[str, datetime]]:
    """A zone and a moment: on the quarters and at odd seconds around changes of its clocks, and around other times."""
    anchors = [(zone, at) for zone in ZONES for at in [*clock_changes(zone), *_QUIET_DAYS]]
    seconds = st.integers(-5400, 5400) | st.integers(-104, 104).map(lambda quarters: quarters * 900)
    return st.builds(_near, st.sampled_from(anchors), seconds)


_QUIET_DAYS = [
    datetime(2012, 2, 29, tzinfo=UTC),
    datetime(2023, 12, 31, 23, tzinfo=UTC),
    datetime(2027, 6, 13, tzinfo=UTC),
]


def _near(anchor: tuple[str, datetime], seconds: int) -> tuple[str, datetime]:
    # croniter counts in floats: moments just off a tick must not be taken for it
    return anchor[0], anchor[1] + timedelta(seconds=seconds, microseconds={5: 1, 6: -1, 7: 500_000}.get(seconds % 9, 0))


def ticks_by_the_wall(cron: str, zone: str, around: datetime, days: int = 2) -> list[datetime]:
    """All ticks within days of a moment, the slow way: along the wall of the zone, as the SDK goes, then sorted."""
    tz = ZoneInfo(zone)
    wall = around.astimezone(tz).replace(tzinfo=None) - timedelta(days=days)
    last = wall + timedelta(days=2 * days)
    ticks = set()
    walls = croniter(cron, wall)
    try:
        while (wall := walls.get_next(datetime)) <= last:
            ticks.add(wall.replace(tzinfo=tz).astimezone(UTC))
    except ValueError:
        pass  # it comes no more
    return sorted(ticks)


def is_quiet(zone: str, start: datetime, end: datetime) -> bool:
    """Whether no clock of the zone is changed within a day and a half of a stretch of time."""
    margin = timedelta(days=1.5)
    return not any(start - margin <= change <= end + margin for change in clock_changes(zone))
