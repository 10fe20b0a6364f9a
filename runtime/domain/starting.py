"""Whether a job may start now, and with what: the gates that hold for every trigger (semantics D1, D4, D5)."""

from datetime import datetime

from runtime.domain.intervals import run_window
from runtime.domain.jobs import Job
from runtime.domain.model import Frozen, Instant
from runtime.domain.packages import Configuration
from runtime.domain.profiles import choose_profile
from runtime.domain.runs import TriggerOutcome


class StartFacts(Frozen):
    """What the store must say before a start can be decided."""

    configuration: Configuration
    active_runs: int
    completed_until: Instant | None


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


def decide_start(job: Job, trigger: str, facts: StartFacts, now: datetime, profile: str | None = None) -> Start | Skip:
    """Decide whether a live job starts now.

    A manual start whose window is empty, because its tick has been done, runs that tick again (semantics D4).

    Args:
        job: Not archived; the caller sees to that, since what to answer depends on who asks (semantics D1).
        trigger: What the run will record.
        profile: Overrides the job's own choice (semantics J6).
    """
    definition = job.version.definition
    profile = choose_profile(
        definition.entry_point.job_type, profile or definition.required_profile, facts.configuration.profiles
    )
    if definition.concurrency is not None and facts.active_runs >= definition.concurrency:
        runs = "1 run" if facts.active_runs == 1 else f"{facts.active_runs} runs"
        return Skip(
            outcome="skipped_concurrency_limit",
            profile=profile,
            reason=f"{runs} of `{job.job_ref}` still active, its concurrency is {definition.concurrency}",
        )
    start, end = run_window(trigger, now, facts.completed_until, definition.timezone)
    if start >= end:
        start, end = run_window(trigger, now, None, definition.timezone)
    # Just after clocks go forward the SDK's arithmetic puts the skipped hour's ticks behind `end`: nothing to cover.
    return Start(profile=profile, interval_start=min(start, end), interval_end=end)
