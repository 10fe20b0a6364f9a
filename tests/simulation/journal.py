"""What has been written to a store, in order: a journal that SQLite itself keeps, so that no write can pass it by.

Triggers note every change of runs, timers, marks and schedules in the transaction that makes it. Two more refuse what
must never happen: a run that has ended is not touched again, and no run is deleted (semantics S1).
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from runtime.domain.jobs import JobDefinition
from runtime.domain.runs import Run
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Database
from runtime.store.jobs import all_jobs, list_versions
from runtime.store.runs import RunFilter, list_runs

NOBODY = UUID(int=0)

_SCHEMA = """
CREATE TABLE journal (seq INTEGER PRIMARY KEY, kind TEXT, subject ANY, before ANY, after ANY, detail TEXT);

CREATE TRIGGER run_created AFTER INSERT ON runs BEGIN
    INSERT INTO journal (kind, subject, after) VALUES ('run', NEW.id, NEW.status); END;
CREATE TRIGGER run_moved AFTER UPDATE OF status ON runs WHEN OLD.status IS NOT NEW.status BEGIN
    INSERT INTO journal (kind, subject, before, after) VALUES ('status', NEW.id, OLD.status, NEW.status); END;
CREATE TRIGGER skip_folded AFTER UPDATE OF skip_count ON runs WHEN OLD.skip_count IS NOT NEW.skip_count BEGIN
    INSERT INTO journal (kind, subject, before, after, detail)
    VALUES ('fold', NEW.id, OLD.skip_count, NEW.skip_count, NEW.scheduled_at); END;

CREATE TRIGGER timer_set AFTER INSERT ON job_timers BEGIN
    INSERT INTO journal (kind, subject, after, detail) VALUES ('timer', NEW.job_id, NEW.since, NEW.trigger); END;
CREATE TRIGGER tick_taken AFTER UPDATE OF last_tick_at ON job_timers BEGIN
    INSERT INTO journal (kind, subject, before, after, detail)
    VALUES ('tick', NEW.job_id, OLD.last_tick_at, NEW.last_tick_at, NEW.trigger); END;

CREATE TRIGGER job_created AFTER INSERT ON jobs BEGIN
    INSERT INTO journal (kind, subject, after) VALUES ('version', NEW.id, NEW.version_id); END;
CREATE TRIGGER job_changed AFTER UPDATE OF version_id ON jobs BEGIN
    INSERT INTO journal (kind, subject, before, after) VALUES ('version', NEW.id, OLD.version_id, NEW.version_id); END;
CREATE TRIGGER job_archived AFTER UPDATE OF archived_at ON jobs BEGIN
    INSERT INTO journal (kind, subject, before, after) VALUES ('archived', NEW.id, OLD.archived_at, NEW.archived_at);
    END;
CREATE TRIGGER job_paused AFTER UPDATE OF paused_at ON jobs WHEN OLD.paused_at IS NOT NEW.paused_at BEGIN
    INSERT INTO journal (kind, subject, before, after) VALUES ('paused', NEW.id, OLD.paused_at, NEW.paused_at); END;
CREATE TRIGGER job_overridden AFTER UPDATE OF schedule_override ON jobs
    WHEN OLD.schedule_override IS NOT NEW.schedule_override BEGIN
    INSERT INTO journal (kind, subject, before, after)
    VALUES ('override', NEW.id, OLD.schedule_override, NEW.schedule_override); END;
CREATE TRIGGER mark_cleared AFTER UPDATE OF completed_until ON jobs WHEN NEW.completed_until IS NULL BEGIN
    INSERT INTO journal (kind, subject) VALUES ('clear', NEW.id); END;
CREATE TRIGGER refresh_spent AFTER UPDATE OF refresh_pending ON jobs
    WHEN OLD.refresh_pending AND NOT NEW.refresh_pending BEGIN
    INSERT INTO journal (kind, subject) VALUES ('spent', NEW.id); END;

CREATE TRIGGER ends_are_final BEFORE UPDATE ON runs
    WHEN OLD.status IN ('completed', 'failed', 'cancelled') OR (OLD.status = 'skipped' AND NEW.status <> 'skipped')
    BEGIN SELECT RAISE(ABORT, 'a final run was changed'); END;
CREATE TRIGGER runs_stay BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'a run was deleted'); END;
"""


def keep_journal(raw: sqlite3.Connection) -> None:
    """Begin to note what is written."""
    raw.executescript(_SCHEMA)


def note(raw: sqlite3.Connection, at: datetime, cause: str, detail: str | None = None) -> None:
    """Say what happens next, and at what time; what is written from here on is its doing."""
    row = to_micros(at), cause, detail
    raw.execute("INSERT INTO journal (kind, after, subject, detail) VALUES ('event', ?, ?, ?)", row)


@dataclass(frozen=True)
class Entry:
    """One change, with the event that made it; `subject` is a run's or a job's identifier.

    An entry of kind `event` opens each event; its subject says nothing.
    """

    seq: int
    at: datetime
    cause: str
    cause_detail: str | None
    kind: str
    subject: UUID
    before: Any
    after: Any
    detail: str | None


@dataclass(frozen=True)
class History:
    """A journal and the end of the story: the runs as they stand, and every definition there ever was."""

    entries: list[Entry]
    runs: dict[UUID, Run]
    definitions: dict[UUID, JobDefinition]
    refs: dict[UUID, str]
    now: datetime
    pending: set[str] = field(default_factory=set)
    completed: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    marks: dict[str, datetime | None] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)

    def by_job(self) -> dict[str, list[Run]]:
        """The runs of each job, by number."""
        found: dict[str, list[Run]] = {ref: [] for ref in self.refs.values()}
        for run in sorted(self.runs.values(), key=lambda run: run.number):
            found[run.job_ref].append(run)
        return found

    def lines(self) -> Iterator[str]:
        """The history without what is random by design, its identifiers: the same seed gives the same lines."""
        named = {run.id: f"{run.job_ref}#{run.number}" for run in self.runs.values()}
        for ref, runs in sorted(self.by_job().items()):
            for run in runs:
                told = run.model_dump(
                    exclude={"id", "workspace_id", "job_id", "job_version_id", "deployment_id", "configuration_id"}
                    | {"prev_run_id", "triggered_by"}
                )
                yield f"{ref} {told} {named[run.prev_run_id] if run.prev_run_id else None}"


async def read_history(database: Database, raw: sqlite3.Connection, workspace_id: UUID, now: datetime) -> History:
    """All that has been noted, and the store as it is now."""
    entries: list[Entry] = []
    at, cause, detail = now, "", None
    for row in raw.execute("SELECT * FROM journal ORDER BY seq"):
        if row["kind"] == "event":
            at, cause, detail = from_micros(row["after"]), row["subject"], row["detail"]
        entries.append(
            Entry(
                seq=row["seq"],
                at=at,
                cause=cause,
                cause_detail=detail,
                kind=row["kind"],
                subject=UUID(bytes=row["subject"]) if row["kind"] != "event" else NOBODY,
                before=row["before"],
                after=row["after"],
                detail=row["detail"],
            )
        )
    async with database.read() as connection:
        jobs = await all_jobs(connection, workspace_id)
        definitions = {
            version.id: version.definition
            for job in jobs
            for version in (await list_versions(connection, job, 1_000_000, 0)).items
        }
        page = await list_runs(connection, workspace_id, RunFilter(include_system=True), 10_000_000, 0)
    refs = {job.id: job.job_ref for job in jobs}
    completed: dict[str, list[tuple[datetime, datetime]]] = {}
    for row in raw.execute("SELECT * FROM completed_intervals ORDER BY job_id, start_at"):
        span = from_micros(row["start_at"]), from_micros(row["end_at"])
        completed.setdefault(refs[UUID(bytes=row["job_id"])], []).append(span)
    marks = {
        row["job_ref"]: from_micros(row["completed_until"]) if row["completed_until"] is not None else None
        for row in raw.execute("SELECT job_ref, completed_until FROM jobs")
    }
    return History(
        entries=entries,
        runs={run.id: run for run in page.items},
        definitions=definitions,
        refs=refs,
        now=now,
        pending={row[0] for row in raw.execute("SELECT job_ref FROM jobs WHERE refresh_pending")},
        completed=completed,
        marks=marks,
        awaited={refs[UUID(bytes=row[0])] for row in raw.execute("SELECT job_id FROM awaited_starts")},
    )
