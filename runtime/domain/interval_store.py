"""Jobs that do their interval tick by tick: what is done, and which windows come next (semantics W3).

What is completed is a compact set of ranges (`runtime.domain.ranges`). A window, one tick of the interval, is done if
the set holds all of it; what the set holds otherwise does not matter, so that a changed schedule divides what is left
anew. Nothing is enumerated but what is missing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice, pairwise
from typing import Literal

from runtime.domain.intervals import JobInterval, Window
from runtime.domain.model import Frozen, Instant
from runtime.domain.ranges import Range, coalesce, intersect, subtract

IntervalState = Literal["done", "running", "failed", "missing"]

MOST_AT_ONCE = 100
"""Of a parallel job without a limit; those that follow start as these succeed."""


class IntervalSpan(Frozen):
    """A stretch of an interval in one state, for display: one window of runs, any number of what is done or missing."""

    state: IntervalState
    start: Instant
    end: Instant


def windows_at_once(interval: JobInterval, concurrency: int | None) -> int:
    """How many windows of the job may be in work: one, or as many as `execute.concurrency` allows a parallel job."""
    if not interval.is_parallel:
        return 1
    return MOST_AT_ONCE if concurrency is None else concurrency


def open_windows(interval: JobInterval, completed: Sequence[Range], now: datetime) -> Iterator[Window]:
    """The windows that have passed and are not completed, the earliest first."""
    elapsed = interval.elapsed(now)
    resume = elapsed[0]
    for start, end in subtract([elapsed], completed):
        window_start = max(interval.floor(start), resume)
        if window_start >= end:
            continue  # the window before reached into this gap and holds all of it
        for window_end in interval.ticks(window_start):
            yield window_start, window_end
            window_start = resume = window_end
            if window_start >= end:
                break


def next_windows(
    interval: JobInterval,
    completed: Sequence[Range],
    active: Collection[Window],
    now: datetime,
    *,
    at_once: int,
    set_aside: Collection[Window] = (),
    is_refreshing: bool = False,
) -> list[Window]:
    """The windows to start now, in order; none if there is no room or nothing is left.

    Args:
        active: Windows of the job's runs that have not ended.
        at_once: How many may be in work together, these included (`windows_at_once`, or what a backfill asks for).
        set_aside: Windows that failed since the job was last triggered: a success is followed by others, so that one
            bad window is not tried again for each good one. A sequential job does not pass it by.
        is_refreshing: A refresh has not been spent (R2): its run goes alone, for it may clear what others write.
    """
    room = (1 if is_refreshing else at_once) - len(active)
    if room <= 0:
        return []
    waiting = (window for window in open_windows(interval, completed, now) if not _touches(window, active))
    if at_once == 1:
        return [window for window in islice(waiting, 1) if window not in set_aside]
    return list(islice((window for window in waiting if window not in set_aside), room))


def _touches(window: Window, others: Collection[Window]) -> bool:
    return any(start < window[1] and window[0] < end for start, end in others)


def interval_spans(
    interval: JobInterval,
    completed: Sequence[Range],
    running: Collection[Window],
    failed: Collection[Window],
    now: datetime,
) -> list[IntervalSpan]:
    """The state of all that has passed of an interval, in order and without gap or overlap.

    Args:
        running: Windows of the job's runs that have not ended; they count as running though they be done already.
        failed: Windows whose newest run failed; one that is done counts as done.
    """
    elapsed = interval.elapsed(now)
    spans: list[IntervalSpan] = []
    taken: list[Range] = []
    states: tuple[tuple[IntervalState, Collection[Range]], ...] = (
        ("running", running),
        ("done", coalesce(completed)),
        ("failed", failed),
        ("missing", [elapsed]),
    )
    for state, ranges in states:
        free = subtract(intersect(ranges, elapsed), taken)
        spans += (IntervalSpan(state=state, start=start, end=end) for start, end in _cut(free, ranges))
        taken += free
    return sorted(spans, key=lambda span: span.start)


def _cut(ranges: Sequence[Range], windows: Collection[Window]) -> Iterator[Range]:
    """The same ranges, divided wherever a window starts or ends."""
    edges = sorted(set(chain.from_iterable(windows)))
    for start, end in ranges:
        cuts = [start, *(edges[bisect_right(edges, start) : bisect_left(edges, end)]), end]
        yield from pairwise(cuts)
