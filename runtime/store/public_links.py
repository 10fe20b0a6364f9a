"""Public links of interactive jobs: who holds the secret of one may visit the job's app."""

from datetime import datetime
from uuid import UUID

from runtime.store.columns import to_micros, uuid_or_none
from runtime.store.database import Connection


async def save_link(connection: Connection, job_id: UUID, secret: UUID, created_by: UUID, at: datetime) -> None:
    """Give a job its link, in place of the one it may have."""
    await connection.execute(
        """INSERT INTO public_links (job_id, secret, created_by, created_at) VALUES (?, ?, ?, ?)
           ON CONFLICT (job_id) DO UPDATE SET secret = excluded.secret, created_by = excluded.created_by,
                                              created_at = excluded.created_at""",
        (job_id.bytes, secret.bytes, created_by.bytes, to_micros(at)),
    )


async def delete_link(connection: Connection, job_id: UUID) -> bool:
    """Take a job's link away; whether it had one."""
    return await connection.execute("DELETE FROM public_links WHERE job_id = ?", (job_id.bytes,)) > 0


async def links_of(connection: Connection, workspace_id: UUID) -> dict[UUID, UUID]:
    """The secrets of a workspace's links, by job."""
    rows = await connection.all(
        """SELECT public_links.job_id, public_links.secret FROM public_links
           JOIN jobs ON jobs.id = public_links.job_id WHERE jobs.workspace_id = ?""",
        (workspace_id.bytes,),
    )
    return {UUID(bytes=row["job_id"]): UUID(bytes=row["secret"]) for row in rows}


async def find_job_of_link(connection: Connection, secret: UUID) -> UUID | None:
    """The job that a secret opens."""
    return uuid_or_none(await connection.value("SELECT job_id FROM public_links WHERE secret = ?", (secret.bytes,)))


async def find_link(connection: Connection, job_id: UUID) -> UUID | None:
    """The secret of a job's link."""
    return uuid_or_none(await connection.value("SELECT secret FROM public_links WHERE job_id = ?", (job_id.bytes,)))
