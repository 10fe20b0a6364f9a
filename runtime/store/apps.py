"""Apps: the names of interactive jobs in URLs."""

from collections.abc import Sequence
from uuid import UUID

from runtime.domain.apps import App
from runtime.store.database import Connection, Row
from runtime.store.jobs import stored_definition

_SELECT = """
    SELECT apps.slug, jobs.id, jobs.workspace_id, jobs.job_ref, version.definition, version.engine_version
    FROM apps JOIN jobs ON jobs.id = apps.job_id JOIN job_versions AS version ON version.id = jobs.version_id
"""


async def add_app(connection: Connection, job_id: UUID, slug: str) -> None:
    """Give a job its slug; the one it has already stays."""
    await connection.execute(
        "INSERT INTO apps (job_id, slug) VALUES (?, ?) ON CONFLICT (job_id) DO NOTHING", (job_id.bytes, slug)
    )


async def find_app(connection: Connection, slug: str) -> App | None:
    """The app of this name, also where its job is archived or no longer interactive."""
    row = await connection.one(f"{_SELECT} WHERE apps.slug = ?", (slug,))
    return _app(row) if row else None


async def app_of_job(connection: Connection, job_id: UUID) -> App | None:
    """A job's app."""
    row = await connection.one(f"{_SELECT} WHERE apps.job_id = ?", (job_id.bytes,))
    return _app(row) if row else None


async def app_of_link(connection: Connection, secret: UUID) -> App | None:
    """The app that the secret of a public link opens."""
    row = await connection.one(
        f"{_SELECT} JOIN public_links ON public_links.job_id = apps.job_id WHERE public_links.secret = ?",
        (secret.bytes,),
    )
    return _app(row) if row else None


async def slugs_of(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The slugs of those of these jobs that have one."""
    rows = await connection.all(
        f"SELECT job_id, slug FROM apps WHERE job_id IN ({', '.join('?' * len(job_ids))})",
        [job_id.bytes for job_id in job_ids],
    )
    return {UUID(bytes=row["job_id"]): row["slug"] for row in rows}


async def active_app_runs(connection: Connection) -> set[UUID]:
    """Which of the runs that have not ended are apps."""
    rows = await connection.all(
        """SELECT runs.id FROM runs INDEXED BY runs_active
           JOIN apps ON apps.job_id = runs.job_id JOIN job_versions ON job_versions.id = runs.job_version_id
           WHERE runs.status IN ('pending', 'starting', 'running', 'cancelling')
             AND json_extract(job_versions.definition, '$.entry_point.job_type') = 'interactive'"""
    )
    return {UUID(bytes=row["id"]) for row in rows}


def _app(row: Row) -> App:
    definition = stored_definition(row["definition"], row["engine_version"])
    return App(
        job_id=UUID(bytes=row["id"]),
        workspace_id=UUID(bytes=row["workspace_id"]),
        job_ref=row["job_ref"],
        slug=row["slug"],
        label=definition.label,
    )
