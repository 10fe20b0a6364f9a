"""Whether a job may start now, and with what window: the gates, in their order (semantics D2-D5)."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pydantic import Field

from runtime.domain.freshness import UpstreamFacts, awaited_upstreams, judge_freshness
from runtime.domain.interval_store import next_windows, windows_at_once
from runtime.domain.intervals import (
    JobInterval,
    NoWindow,
    Window,
    declared_interval,
    latest_window,
    no_window,
    pointer_window,
    run_window,
)
from runtime.domain.jobs import Job, JobDefinition
from runtime.domain.model import Frozen, Instant
from runtime.domain.packages import Configuration
from runtime.domain.profiles import choose_profile
from runtime.domain.ranges import Range
from runtime.domain.runs import TriggerOutcome
from runtime.domain.triggers import TIMED_TYPES


class StartRequest(Frozen):
    """Why and how a job is to start.

    Attributes:
        is_manual: A person or client asked for this job; otherwise a clock or another job did.
        record_skip: A skip becomes a row of the run list (semantics D7).
        scheduled_at: The tick the run stands for.
    """

    trigger: str
    profile: str | None = None
    refresh: bool = False
    prev_run_id: UUID | None = None
    triggered_by: UUID | None = None
    is_manual: bool = False
    skip_freshness: bool = False
    record_skip: bool = True
    scheduled_at: Instant | None = None


class StartFacts(Frozen):
    """What the store must say before a start can be decided.

    Attributes:
        completed_until: The job's last-completed mark; None where a refresh starts anew.
        completed: Its completed intervals, where it keeps them (semantics W3); empty where a refresh starts anew.
        active_windows: Windows of its runs under way.
        set_aside: Windows that failed since the job was last triggered (see `next_windows`).
        override: An operator's schedule (semantics T8).
        at_once: How many intervals a backfill asked to run together.
        upstreams: Facts of the jobs its freshness gates ask about.
        starting: The jobs that start, or wait to, in the same batch (semantics D3).
    """

    configuration: Configuration
    active_runs: int
    completed_until: Instant | None
    completed: tuple[Range, ...] = ()
    active_windows: tuple[Range, ...] = ()
    set_aside: tuple[Range, ...] = ()
    override: str | None = None
    at_once: int | None = None
    is_refreshing: bool = False
    upstreams: Mapping[str, UpstreamFacts] = Field(default_factory=dict)
    starting: tuple[str, ...] = ()


class Start(Frozen):
    """The job starts, as a run with these properties."""

    profile: str
    interval_start: Instant
    interval_end: Instant


class Skip(Frozen):
    """The job does not start; `reason` says why in words."""

    outcome: TriggerOutcome
    profile: str
    reason: str


def decide_start(
    job: Job,
    trigger: str,
    facts: StartFacts,
    now: datetime,
    profile: str | None = None,
    *,
    is_manual: bool = True,
    skip_freshness: bool = False,
) -> Start | Skip:
    """Decide whether a live job starts now.

    Args:
        job: Not archived; the caller sees to that, since what to answer depends on who asks (semantics D1).
        trigger: What the run will record.
        profile: Overrides the job's own choice (semantics J6).
        is_manual: Somebody asked for it: work that is done already is then done again (semantics D4).
        skip_freshness: Start although upstreams are not fresh.
    """
    definition = job.version.definition
    profile = choose_profile(
        definition.entry_point.job_type, profile or definition.required_profile, facts.configuration.profiles
    )

    def skip(outcome: TriggerOutcome, reason: str) -> Skip:
        return Skip(outcome=outcome, profile=profile, reason=reason)

    window = next_window(definition, trigger, facts, now)
    if isinstance(window, NoWindow) and window.outcome == "skipped_out_of_interval":
        return skip(window.outcome, window.reason)
    repeated = window if isinstance(window, tuple) else _repeated_window(definition, trigger, facts, now)
    if not skip_freshness:
        unmet = judge_freshness(definition, repeated, facts.upstreams, now)
        if awaited := awaited_upstreams(unmet, facts.starting):
            return skip("skipped_upstream_pending", f"starts after {', '.join(awaited)}, triggered at the same time")
        if unmet:
            return skip("skipped_fresh", "; ".join(unmet.values()))
    if isinstance(window, NoWindow) and not is_manual:
        return skip(window.outcome, window.reason)
    interval = declared_interval(definition, facts.override)
    if interval is not None and not interval.is_discrete and facts.active_runs:
        return skip(
            "skipped_concurrency_limit", f"a run of `{job.job_ref}` is still active, its windows follow each other"
        )
    if definition.concurrency is not None and facts.active_runs >= definition.concurrency:
        runs = "1 run" if facts.active_runs == 1 else f"{facts.active_runs} runs"
        return skip(
            "skipped_concurrency_limit",
            f"{runs} of `{job.job_ref}` still active, its concurrency is {definition.concurrency}",
        )
    return Start(profile=profile, interval_start=repeated[0], interval_end=repeated[1])


def next_window(definition: JobDefinition, trigger: str, facts: StartFacts, now: datetime) -> Window | NoWindow:
    """What a run would cover, or why there is nothing for it to cover (semantics W1-W3, D2, D4)."""
    interval = declared_interval(definition, facts.override)
    if interval is None:
        start, end = run_window(trigger, now, facts.completed_until, definition.timezone)
        # A point is a whole window for events; for a schedule it says that the tick is done.
        if start < end or trigger.partition(":")[0] not in TIMED_TYPES:
            return start, end
        return NoWindow(outcome="skipped_already_covered", reason="the tick that has elapsed is done")
    if interval.is_discrete:
        return _next_discrete(definition, interval, facts, now)
    return pointer_window(interval, facts.completed_until, now)


def _next_discrete(
    definition: JobDefinition, interval: JobInterval, facts: StartFacts, now: datetime
) -> Window | NoWindow:
    windows = next_windows(
        interval,
        facts.completed,
        facts.active_windows,
        now,
        at_once=facts.at_once or windows_at_once(interval, definition.concurrency),
        set_aside=facts.set_aside,
        is_refreshing=facts.is_refreshing,
    )
    if windows:
        return windows[0]
    if facts.active_windows:
        return NoWindow(outcome="skipped_already_covered", reason="its next interval is being worked on")
    nothing = no_window(interval, now)
    if facts.set_aside and nothing.outcome == "skipped_already_covered":
        return NoWindow(outcome=nothing.outcome, reason="its next interval has failed; the next trigger tries it again")
    return nothing


def _repeated_window(definition: JobDefinition, trigger: str, facts: StartFacts, now: datetime) -> Window:
    """The most recent elapsed tick: what a manual start repeats when nothing is left to do (semantics D4)."""
    interval = declared_interval(definition, facts.override)
    if interval is not None:
        latest = latest_window(interval, now)
        return latest if isinstance(latest, tuple) else (interval.start, interval.start)
    start, end = run_window(trigger, now, None, definition.timezone)
    # Just after clocks go forward the SDK's arithmetic puts the skipped hour's ticks behind `end`: nothing to cover.
    return min(start, end), end
