"""What became of triggers, in words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.wire.jobs import TriggeredJob

_REASONS: Mapping[str, str] = {
    "skipped_already_covered": "an earlier run covers the interval already",
    "skipped_concurrency_limit": "as many runs of it are active as it allows",
    "skipped_fresh": "what it depends on has nothing new, or is not complete",
    "skipped_minutes_limit": "the compute minutes are used up",
    "skipped_org_concurrency_limit": "as many runs are active as the organization allows",
    "skipped_out_of_interval": "the time lies outside the job's interval",
    "skipped_trial_expired": "the trial has ended",
    "skipped_upstream_pending": "a job it depends on runs first; it follows by itself",
}


def skip_reason(triggered: "TriggeredJob") -> str:
    """Why no run came of it: the daemon's own words, else ours for the status."""
    return triggered.reason or _REASONS.get(triggered.status, triggered.status)
