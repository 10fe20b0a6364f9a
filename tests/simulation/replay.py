"""A history told again, with a model of our own of what should be so at each of its moments.

The model keeps what the laws need: definitions in force, what is paused, marks and completed intervals, pending
refreshes. It is written from `semantics.md` and uses the domain only for the ticks of cron expressions (which have an
oracle of their own, `test_ticks`), never for windows, gates or cascades.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from runtime.domain.jobs import JobDefinition
from runtime.domain.runs import Run
from runtime.domain.ticks import cron_floor, cron_ticks
from runtime.domain.triggers import Trigger, parse_trigger
from runtime.store.columns import from_micros
from tests.simulation.journal import Entry, History

Span = tuple[datetime, datetime]


@dataclass
class Model:
    """What is so between two entries of a journal; by job reference."""

    definitions: dict[str, JobDefinition] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    overrides: dict[str, str] = field(default_factory=dict)
    marks: dict[str, datetime] = field(default_factory=dict)
    done: dict[str, set[Span]] = field(default_factory=dict)
    refreshing: set[str] = field(default_factory=set)
    active: dict[str, set[UUID]] = field(default_factory=dict)
    since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    taken: dict[tuple[str, str], datetime] = field(default_factory=dict)
    is_down: bool = False

    def live(self) -> dict[str, JobDefinition]:
        return {ref: one for ref, one in self.definitions.items() if ref not in self.archived}

    def clock(self, ref: str) -> Trigger | None:
        """The schedule or period in force."""
        if override := self.overrides.get(ref):
            return parse_trigger(override)
        return declared_clock(self.definitions[ref])

    def watched(self, ref: str) -> set[str]:
        """The timed triggers that start a job (T1-T3, T8, D1)."""
        if ref in self.archived or ref in self.paused:
            return set()
        clock = self.clock(ref)
        once = {text for text in self.definitions[ref].declared_triggers if text.startswith("once:")}
        return once | ({clock.text} if clock else set())

    def downstream(self, origin: str) -> set[str]:
        """Whom a refresh reaches (R1)."""
        reached, edge = {origin}, {origin}
        while edge:
            edge = {
                ref
                for ref, one in self.live().items()
                if one.refresh != "block" and any(waited in edge for waited in waits_for(one)) and ref not in reached
            }
            reached |= edge
        return reached - {origin}


def waits_for(definition: JobDefinition) -> set[str]:
    """The jobs behind gates and `job.success` triggers."""
    gates = {gate.partition(":")[2] for gate in definition.freshness}
    return gates | {t.partition(":")[2] for t in definition.declared_triggers if t.startswith("job.success:")}


def declared_clock(definition: JobDefinition) -> Trigger | None:
    """The schedule or period a job declares."""
    timed = [text for text in definition.declared_triggers if text.startswith(("schedule:", "every:"))]
    return parse_trigger(timed[0]) if timed else None


def kind_of(definition: JobDefinition) -> str:
    """Which rule makes the job's windows: `W1`, `W2`, `W3`, or `point` for what no clock divides."""
    if definition.interval_start is None:
        return "W1" if declared_clock(definition) else "point"
    is_parallel = (definition.raw["interval"].get("mode")) == "parallel"
    return "W3" if is_parallel or definition.allow_external_schedulers else "W2"


def first_tick(definition: JobDefinition) -> datetime:
    """Where a job's interval begins (W2)."""
    return _bound(definition, definition.interval_start or "")


def last_tick(definition: JobDefinition) -> datetime | None:
    """Where it ends, if it does."""
    return _bound(definition, definition.interval_end) if definition.interval_end else None


def _bound(definition: JobDefinition, text: str) -> datetime:
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(definition.timezone))
    clock = declared_clock(definition)
    assert clock is not None
    floor = cron_floor(clock.expression, definition.timezone, at) if clock.type == "schedule" else at
    assert floor is not None
    return floor


def ticks_between(clock: Trigger, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """The ticks after `start` up to `end`, both as the clock has them."""
    if clock.period_seconds is None:
        for tick in cron_ticks(clock.expression, zone, start):
            if tick > end:
                return
            yield tick
        return
    period = timedelta(seconds=clock.period_seconds)
    while (start := start + period) <= end:
        yield start


class Windows:
    """The windows of W3 jobs, worked out once for all of a history."""

    def __init__(self, until: datetime) -> None:
        self._until = until
        self._known: dict[tuple[str, str, str | None], list[Span]] = {}

    def all(self, definition: JobDefinition) -> list[Span]:
        """Every window of the history's time."""
        clock = declared_clock(definition)
        assert clock is not None
        key = definition.job_ref, clock.text, definition.interval_start
        if key not in self._known:
            first, until = first_tick(definition), min(self._until, last_tick(definition) or self._until)
            self._known[key] = list(pairwise([first, *ticks_between(clock, definition.timezone, first, until)]))
        return self._known[key]

    def elapsed(self, definition: JobDefinition, now: datetime) -> list[Span]:
        """The windows that have passed."""
        windows = self.all(definition)
        return windows[: bisect_right(windows, now, key=lambda one: one[1])]


def window(run: Run) -> Span:
    assert run.interval_start is not None
    assert run.interval_end is not None
    return run.interval_start, run.interval_end


class Replay:
    """Tells a history; between `entries` the model is as before the entry that is yielded next."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.model = Model()

    def entries(self) -> Iterator[Entry]:
        """Each change, before the model follows it."""
        for entry in self.history.entries:
            yield entry
            self._follow(entry)

    def subject(self, entry: Entry) -> tuple[str, Run | None]:
        """Of which job and run an entry is; ("", None) for the beginning of an event."""
        if entry.kind == "event":
            return "", None
        run = self.history.runs.get(entry.subject)
        return (run.job_ref if run else self.history.refs[entry.subject]), run

    def _follow(self, entry: Entry) -> None:
        model = self.model
        ref, run = self.subject(entry)
        match entry.kind:
            case "event" if entry.cause in ("down", "up"):
                model.is_down = entry.cause == "down"
            case "version":
                model.definitions[ref] = self.history.definitions[UUID(bytes=entry.after)]
                model.active.setdefault(ref, set())
                model.done.setdefault(ref, set())
            case "archived":
                _put(model.archived, ref, is_in=entry.after is not None)
            case "paused":
                _put(model.paused, ref, is_in=entry.after is not None)
            case "override":
                model.overrides.pop(ref, None)
                if entry.after is not None:
                    model.overrides[ref] = entry.after
            case "timer":
                assert entry.detail is not None
                model.since[ref, entry.detail] = from_micros(entry.after)
                model.taken.pop((ref, entry.detail), None)
            case "tick":
                assert entry.detail is not None
                model.taken[ref, entry.detail] = from_micros(entry.after)
            case "clear":
                self._clear(ref)
            case "run" if entry.after != "skipped":
                model.active[ref].add(entry.subject)
            case "status" if run is not None and run.is_final and entry.after == run.status:
                model.active[ref].discard(run.id)
                if run.status == "completed":
                    self._complete(ref, run)

    def _clear(self, ref: str) -> None:
        self.model.marks.pop(ref, None)
        self.model.done[ref] = set()
        self.model.refreshing.add(ref)

    def _complete(self, ref: str, run: Run) -> None:
        """What a success does (W2, W3, R2): one that began before a refresh came does nothing."""
        model = self.model
        if ref in model.refreshing and not run.refresh:
            return
        model.refreshing.discard(ref)
        kind, (start, end) = kind_of(model.definitions[ref]), window(run)
        if kind == "W3":
            model.done[ref].add((start, end))
        elif start < end or kind == "point":
            model.marks[ref] = max(end, model.marks.get(ref, end))


def _put(members: set[Any], member: Any, *, is_in: bool) -> None:
    if is_in:
        members.add(member)
    else:
        members.discard(member)
