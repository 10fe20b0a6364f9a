"""Ticks: the moments at which timed triggers are due (semantics T1-T3, W5).

The ticks of a cron expression are the SDK's: its times on the wall of the job's zone, each turned into UTC as if it
were the first of its name. Across a change of clocks the wall repeats or skips an hour, and walking along it, as the
SDK does, meets moments twice, out of order or not at all, depending on where one starts. Here they are a set, in order
of time: every tick comes once, whoever asks from where.

A timer is known by three facts: `since`, when its trigger was first deployed; `last_tick`, the newest tick that was
dispatched or skipped (None: none yet); and the job's time zone. `next_tick(...) <= now` exactly if `elapsed_tick(...)`
names a tick to dispatch.
"""

from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import heappop, heappush
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import croniter

from runtime.domain.triggers import Trigger

PUNCTUAL = timedelta(minutes=1)
"""A period's tick that is dispatched this late or later was missed: the next one comes a full period after (T2)."""

_EPSILON = timedelta(microseconds=1)  # croniter looks strictly before its base
_DAY = timedelta(days=1)  # no clock was ever changed by more
_EXHAUSTED = (ValueError, OverflowError)  # croniter at the end of its search, datetime at the end of its calendar


def next_tick(trigger: Trigger, *, timezone: str, since: datetime, last_tick: datetime | None) -> datetime | None:
    """The moment to look at this timer next: its oldest tick that has not been taken, which may lie in the past.

    None for a trigger that will never be due again, and for those that time does not move.
    """
    if trigger.type == "schedule":
        return _next_cron_tick(trigger.expression, timezone, last_tick or since)
    if trigger.period_seconds is not None:
        return (last_tick or since) + timedelta(seconds=trigger.period_seconds)
    return trigger.at if last_tick is None else None


def elapsed_tick(
    trigger: Trigger, *, timezone: str, since: datetime, last_tick: datetime | None, now: datetime
) -> datetime | None:
    """The tick to dispatch now, None if none is due: after downtime one stands for all that were missed (W5).

    It is the newest tick of a schedule (T1), the time of a `once` that has not fired (T3), and for a period its next
    tick, or `now` where that was missed, so that a full period follows (T2). To take it is to keep it as `last_tick`.
    """
    due = next_tick(trigger, timezone=timezone, since=since, last_tick=last_tick)
    if due is None or due > now:
        return None
    if trigger.type == "schedule":
        return cron_floor(trigger.expression, timezone, now)
    if trigger.type == "every" and now - due >= PUNCTUAL:
        return now
    return due


def next_ticks(
    trigger: Trigger, count: int, *, timezone: str, since: datetime, last_tick: datetime | None, now: datetime
) -> list[datetime]:
    """The next ticks for people to read, at most `count`, none before `now`; what is due already comes `now`."""
    due = next_tick(trigger, timezone=timezone, since=since, last_tick=last_tick)
    if due is None:
        return []
    first = max(due, now)
    ticks = [first]
    if trigger.type == "schedule":
        ticks += islice(cron_ticks(trigger.expression, timezone, first), max(count - 1, 0))
    elif trigger.period_seconds is not None:
        start = due if now - due < PUNCTUAL else now
        ticks += [start + timedelta(seconds=trigger.period_seconds * step) for step in range(1, count)]
    return ticks[:count]


def cron_ticks(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """The ticks of a cron expression strictly after a moment, ascending, in UTC; it may never end, and may be empty."""
    zone = ZoneInfo(timezone)
    newest = after
    waiting: list[datetime] = []  # ticks that later walls may still precede
    for wall in _walls_after(cron, min(_walls_at(after, zone))):
        tick = wall.replace(tzinfo=zone).astimezone(UTC)
        heappush(waiting, tick)
        if tick.astimezone(zone).replace(tzinfo=None) != wall:
            continue  # the clock jumps over this wall time: those after the jump may come first
        while waiting and waiting[0] <= tick:
            found = heappop(waiting)
            if found > newest:
                newest = found
                yield found
    yield from (tick for tick in sorted(set(waiting)) if tick > newest)


@lru_cache(maxsize=16384)
def cron_floor(cron: str, timezone: str, at: datetime) -> datetime | None:
    """The newest tick of a cron expression at or before a moment, in UTC; None if there has been none."""
    zone = ZoneInfo(timezone)
    walls = wall_times(cron, max(_walls_at(at, zone)) + _EPSILON)
    try:
        wall: datetime = walls.get_prev(datetime)
        while (tick := wall.replace(tzinfo=zone).astimezone(UTC)) > at:
            wall = walls.get_prev(datetime)
    except _EXHAUSTED:
        return None
    if wall.replace(tzinfo=zone).utcoffset() != (wall - _DAY).replace(tzinfo=zone).utcoffset():
        # The clock went forward within a day: walls that it skipped may stand for later moments.
        for later in cron_ticks(cron, timezone, tick):
            if later > at:
                break
            tick = later
    return tick


def wall_times(cron: str, wall: datetime) -> croniter:
    """The naive local times of a cron expression, to be walked from `wall` on, exclusive, either way."""
    walls = copy(_parsed(cron))  # it changes nothing of what it has parsed
    walls.set_current(wall)
    return walls


@lru_cache(maxsize=16384)
def _parsed(cron: str) -> croniter:
    """To parse an expression takes ten times as long as to find its next tick."""
    return croniter(cron)


@lru_cache(maxsize=16384)
def _next_cron_tick(cron: str, timezone: str, after: datetime) -> datetime | None:
    return next(cron_ticks(cron, timezone, after), None)


def _walls_after(cron: str, wall: datetime) -> Iterator[datetime]:
    """The naive local times of a cron expression after another."""
    walls = wall_times(cron, wall)
    try:
        while True:
            following: datetime = walls.get_next(datetime)
            yield following
    except _EXHAUSTED:
        return


def _walls_at(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """What the wall shows at a moment, and what it would show if no clock had just been changed.

    The two differ for as long as the change was wide: those are the moments that have two names, or that the ticks of
    a skipped hour fall on.
    """
    local = at.astimezone(zone)
    wall = local.replace(tzinfo=None)
    change = _offset(at, zone) - _offset(at - _DAY, zone)
    is_recent = change and _offset(at - abs(change), zone) != _offset(at, zone)
    return wall, wall - change if is_recent else wall


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()
