"""Timers, windows and what operators said of schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.domain.jobs import JobDefinition
from runtime.domain.model import Frozen, Instant
from runtime.store.columns import from_micros, from_micros_or_none, to_micros, to_micros_or_none
from runtime.store.database import Connection, Row
from runtime.store.jobs import stored_definition

Range = tuple[datetime, datetime]


class Timer(Frozen):
    """How far a timed trigger has been dispatched; `since` is when it was first deployed."""

    job_id: UUID
    trigger: str
    since: Instant
    last_tick_at: Instant | None = None


class Schedule(Frozen):
    """What an operator said of a job's schedule (semantics T8), and whether a refresh waits for it (R2).

    `at_once` is how many intervals a backfill asked to run together, until none is left open.
    """

    paused_at: Instant | None = None
    override: str | None = None
    refresh_pending: bool = False
    at_once: int | None = None


@dataclass(frozen=True)
class LiveTimer:
    """A timer with what says whether and when its trigger ticks."""

    timer: Timer
    definition: JobDefinition
    override: str | None


async def add_timer(connection: Connection, job_id: UUID, trigger: str, since: datetime) -> None:
    """Begin to count a trigger's ticks; one that is known goes on where it was, however often it is deployed."""
    await connection.execute(
        "INSERT OR IGNORE INTO job_timers (job_id, trigger, since) VALUES (?, ?, ?)",
        (job_id.bytes, trigger, to_micros(since)),
    )


async def restart_timer(connection: Connection, job_id: UUID, trigger: str, since: datetime) -> None:
    """Count a trigger's ticks from now on, whatever it has missed: what putting a schedule in force does (T8)."""
    await connection.execute(
        "INSERT OR REPLACE INTO job_timers (job_id, trigger, since) VALUES (?, ?, ?)",
        (job_id.bytes, trigger, to_micros(since)),
    )


async def find_timer(connection: Connection, job_id: UUID, trigger: str) -> Timer | None:
    """How far a trigger has been dispatched."""
    row = await connection.one("SELECT * FROM job_timers WHERE job_id = ? AND trigger = ?", (job_id.bytes, trigger))
    return _timer(row) if row else None


async def live_timers(connection: Connection) -> list[LiveTimer]:
    """The timers of all jobs that are neither archived nor paused."""
    rows = await connection.all(
        """SELECT job_timers.*, jobs.schedule_override, version.definition, version.engine_version
           FROM job_timers JOIN jobs ON jobs.id = job_timers.job_id
                           JOIN job_versions AS version ON version.id = jobs.version_id
           WHERE jobs.archived_at IS NULL AND jobs.paused_at IS NULL"""
    )
    return [
        LiveTimer(_timer(row), stored_definition(row["definition"], row["engine_version"]), row["schedule_override"])
        for row in rows
    ]


async def timers_by_trigger(connection: Connection, job_ids: Sequence[UUID]) -> dict[tuple[UUID, str], Timer]:
    """The timers of some jobs, by job and trigger."""
    marks = ", ".join("?" * len(job_ids))
    rows = await connection.all(
        f"SELECT * FROM job_timers WHERE job_id IN ({marks})", [job_id.bytes for job_id in job_ids]
    )
    return {(timer.job_id, timer.trigger): timer for timer in map(_timer, rows)}


async def take_tick(connection: Connection, job_id: UUID, trigger: str, tick: datetime) -> bool:
    """Take a tick for dispatch; False if it, or a later one, has been taken already."""
    changed = await connection.execute(
        """UPDATE job_timers SET last_tick_at = :tick
           WHERE job_id = :job AND trigger = :trigger AND (last_tick_at IS NULL OR last_tick_at < :tick)""",
        {"job": job_id.bytes, "trigger": trigger, "tick": to_micros(tick)},
    )
    return changed == 1


async def find_schedule(connection: Connection, job_id: UUID) -> Schedule:
    """What was said of a job's schedule."""
    row = await connection.one(
        "SELECT paused_at, schedule_override, refresh_pending, at_once FROM jobs WHERE id = ?", (job_id.bytes,)
    )
    return _schedule(row) if row else Schedule()


async def schedules_by_job(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, Schedule]:
    """What was said of some jobs' schedules."""
    marks = ", ".join("?" * len(job_ids))
    rows = await connection.all(
        f"SELECT id, paused_at, schedule_override, refresh_pending, at_once FROM jobs WHERE id IN ({marks})",
        [job_id.bytes for job_id in job_ids],
    )
    return {UUID(bytes=row["id"]): _schedule(row) for row in rows}


async def schedules_of(connection: Connection, workspace_id: UUID) -> dict[UUID, Schedule]:
    """What was said of every job of a workspace."""
    rows = await connection.all(
        "SELECT id, paused_at, schedule_override, refresh_pending, at_once FROM jobs WHERE workspace_id = ?",
        (workspace_id.bytes,),
    )
    return {UUID(bytes=row["id"]): _schedule(row) for row in rows}


async def save_schedule(connection: Connection, job_id: UUID, schedule: Schedule) -> None:
    """Store pause, override and pending refresh."""
    await connection.execute(
        "UPDATE jobs SET paused_at = ?, schedule_override = ?, refresh_pending = ?, at_once = ? WHERE id = ?",
        (
            to_micros_or_none(schedule.paused_at),
            schedule.override,
            schedule.refresh_pending,
            schedule.at_once,
            job_id.bytes,
        ),
    )


async def completed_until(connection: Connection, job_id: UUID) -> datetime | None:
    """The last-completed mark: where the job's completed windows end; None if none has, or after a refresh."""
    return from_micros_or_none(await connection.value("SELECT completed_until FROM jobs WHERE id = ?", (job_id.bytes,)))


async def move_mark(connection: Connection, job_id: UUID, to: datetime | None) -> None:
    """Put the last-completed mark where somebody wants it, backwards too: what a backfill does."""
    await connection.execute("UPDATE jobs SET completed_until = ? WHERE id = ?", (to_micros_or_none(to), job_id.bytes))


async def set_completed_until(connection: Connection, job_id: UUID, until: datetime) -> None:
    """Move the last-completed mark forward, never back."""
    await connection.execute(
        "UPDATE jobs SET completed_until = max(coalesce(completed_until, :until), :until) WHERE id = :job",
        {"until": to_micros(until), "job": job_id.bytes},
    )


async def clear_marks(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Forget what these jobs have completed, and have their next runs refresh (semantics R1)."""
    for job_id in job_ids:
        await connection.execute(
            "UPDATE jobs SET completed_until = NULL, refresh_pending = 1 WHERE id = ?", (job_id.bytes,)
        )
        await connection.execute("DELETE FROM completed_intervals WHERE job_id = ?", (job_id.bytes,))


async def completed_intervals(connection: Connection, job_id: UUID) -> list[Range]:
    """The completed ranges of a job with an interval store, ascending (semantics W3)."""
    rows = await connection.all(
        "SELECT start_at, end_at FROM completed_intervals WHERE job_id = ? ORDER BY start_at", (job_id.bytes,)
    )
    return [(from_micros(row["start_at"]), from_micros(row["end_at"])) for row in rows]


async def save_completed_intervals(connection: Connection, job_id: UUID, ranges: Sequence[Range]) -> None:
    """Replace a job's completed ranges; they neither touch nor overlap."""
    await connection.execute("DELETE FROM completed_intervals WHERE job_id = ?", (job_id.bytes,))
    await connection.executemany(
        "INSERT INTO completed_intervals VALUES (?, ?, ?)",
        [(job_id.bytes, to_micros(start), to_micros(end)) for start, end in ranges],
    )


async def note_manifest_deployment(
    connection: Connection, workspace_id: UUID, module: str, deployment_id: UUID
) -> bool:
    """Note which code a manifest was deployed with; whether it is other code than the last time."""
    key = (workspace_id.bytes, module)
    last = await connection.value(
        "SELECT deployment_id FROM manifest_deployments WHERE workspace_id = ? AND module = ?", key
    )
    await connection.execute(
        "INSERT OR REPLACE INTO manifest_deployments VALUES (?, ?, ?)", (*key, deployment_id.bytes)
    )
    return bool(last != deployment_id.bytes)


def _timer(row: Row) -> Timer:
    return Timer(
        job_id=UUID(bytes=row["job_id"]),
        trigger=row["trigger"],
        since=from_micros(row["since"]),
        last_tick_at=from_micros_or_none(row["last_tick_at"]),
    )


def _schedule(row: Row) -> Schedule:
    return Schedule(
        paused_at=from_micros_or_none(row["paused_at"]),
        override=row["schedule_override"],
        refresh_pending=bool(row["refresh_pending"]),
        at_once=row["at_once"],
    )
