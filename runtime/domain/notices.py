"""What people are told of their jobs: who of them, and in which words."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from runtime.domain.model import Frozen, Instant
from runtime.domain.runs import Run, TriggerOutcome

NoticeKind = Literal["failed", "recovered", "late", "skipped"]

_TOLD_AGAIN: frozenset[NoticeKind] = frozenset({"failed", "late", "skipped"})
"""What may go on: told again after a while, not each time."""
TROUBLED_SKIPS: frozenset[TriggerOutcome] = frozenset(
    {"skipped_concurrency_limit", "skipped_fresh", "skipped_upstream_pending"}
)
"""Why a job that skips may be in trouble; the other reasons are ordinary: there was nothing to do."""
_REASON_CHARACTERS = 300


class Skipping(Frozen):
    """How long a job has skipped whatever came: since its last run, or since there was last nothing to do.

    `times` counts skips of every trigger and every troubled reason; `first_number` is the run's it began with.
    """

    since: Instant
    times: int
    first_number: int


class Noticed(Frozen):
    """Something that may be worth telling: a run, and what happened to it. `skipping` is there for `skipped`."""

    kind: NoticeKind
    run: Run
    workspace_name: str
    tags: tuple[str, ...]
    display_name: str
    skipping: Skipping | None = None


class Filters(Frozen):
    """What somebody wants to hear of; nothing named means everything."""

    events: tuple[NoticeKind, ...]
    workspaces: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def concern(self, noticed: Noticed) -> bool:
        """Whether it is for them."""
        names = {noticed.workspace_name, str(noticed.run.workspace_id)}
        return (
            noticed.kind in self.events
            and (not self.workspaces or not names.isdisjoint(self.workspaces))
            and (not self.tags or not set(noticed.tags).isdisjoint(self.tags))
        )


class Notice(Frozen):
    """A message: one line, and a few more."""

    title: str
    body: str


def is_worth_telling(noticed: Noticed, *, late: timedelta, skipped: timedelta, now: datetime) -> bool:
    """Whether what happened is as bad as the settings say: late enough, skipped for long enough."""
    run = noticed.run
    if noticed.kind == "late":
        begun = run.started_at or now
        return run.scheduled_at is not None and begun - run.scheduled_at >= late
    if noticed.kind == "skipped":
        skipping = noticed.skipping
        return skipping is not None and run.ended_at is not None and run.ended_at - skipping.since >= skipped
    return True


def is_news(
    kind: NoticeKind, told_at: datetime | None, *, was_well: bool = False, repeat: timedelta, now: datetime
) -> bool:
    """Whether to tell it, having told the like of the same job at `told_at`; `was_well` if all was well in between."""
    if told_at is None or was_well or kind not in _TOLD_AGAIN:
        return True
    return repeat > timedelta(0) and now - told_at >= repeat


def notice_of(noticed: Noticed, link: str, *, now: datetime) -> Notice:
    """The words for it."""
    run = noticed.run
    name = noticed.display_name
    lines: Sequence[str]
    match noticed.kind:
        case "failed":
            title, lines = f"{name} failed", [_shortened(run.reason or "no reason was given")]
        case "recovered":
            title, lines = f"{name} is well again", [f"run {run.number} completed"]
        case "late":
            begun = run.started_at
            since = (begun or now) - (run.scheduled_at or now)
            state = "began" if begun else "has not begun yet,"
            title, lines = f"{name} is late", [f"run {run.number} {state} {_duration(since)} after its time"]
        case "skipped":
            skipping = noticed.skipping or Skipping(since=run.created_at, times=run.skip_count, first_number=run.number)
            times = f"{skipping.times} times in {_duration((run.ended_at or now) - skipping.since)}"
            title, lines = f"{name} does not run", [f"skipped {times}: {_shortened(run.reason or 'no reason')}"]
    where = f"{run.job_ref}, run {run.number}, workspace {noticed.workspace_name}"
    return Notice(title=_line(f"{noticed.workspace_name}: {title}"), body="\n".join([*lines, where, link]))


def _shortened(text: str) -> str:
    line = _line(text)
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "…"


def _line(text: str) -> str:
    """One line without anything a terminal or a mail header would obey."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _duration(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 120:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // 1440} days"
