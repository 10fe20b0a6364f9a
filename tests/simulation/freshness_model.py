"""Freshness as `semantics.md` has it (F1, F2), told from a model of marks and intervals, not by the code under test."""

from datetime import datetime, timedelta

from runtime.domain.jobs import JobDefinition
from runtime.domain.ranges import coalesce, covers
from runtime.domain.ticks import cron_floor
from tests.simulation.replay import Model, Span, Windows, first_tick, kind_of, last_tick


def stale_gates(model: Model, windows: Windows, definition: JobDefinition, covered: Span, now: datetime) -> list[str]:
    """The gates that ought to keep a run with this window from starting."""
    return [gate for gate in definition.freshness if not _is_met(model, windows, gate, covered, now)]


def _is_met(model: Model, windows: Windows, gate: str, covered: Span, now: datetime) -> bool:
    kind, _, ref = gate.partition(":")
    if ref not in model.live():
        return False
    upstream = model.definitions[ref]
    if kind == "job.is_matching_interval_fresh":
        return _covers_window(model, windows, upstream, covered, now)
    if kind_of(upstream) == "W3":
        return set(windows.elapsed(upstream, now)) <= model.done[ref]
    return _is_recent(model, upstream, now)


def _is_recent(model: Model, upstream: JobDefinition, now: datetime) -> bool:
    mark = model.marks.get(upstream.job_ref)
    if mark is None:
        return False
    end = last_tick(upstream)
    if end is not None and mark >= end:
        return True
    clock = model.clock(upstream.job_ref)
    if clock is None:
        return True
    if clock.period_seconds is not None:
        return now - mark < timedelta(seconds=clock.period_seconds)
    tick = cron_floor(clock.expression, upstream.timezone, now)
    return tick is None or mark >= tick


def _covers_window(model: Model, windows: Windows, upstream: JobDefinition, covered: Span, now: datetime) -> bool:
    ref, start = upstream.job_ref, first_tick(upstream)
    if covered[1] <= start:
        return True
    if kind_of(upstream) == "W3":
        passed = windows.elapsed(upstream, now)
        until = passed[-1][1] if passed else start
        done = coalesce(model.done[ref])
    else:
        clock = model.clock(ref)
        assert clock is not None
        floor = cron_floor(clock.expression, upstream.timezone, now) if clock.type == "schedule" else now
        until = floor or start
        done = coalesce([(start, model.marks.get(ref, start))])
    wanted = max(covered[0], start), min(covered[1], until)
    return wanted[0] < wanted[1] and covers(done, wanted)
