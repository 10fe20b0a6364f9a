"""What may be worth telling, what people have been told, and the messages on their way.

Triggers of the schema note events in the transaction in which they happen; a message is queued in the transaction that
takes the event, so each is told once, whatever dies when.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from runtime.domain.model import Frozen, Instant
from runtime.domain.notices import TROUBLED_SKIPS, Notice, NoticeKind, Skipping
from runtime.domain.runs import Run
from runtime.store.columns import from_micros, from_micros_or_none, to_micros
from runtime.store.database import Connection, Row


class Event(NamedTuple):
    """Something that happened to a run."""

    kind: NoticeKind
    run_id: UUID


class Waiting(Frozen):
    """A message that has not been delivered."""

    id: int
    target: str
    notice: Notice
    expires_at: Instant
    attempts: int


async def events(connection: Connection, limit: int) -> list[Event]:
    """What has happened and has not been dealt with, oldest first."""
    rows = await connection.all("SELECT kind, run_id FROM notable_events ORDER BY at, kind, run_id LIMIT ?", (limit,))
    return [Event(row["kind"], UUID(bytes=row["run_id"])) for row in rows]


async def forget_event(connection: Connection, event: Event) -> None:
    """It has been dealt with."""
    await connection.execute(
        "DELETE FROM notable_events WHERE kind = ? AND run_id = ?", (event.kind, event.run_id.bytes)
    )


_IS_LATE = """status IN ('pending', 'starting', 'running', 'cancelling')
              AND status IN ('pending', 'starting') AND scheduled_at < :before"""
"""The first half is word for word the condition of the index `runs_active`."""


async def any_late(connection: Connection, before: datetime) -> bool:
    """Whether there is a run whose tick was before and that still has not begun."""
    sql = f"SELECT EXISTS (SELECT 1 FROM runs WHERE {_IS_LATE})"
    return bool(await connection.value(sql, {"before": to_micros(before)}))


async def note_late(connection: Connection, before: datetime, now: datetime) -> None:
    """Note the runs whose tick was before and that still have not begun."""
    await connection.execute(
        f"INSERT OR IGNORE INTO notable_events SELECT 'late', id, :now FROM runs WHERE {_IS_LATE}",
        {"now": to_micros(now), "before": to_micros(before)},
    )


async def skipping(connection: Connection, run: Run) -> Skipping:
    """How long the job of a skipped run has skipped, that run included, and how often."""
    marks = ", ".join("?" * len(TROUBLED_SKIPS))
    last = f"""SELECT max(number) FROM runs
               WHERE job_id = ? AND number < ? AND (outcome IS NULL OR outcome NOT IN ({marks}))"""
    row = await connection.one(
        f"""SELECT min(created_at) AS since, sum(skip_count) AS times, min(number) AS first_number FROM runs
            WHERE job_id = ? AND number <= ? AND number > coalesce(({last}), 0)""",
        (run.job_id.bytes, run.number, run.job_id.bytes, run.number, *TROUBLED_SKIPS),
    )
    assert row is not None  # noqa: S101 - the run itself is among them
    return Skipping(since=from_micros(row["since"]), times=row["times"], first_number=row["first_number"])


async def number_of(connection: Connection, run_id: UUID) -> int:
    """A run's number in its job; 0 if retention has removed it, which all that are left are newer than."""
    return await connection.value("SELECT number FROM runs WHERE id = ?", (run_id.bytes,)) or 0


async def has_begun_in_time(connection: Connection, run: Run, after: int, late: timedelta) -> bool:
    """Whether a timed run of the same job, between number `after` and this one, has begun when it should have."""
    sql = """SELECT EXISTS (SELECT 1 FROM runs WHERE job_id = ? AND number > ? AND number < ?
                            AND scheduled_at IS NOT NULL AND started_at - scheduled_at < ?)"""
    return bool(await connection.value(sql, (run.job_id.bytes, after, run.number, late // timedelta(microseconds=1))))


async def told_at(
    connection: Connection, target: str, kind: NoticeKind, job_id: UUID
) -> tuple[datetime | None, UUID | None]:
    """When somebody was last told this of a job, and of which run."""
    row = await connection.one(
        "SELECT at, run_id FROM told WHERE target = ? AND kind = ? AND job_id = ?", (target, kind, job_id.bytes)
    )
    return (from_micros_or_none(row["at"]), UUID(bytes=row["run_id"])) if row else (None, None)


async def note_told(
    connection: Connection, target: str, kind: NoticeKind, job_id: UUID, run_id: UUID, at: datetime
) -> None:
    """Somebody is told this of a job."""
    await connection.execute(
        """INSERT INTO told VALUES (?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET run_id = excluded.run_id, at = excluded.at""",
        (target, kind, job_id.bytes, run_id.bytes, to_micros(at)),
    )


async def forget_told(connection: Connection, job_id: UUID) -> None:
    """A job is well: what is wrong with it from now on is news."""
    await connection.execute("DELETE FROM told WHERE job_id = ?", (job_id.bytes,))


async def queue(
    connection: Connection, target: str, kind: NoticeKind, notice: Notice, now: datetime, expires_at: datetime
) -> None:
    """Have a message delivered."""
    await connection.execute(
        """INSERT INTO notifications (target, kind, title, body, created_at, expires_at, due_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (target, kind, notice.title, notice.body, to_micros(now), to_micros(expires_at), to_micros(now)),
    )


async def due(connection: Connection, target: str, now: datetime) -> Waiting | None:
    """The oldest message for somebody that is to be delivered now."""
    row = await connection.one(
        """SELECT * FROM notifications WHERE target = ? AND due_at <= ? ORDER BY due_at, id LIMIT 1""",
        (target, to_micros(now)),
    )
    return _waiting(row) if row else None


async def expired(connection: Connection, target: str, now: datetime) -> list[Waiting]:
    """The messages for somebody that are too old to be of use."""
    rows = await connection.all(
        "SELECT * FROM notifications WHERE target = ? AND expires_at <= ? ORDER BY id", (target, to_micros(now))
    )
    return [_waiting(row) for row in rows]


def _waiting(row: Row) -> Waiting:
    return Waiting(
        id=row["id"],
        target=row["target"],
        notice=Notice(title=row["title"], body=row["body"]),
        expires_at=from_micros(row["expires_at"]),
        attempts=row["attempts"],
    )


async def postpone(connection: Connection, message: Waiting, due_at: datetime) -> None:
    """Try again later."""
    await connection.execute(
        "UPDATE notifications SET attempts = attempts + 1, due_at = ? WHERE id = ?", (to_micros(due_at), message.id)
    )


async def drop(connection: Connection, message: Waiting) -> None:
    """It has been delivered, or will not be."""
    await connection.execute("DELETE FROM notifications WHERE id = ?", (message.id,))


async def drop_for_others(connection: Connection, targets: list[str]) -> int:
    """Messages for targets that are no longer in the settings."""
    marks = ", ".join("?" * len(targets))
    return await connection.execute(f"DELETE FROM notifications WHERE target NOT IN ({marks})", targets)


async def waiting_by_target(connection: Connection) -> dict[str, int]:
    """How many messages are on their way to whom."""
    rows = await connection.all("SELECT target, count(*) AS waiting FROM notifications GROUP BY target")
    return {row["target"]: row["waiting"] for row in rows}
