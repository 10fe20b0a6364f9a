"""Time cut into buckets as a person in a time zone counts them: hours, days, weeks, months, years."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from runtime.domain.model import Frozen, Instant
from runtime.errors import InvalidError

BucketSize = Literal["all", "1h", "1d", "1w", "1m", "1y"]
BUCKET_SIZES: tuple[BucketSize, ...] = get_args(BucketSize)
MOST_BUCKETS = 10_000
_FAR_PAST, _FAR_FUTURE = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - compared with local times
"""Beyond these no run has a time, and near the ends of the calendar arithmetic fails."""


class Bucket(Frozen):
    """A half-open piece of a period. `start` names it: where the hour, day or month begins, also where that lies before
    the period; what is counted in it lies between `counts_from` and `end`.
    """

    start: Instant
    counts_from: Instant
    end: Instant


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The UTC time of a local one; one that carries an offset stands for itself.

    A local time that a change of the clocks skips is the moment of the change, one that comes twice the first of both.
    """
    return (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(UTC)


def buckets_of(start: datetime, end: datetime, zone: ZoneInfo, size: BucketSize) -> list[Bucket]:
    """The buckets of the period from `start` to `end`, ascending and without a gap, however the clocks change.

    A day has 23 or 25 hours where the clocks change, the hour that comes twice is two buckets, a week begins on Monday.

    Raises:
        InvalidError: the period is empty, or has too many buckets.
    """
    first, last = _local(start, zone), _local(end, zone)
    if not (first >= _FAR_PAST and last <= _FAR_FUTURE):
        raise InvalidError("`start` and `end` must lie between the years 1900 and 2200", code="period")
    begin, finish = instant_of(start, zone), instant_of(end, zone)
    if begin >= finish:
        raise InvalidError("`start` must lie before `end`", code="period")
    if size == "all":
        return [Bucket(start=begin, counts_from=begin, end=finish)]
    edges: list[datetime] = []
    for edge in _edges(first, zone, size):
        if edge <= begin:
            edges = [edge]
        elif edge < finish:
            edges.append(edge)
        else:
            break
        if len(edges) > MOST_BUCKETS:
            raise InvalidError(
                f"this period has more than {MOST_BUCKETS:,} buckets of `{size}`",
                code="period",
                hint="ask for a shorter period or larger buckets",
            )
    return [
        Bucket(start=edge, counts_from=max(edge, begin), end=following)
        for edge, following in zip(edges, [*edges[1:], finish], strict=True)
    ]


def _edges(first: datetime, zone: ZoneInfo, size: BucketSize) -> Iterator[datetime]:
    """Where buckets begin, ascending, from at or before the local time `first` on."""
    before = None
    for local in _local_edges(first, size):
        for edge in _instants(local, zone, comes_twice=size == "1h"):
            if before is None or edge > before:
                yield edge
                before = edge


def _instants(local: datetime, zone: ZoneInfo, *, comes_twice: bool) -> list[datetime]:
    """When a local time comes: once, twice, or where the clocks skip it, the moment of the change.

    A whole hour may come twice; a day begins once, also where the clocks go back at midnight.
    """
    once, again = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if again <= once:
        # Equal: it comes once. Earlier: it is skipped, and read with the offset before the change it lies behind that.
        return [_after_gap(once, again, zone)] if again < once else [once]
    return [once, again] if comes_twice else [once]


def _after_gap(late: datetime, early: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after a gap between two instants, to the second."""
    offset = late.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)


def _local_edges(first: datetime, size: BucketSize) -> Iterator[datetime]:
    if size == "1h":
        # An hour earlier, since the clocks may have gone back within the hour.
        local, step = first.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2), timedelta(hours=1)
    elif size in ("1d", "1w"):
        local, step = datetime.combine(first, time()), timedelta(days=1)
        if size == "1w":
            local, step = local - timedelta(days=local.weekday()), timedelta(weeks=1)
    else:
        yield from _months(first, 1 if size == "1m" else 12)
        return
    while True:
        yield local
        local += step


def _months(first: datetime, step: int) -> Iterator[datetime]:
    number = first.year * 12 + (first.month - 1 if step == 1 else 0)
    while True:
        yield datetime(number // 12, number % 12 + 1, 1)  # noqa: DTZ001 - a local time
        number += step


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    if at.tzinfo is None:
        return at
    try:
        return at.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise InvalidError("`start` and `end` must lie between the years 1900 and 2200", code="period") from None
