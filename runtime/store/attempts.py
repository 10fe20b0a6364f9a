"""Counters of failed attempts, which outlive a restart: else restarting would be a way to more of them."""

from datetime import datetime, timedelta

from runtime.domain.model import Frozen, Instant
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection


class Attempts(Frozen):
    """How often something failed of late, and when last; none is `Attempts()`."""

    count: int = 0
    last_at: Instant | None = None


async def find_attempts(connection: Connection, subject: bytes) -> Attempts:
    """What is counted for a subject."""
    row = await connection.one("SELECT count, last_at FROM attempts WHERE subject = ?", (subject,))
    return Attempts(count=row["count"], last_at=from_micros(row["last_at"])) if row else Attempts()


async def count_attempt(connection: Connection, subject: bytes, at: datetime) -> None:
    """One more."""
    await connection.execute(
        """INSERT INTO attempts (subject, count, last_at) VALUES (?, 1, ?)
           ON CONFLICT (subject) DO UPDATE SET count = count + 1, last_at = excluded.last_at""",
        (subject, to_micros(at)),
    )


async def take_attempt_back(connection: Connection, subject: bytes) -> None:
    """One less: it was no failure after all."""
    await connection.execute("UPDATE attempts SET count = count - 1 WHERE subject = ?", (subject,))
    await connection.execute("DELETE FROM attempts WHERE subject = ? AND count <= 0", (subject,))


async def forget_attempts(connection: Connection, subject: bytes) -> None:
    """Start over for a subject."""
    await connection.execute("DELETE FROM attempts WHERE subject = ?", (subject,))


async def forget_old_attempts(connection: Connection, now: datetime, age: timedelta, most: int) -> None:
    """Forget what was last counted longer than `age` ago; beyond `most` subjects, those counted longest ago."""
    await connection.execute("DELETE FROM attempts WHERE last_at <= ?", (to_micros(now - age),))
    await connection.execute(
        """DELETE FROM attempts WHERE subject IN (SELECT subject FROM attempts ORDER BY last_at LIMIT
               max(0, (SELECT count(*) FROM attempts) - ?))""",
        (most,),
    )
