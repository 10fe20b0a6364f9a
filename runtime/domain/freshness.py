"""Freshness: whether the jobs that a job waits for have done their part (semantics F1, F2, D3).

In two steps around one read: `upstreams_needed` names the jobs to look up, `judge_freshness` says what is still
missing, in words. A gate never triggers anything.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Literal, get_args

from runtime.domain.intervals import JobInterval, Window, declared_interval
from runtime.domain.jobs import JobDefinition
from runtime.domain.model import Frozen, Instant
from runtime.domain.ranges import Range, covers
from runtime.domain.schedules import effective_default
from runtime.domain.ticks import cron_floor
from runtime.domain.triggers import parse_trigger
from runtime.domain.wording import moment, span
from runtime.errors import InvalidError

GateType = Literal["job.is_fresh", "job.is_matching_interval_fresh"]


class Gate(Frozen):
    """One freshness constraint: what is asked, and of which job."""

    type: GateType
    job_ref: str


class UpstreamFacts(Frozen):
    """What the store knows of a job that others wait for.

    `completed_until` is its last-completed mark, None if it has none or a refresh cleared it; `completed` are the
    completed ranges of a job that does its interval tick by tick (W3). `override` and `is_paused` are what an operator
    said of its schedule (T8).
    """

    definition: JobDefinition
    completed_until: Instant | None
    completed: tuple[Range, ...] = ()
    override: str | None = None
    is_paused: bool = False


def parse_gate(text: str) -> Gate:
    """Parse a freshness constraint, `job.is_fresh:<ref>` or `job.is_matching_interval_fresh:<ref>`.

    Raises:
        InvalidError: neither of these, or no full job reference.
    """
    kind, _, job_ref = text.partition(":")
    for known in get_args(GateType):
        if kind == known and job_ref.startswith("jobs."):
            return Gate(type=known, job_ref=job_ref)
    raise InvalidError(
        f"freshness `{text}`: write it as `job.is_fresh:jobs.<section>.<name>`",
        code="freshness",
        hint="in code that is `freshness=[upstream.is_fresh]`",
    )


def upstreams_needed(definition: JobDefinition) -> tuple[str, ...]:
    """The jobs whose facts `judge_freshness` needs, each once."""
    return tuple(dict.fromkeys(parse_gate(text).job_ref for text in definition.freshness))


def judge_freshness(
    definition: JobDefinition, window: Window | None, upstreams: Mapping[str, UpstreamFacts], now: datetime
) -> dict[str, str]:
    """What keeps a job from running: by upstream, a sentence that says what it waits for. Empty if all is fresh.

    Args:
        window: What the run would cover, for gates on matching intervals; None if that has not been decided.
        upstreams: Facts of `upstreams_needed`; a job that is not among them, archived or unknown, is never fresh.
    """
    own = declared_interval(definition)
    unmet: dict[str, str] = {}
    for gate in map(parse_gate, definition.freshness):
        facts = upstreams.get(gate.job_ref)
        if definition.entry_point.job_type == "interactive":
            reason: str | None = "an interactive job never passes a freshness gate"
        elif facts is None:
            reason = "it is archived or does not exist"
        elif facts.definition.entry_point.job_type == "interactive":
            reason = "it is interactive, so it never completes"
        else:
            reason = _judge(gate, facts, own, window, now)
            reason = f"{reason} (it is paused)" if reason and facts.is_paused else reason
        if reason:
            unmet.setdefault(gate.job_ref, f"waiting for {gate.job_ref}: {reason}")
    return unmet


def awaited_upstreams(unmet: Collection[str], underway: Collection[str]) -> tuple[str, ...]:
    """The upstreams to wait for rather than to give up (D3): all unmet ones, if each is underway; else none.

    Args:
        unmet: The keys of what `judge_freshness` returned.
        underway: Jobs with an active run, those the present batch starts, and those that themselves wait for such.
    """
    return tuple(unmet) if all(ref in underway for ref in unmet) else ()


def _judge(
    gate: Gate, facts: UpstreamFacts, own: JobInterval | None, window: Window | None, now: datetime
) -> str | None:
    upstream = declared_interval(facts.definition, facts.override)
    if gate.type == "job.is_matching_interval_fresh":
        if own is None or window is None:
            return "a matching interval needs an `interval` of this job too"
        if upstream is None:
            return "it has no `interval` that could match"
        return _missing_part(facts, upstream, window, now)
    if upstream is not None and upstream.is_discrete:
        elapsed = upstream.elapsed(now)
        return _missing_part(facts, upstream, own.elapsed(now) if own else elapsed, now)
    return _missing_run(facts, upstream, now)


def _missing_part(facts: UpstreamFacts, upstream: JobInterval, wanted: Window, now: datetime) -> str | None:
    """Why the upstream's interval is not complete as far as it shares time with `wanted`; None if it is.

    What lies before the upstream's interval asks nothing of it; what lies after what has passed of it cannot be had.
    """
    start, end = upstream.elapsed(now)
    if wanted[1] <= start:
        return None
    shared = max(wanted[0], start), min(wanted[1], end)
    if shared[0] >= shared[1]:
        return f"no tick of its interval has passed in {moment(wanted[0])} to {moment(wanted[1])}"
    done = facts.completed if upstream.is_discrete else ((start, max(facts.completed_until or start, start)),)
    return None if covers(done, shared) else f"not complete from {moment(shared[0])} to {moment(shared[1])}"


def _missing_run(facts: UpstreamFacts, upstream: JobInterval | None, now: datetime) -> str | None:
    """Why the upstream's last completed run is not recent enough for its default trigger; None if it is."""
    if facts.completed_until is None:
        return "no completed run yet"
    last = upstream.end if upstream else None
    if last is not None and facts.completed_until >= last:
        return None  # its interval is over, and done
    default = effective_default(facts.definition, facts.override)
    trigger = parse_trigger(default) if default else None
    if trigger is not None and trigger.type == "schedule":
        tick = cron_floor(trigger.expression, facts.definition.timezone, now)
        if tick is not None and facts.completed_until < tick:
            return f"no completed run for {moment(min(tick, last) if last else tick)}"
    period_seconds = trigger.period_seconds if trigger else None
    if period_seconds is not None and now - facts.completed_until >= timedelta(seconds=period_seconds):
        return f"done up to {moment(facts.completed_until)} only, a period of {span(period_seconds)} ago or more"
    return None
