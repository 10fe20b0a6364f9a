"""Runs: one execution of a job, its states, and why it failed (semantics S1, S2, S6)."""

from typing import Literal, get_args
from uuid import UUID

from runtime.domain.machines import Overuse, overuse_reason
from runtime.domain.model import Frozen, Instant
from runtime.errors import ConflictError

RunStatus = Literal["pending", "starting", "running", "cancelling", "completed", "failed", "cancelled", "skipped"]
RUN_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
FINAL_STATUSES: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled", "skipped"})
ACTIVE_STATUSES: frozenset[RunStatus] = frozenset(RUN_STATUSES) - FINAL_STATUSES

MACHINE_RESTARTED = "machine restarted while the job was running"
"""The reason of a run that a reboot or a power cut has ended."""

TriggerOutcome = Literal[
    "triggered",
    "skipped_already_covered",
    "skipped_concurrency_limit",
    "skipped_fresh",
    "skipped_out_of_interval",
    "skipped_upstream_pending",
]

_NEXT: dict[RunStatus, frozenset[RunStatus]] = {
    "pending": frozenset({"starting", "failed", "cancelled", "cancelling"}),
    "starting": frozenset({"running", "completed", "failed", "cancelling", "cancelled"}),
    "running": frozenset({"completed", "failed", "cancelling"}),
    "cancelling": frozenset({"completed", "failed", "cancelled"}),
}


class Run(Frozen):
    """One execution of a job and everything it pins (semantics J4).

    `number` counts per job from 1. `reason` says in one line why a run failed, was skipped or was cancelled.
    `scheduled_at` is the tick a timed run stands for. A skipped run has an `outcome`, and `skip_count` says how many
    identical skips in a row it stands for (semantics D7). `answered_at` is when an app answered for the first time.
    """

    id: UUID
    workspace_id: UUID
    job_id: UUID
    job_ref: str
    job_version_id: UUID
    deployment_id: UUID
    configuration_id: UUID
    number: int
    status: RunStatus
    trigger: str
    profile: str
    refresh: bool
    interval_start: Instant | None = None
    interval_end: Instant | None = None
    prev_run_id: UUID | None = None
    triggered_by: UUID | None = None
    reason: str | None = None
    exit_code: int | None = None
    created_at: Instant
    updated_at: Instant
    started_at: Instant | None = None
    ended_at: Instant | None = None
    answered_at: Instant | None = None
    scheduled_at: Instant | None = None
    outcome: TriggerOutcome | None = None
    skip_count: int = 1

    @property
    def is_final(self) -> bool:
        """Whether the run has ended for good."""
        return self.status in FINAL_STATUSES

    @property
    def duration_seconds(self) -> int | None:
        """Whole seconds between start and end; None while it runs or when it never started."""
        if self.started_at is None or self.ended_at is None:
            return None
        return int((self.ended_at - self.started_at).total_seconds())


class RunEnd(Frozen):
    """How a run ended: a final status, the exit code where a process left one, and the reason in words."""

    status: RunStatus
    exit_code: int | None = None
    reason: str | None = None


def check_transition(current: RunStatus, following: RunStatus) -> None:
    """Let a run go from one status to another, or refuse (semantics S1).

    Raises:
        ConflictError: the run has ended, or the step is not one a run can take.
    """
    if current in FINAL_STATUSES:
        raise ConflictError(f"the run has ended already, it is {current}", code="run_ended")
    if following not in _NEXT[current]:
        raise ConflictError(f"a run that is {current} cannot become {following}", code="run_transition")


def judge_end(
    exit_code: int | None,
    *,
    stopped_for: Literal["timeout", "cancel"] | None,
    last_line: str,
    timeout_seconds: float | None = None,
    overuse: Overuse | None = None,
) -> RunEnd:
    """Turn the way a process ended into the end of its run (semantics S2, S6).

    Args:
        exit_code: What the sandbox reported: 0-127 from the job, 128+N for a signal N, None if nothing was reported.
        stopped_for: Set when the runtime asked the job to stop; exit 0 within the grace is still `completed`.
        last_line: The last non-empty line of the program's output, usually the traceback's.
        timeout_seconds: The limit that passed, for the text.
        overuse: Set when it was killed for using more than its machine has.
    """
    if exit_code == 0:
        return RunEnd(status="completed", exit_code=0)
    if overuse is not None:
        return RunEnd(status="failed", exit_code=exit_code, reason=overuse_reason(overuse))
    if stopped_for == "cancel":
        return RunEnd(status="cancelled", exit_code=exit_code, reason="cancelled on request")
    if stopped_for == "timeout":
        limit = f" of {timeout_seconds:g} s" if timeout_seconds is not None else ""
        return RunEnd(status="failed", exit_code=exit_code, reason=f"timeout: the job ran past its limit{limit}")
    if exit_code is None:
        return RunEnd(status="failed", reason="the sandbox disappeared without an exit status; was it killed?")
    # Beyond 128 bubblewrap follows the shell: 128 + the signal's number.
    what = f"killed by signal {exit_code - 128}" if exit_code > 128 else f"exit code {exit_code}"
    return RunEnd(status="failed", exit_code=exit_code, reason=with_last_line(what, last_line))


def with_last_line(what: str, last_line: str) -> str:
    """The reason of a run that failed by itself: what happened, and the last line it said, if it said any."""
    said = last_line.strip()  # an exception may end in lines that are set in
    return f"{what}: {said}" if said else what
