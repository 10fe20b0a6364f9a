"""Sets of time as few, sorted, half-open ranges: how completed intervals are kept (semantics W3).

A set is *compact* when its ranges are sorted, not empty, and neither touch nor overlap. Every function here returns
compact sets, so a year of hourly windows done in order is one range.
"""

from collections.abc import Iterable
from datetime import datetime

Range = tuple[datetime, datetime]
"""Half-open `[start, end)`."""


def coalesce(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The compact set of all that any of `ranges` holds."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def subtract(ranges: Iterable[Range], holes: Iterable[Range]) -> tuple[Range, ...]:
    """What `ranges` hold and `holes` do not."""
    cuts = coalesce(holes)
    left: list[Range] = []
    for start, end in coalesce(ranges):
        for hole_start, hole_end in cuts:
            if hole_end <= start:
                continue
            if hole_start >= end:
                break
            left.append((start, hole_start))
            start = hole_end
        left.append((start, end))
    return coalesce(left)


def intersect(ranges: Iterable[Range], bounds: Range) -> tuple[Range, ...]:
    """The part of `ranges` that lies within `bounds`."""
    return coalesce((max(start, bounds[0]), min(end, bounds[1])) for start, end in ranges)


def covers(compact: Iterable[Range], wanted: Range) -> bool:
    """Whether a compact set holds all of `wanted`."""
    return any(start <= wanted[0] and wanted[1] <= end for start, end in compact)
