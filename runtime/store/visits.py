"""Visits of apps and the tickets that begin them; of each secret only its digest."""

from datetime import datetime
from uuid import UUID

from runtime.domain.model import Frozen, Instant
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection, Row


class Visit(Frozen):
    """A browser that may use an app: `session` or `link` says, by its digest, what lets it."""

    digest: bytes
    job_id: UUID
    session: bytes | None = None
    link: bytes | None = None
    expires_at: Instant


async def add_ticket(connection: Connection, ticket: Visit) -> None:
    """Insert a ticket."""
    await connection.execute(
        "INSERT INTO app_tickets (digest, job_id, session, link, expires_at) VALUES (?, ?, ?, ?, ?)",
        (ticket.digest, ticket.job_id.bytes, ticket.session, ticket.link, to_micros(ticket.expires_at)),
    )


async def delete_tickets_of_session(connection: Connection, session: bytes, kept: int) -> None:
    """Forget the tickets of a browser session but for the newest `kept`."""
    await connection.execute(
        """DELETE FROM app_tickets WHERE digest IN (
               SELECT digest FROM app_tickets WHERE session = ? ORDER BY expires_at DESC LIMIT -1 OFFSET ?)""",
        (session, kept),
    )


async def has_ticket(connection: Connection, digest: bytes) -> bool:
    """Whether there is a ticket with this digest, however old."""
    return await connection.value("SELECT 1 FROM app_tickets WHERE digest = ?", (digest,)) is not None


async def take_ticket(connection: Connection, digest: bytes) -> Visit | None:
    """The ticket with this digest, which is used up now, however old."""
    row = await connection.one("SELECT * FROM app_tickets WHERE digest = ?", (digest,))
    if row is None:
        return None
    await connection.execute("DELETE FROM app_tickets WHERE digest = ?", (digest,))
    return _visit(row)


async def add_visit(connection: Connection, visit: Visit, at: datetime) -> None:
    """Insert a visit."""
    await connection.execute(
        "INSERT INTO app_visits (digest, job_id, session, link, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        (visit.digest, visit.job_id.bytes, visit.session, visit.link, to_micros(at), to_micros(visit.expires_at)),
    )


async def find_visit(connection: Connection, digest: bytes) -> Visit | None:
    """The visit with this digest, however old."""
    row = await connection.one("SELECT * FROM app_visits WHERE digest = ?", (digest,))
    return _visit(row) if row else None


async def delete_old_visits(connection: Connection, now: datetime) -> None:
    """Forget visits and tickets whose time is over."""
    for table in ("app_visits", "app_tickets"):
        await connection.execute(f"DELETE FROM {table} WHERE expires_at <= ?", (to_micros(now),))


def _visit(row: Row) -> Visit:
    return Visit(
        digest=row["digest"],
        job_id=UUID(bytes=row["job_id"]),
        session=row["session"],
        link=row["link"],
        expires_at=from_micros(row["expires_at"]),
    )
