"""Starts that wait for an upstream of the same batch (semantics D3)."""

from uuid import UUID

from runtime.domain.starting import StartRequest
from runtime.store.columns import from_micros_or_none, to_micros_or_none, uuid_or_none
from runtime.store.database import Connection, Row


async def remember(connection: Connection, job_id: UUID, request: StartRequest) -> None:
    """Keep a request until an upstream settles; a newer one for the same job takes its place."""
    await connection.execute(
        """INSERT OR REPLACE INTO awaited_starts
               (job_id, trigger, profile, refresh, is_manual, scheduled_at, triggered_by, prev_run_id)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            job_id.bytes,
            request.trigger,
            request.profile,
            request.refresh,
            request.is_manual,
            to_micros_or_none(request.scheduled_at),
            request.triggered_by and request.triggered_by.bytes,
            request.prev_run_id and request.prev_run_id.bytes,
        ),
    )


async def of_workspace(connection: Connection, workspace_id: UUID) -> list[tuple[UUID, StartRequest]]:
    """The jobs of a workspace that wait, each with its request."""
    rows = await connection.all(
        """SELECT awaited_starts.* FROM awaited_starts JOIN jobs ON jobs.id = awaited_starts.job_id
           WHERE jobs.workspace_id = ? ORDER BY jobs.job_ref""",
        (workspace_id.bytes,),
    )
    return [(UUID(bytes=row["job_id"]), _request(row)) for row in rows]


async def forget(connection: Connection, job_id: UUID) -> None:
    """The request has been looked at."""
    await connection.execute("DELETE FROM awaited_starts WHERE job_id = ?", (job_id.bytes,))


def _request(row: Row) -> StartRequest:
    return StartRequest(
        trigger=row["trigger"],
        profile=row["profile"],
        refresh=bool(row["refresh"]),
        is_manual=bool(row["is_manual"]),
        scheduled_at=from_micros_or_none(row["scheduled_at"]),
        triggered_by=uuid_or_none(row["triggered_by"]),
        prev_run_id=uuid_or_none(row["prev_run_id"]),
    )
