"""Jobs and the versions of their definitions."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from runtime.domain.jobs import Job, JobDefinition, JobType, JobVersion, read_definition
from runtime.store.columns import from_micros, from_micros_or_none, to_micros, to_micros_or_none
from runtime.store.database import Connection, Row
from runtime.store.paging import Page

_SELECT = """
    SELECT jobs.id, jobs.workspace_id, jobs.job_ref, jobs.archived_at, jobs.created_by, jobs.created_at,
           jobs.updated_at, version.id AS version_id, version.version, version.engine_version, version.definition,
           version.definition_hash, version.deployment_module, version.created_by AS version_created_by,
           version.created_at AS version_created_at
    FROM jobs JOIN job_versions AS version ON version.id = jobs.version_id
"""


async def add_job(connection: Connection, job: Job) -> None:
    """Insert a job that has never been, with its first version."""
    await connection.execute(
        """INSERT INTO jobs (id, workspace_id, job_ref, version_id, archived_at, created_by, created_at, updated_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            job.id.bytes,
            job.workspace_id.bytes,
            job.job_ref,
            job.version.id.bytes,
            to_micros_or_none(job.archived_at),
            job.created_by.bytes,
            to_micros(job.created_at),
            to_micros(job.updated_at),
        ),
    )
    await _add_version(connection, job.version)


async def update_job(connection: Connection, job: Job) -> None:
    """Give a job its new version, and with it a new life if it was archived."""
    await _add_version(connection, job.version)
    await connection.execute(
        "UPDATE jobs SET version_id = ?, archived_at = ?, updated_at = ? WHERE id = ?",
        (job.version.id.bytes, to_micros_or_none(job.archived_at), to_micros(job.updated_at), job.id.bytes),
    )


async def set_archived(connection: Connection, job: Job) -> None:
    """Store the archive state of a job."""
    await connection.execute(
        "UPDATE jobs SET archived_at = ?, updated_at = ? WHERE id = ?",
        (to_micros_or_none(job.archived_at), to_micros(job.updated_at), job.id.bytes),
    )


async def all_jobs(connection: Connection, workspace_id: UUID) -> list[Job]:
    """Every job of a workspace, archived ones too, by reference."""
    rows = await connection.all(f"{_SELECT} WHERE jobs.workspace_id = ? ORDER BY jobs.job_ref", (workspace_id.bytes,))
    return [_job(row) for row in rows]


async def live_jobs_naming(connection: Connection, workspace_id: UUID, trigger: str) -> list[Job]:
    """Live jobs whose definition holds this text, by reference: those with the trigger, and perhaps some more.

    The end of a run asks for its followers; to read all the jobs of a workspace for them takes long.
    """
    rows = await connection.all(
        f"""{_SELECT} WHERE jobs.workspace_id = ? AND jobs.archived_at IS NULL AND instr(version.definition, ?) > 0
            ORDER BY jobs.job_ref""",
        (workspace_id.bytes, json.dumps(trigger)),
    )
    return [_job(row) for row in rows]


async def list_jobs(
    connection: Connection,
    workspace_id: UUID,
    *,
    job_type: JobType | None,
    archived: bool | None,
    limit: int,
    offset: int,
) -> Page[Job]:
    """A page of jobs by reference; None filters nothing."""
    where = """WHERE jobs.workspace_id = :workspace
                 AND (:archived IS NULL OR (jobs.archived_at IS NOT NULL) = :archived)
                 AND (:type IS NULL OR json_extract(version.definition, '$.entry_point.job_type') = :type)"""
    parameters: dict[str, Any] = {"workspace": workspace_id.bytes, "archived": archived, "type": job_type}
    rows = await connection.all(
        f"{_SELECT} {where} ORDER BY jobs.job_ref LIMIT :limit OFFSET :offset",
        {**parameters, "limit": limit, "offset": offset},
    )
    total = await connection.value(
        f"SELECT count(*) FROM jobs JOIN job_versions AS version ON version.id = jobs.version_id {where}", parameters
    )
    return Page([_job(row) for row in rows], total)


async def find_job(connection: Connection, workspace_id: UUID, which: UUID | str) -> Job | None:
    """One job of a workspace, by identifier or by reference."""
    if isinstance(which, UUID):
        row = await connection.one(
            f"{_SELECT} WHERE jobs.workspace_id = ? AND jobs.id = ?", (workspace_id.bytes, which.bytes)
        )
    else:
        row = await connection.one(
            f"{_SELECT} WHERE jobs.workspace_id = ? AND jobs.job_ref = ?", (workspace_id.bytes, which)
        )
    return _job(row) if row else None


async def jobs_by_id(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, Job]:
    """The jobs with these identifiers."""
    rows = await connection.all(
        f"{_SELECT} WHERE jobs.id IN ({', '.join('?' * len(job_ids))})", [job_id.bytes for job_id in job_ids]
    )
    return {job.id: job for job in map(_job, rows)}


async def list_versions(connection: Connection, job: Job, limit: int, offset: int) -> Page[JobVersion]:
    """The versions of a job, newest first."""
    rows = await connection.all(
        f"SELECT {_VERSION_COLUMNS} FROM job_versions WHERE job_id = ? ORDER BY version DESC LIMIT ? OFFSET ?",
        (job.id.bytes, limit, offset),
    )
    total = await connection.value("SELECT count(*) FROM job_versions WHERE job_id = ?", (job.id.bytes,))
    return Page([_version(row, job.id) for row in rows], total)


async def find_version(connection: Connection, job_id: UUID, which: UUID | int) -> JobVersion | None:
    """One version of a job, by identifier or by number."""
    column, value = ("id", which.bytes) if isinstance(which, UUID) else ("version", which)
    row = await connection.one(
        f"SELECT {_VERSION_COLUMNS} FROM job_versions WHERE job_id = ? AND {column} = ?", (job_id.bytes, value)
    )
    return _version(row, job_id) if row else None


_VERSION_COLUMNS = """id AS version_id, version, engine_version, definition, definition_hash, deployment_module,
                      created_by AS version_created_by, created_at AS version_created_at"""


async def _add_version(connection: Connection, version: JobVersion) -> None:
    await connection.execute(
        """INSERT INTO job_versions (id, job_id, version, engine_version, definition, definition_hash,
                                     deployment_module, created_by, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            version.id.bytes,
            version.job_id.bytes,
            version.version,
            version.engine_version,
            json.dumps(version.definition.raw),
            version.definition_hash,
            version.deployment_module,
            version.created_by.bytes,
            to_micros(version.created_at),
        ),
    )


def _version(row: Row, job_id: UUID) -> JobVersion:
    return JobVersion(
        id=UUID(bytes=row["version_id"]),
        job_id=job_id,
        version=row["version"],
        engine_version=row["engine_version"],
        definition=stored_definition(row["definition"], row["engine_version"]),
        definition_hash=row["definition_hash"],
        deployment_module=row["deployment_module"],
        created_by=UUID(bytes=row["version_created_by"]),
        created_at=from_micros(row["version_created_at"]),
    )


@lru_cache(maxsize=16384)
def stored_definition(document: str, engine_version: int) -> JobDefinition:
    """A stored definition; it never changes, and reading it takes longer than anything else of a job."""
    return read_definition(json.loads(document), engine_version)


def _job(row: Row) -> Job:
    job_id = UUID(bytes=row["id"])
    return Job(
        id=job_id,
        workspace_id=UUID(bytes=row["workspace_id"]),
        job_ref=row["job_ref"],
        archived_at=from_micros_or_none(row["archived_at"]),
        created_by=UUID(bytes=row["created_by"]),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
        version=_version(row, job_id),
    )
