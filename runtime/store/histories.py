"""How the newest runs of each job went, in few words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from runtime.domain.refs import DASHBOARD_JOB_REF
from runtime.domain.runs import RunStatus
from runtime.store.database import Connection
from runtime.store.paging import Page


@dataclass(frozen=True)
class Outcome:
    """One run of a job; `duration_seconds` is None while it goes on, and when it never started."""

    number: int
    status: RunStatus
    duration_seconds: int | None


@dataclass(frozen=True)
class History:
    """The newest runs of a job, oldest first."""

    job_id: UUID
    outcomes: Sequence[Outcome]


async def list_histories(
    connection: Connection, workspace_id: UUID, length: int, limit: int, offset: int
) -> Page[History]:
    """A page of the jobs of a workspace but its dashboard, by reference, each with its newest `length` runs."""
    of_workspace = "FROM jobs WHERE workspace_id = :workspace AND job_ref <> :system"
    parameters = {"workspace": workspace_id.bytes, "system": DASHBOARD_JOB_REF}
    rows = await connection.all(
        f"SELECT id {of_workspace} ORDER BY job_ref LIMIT :limit OFFSET :offset",
        {**parameters, "limit": limit, "offset": offset},
    )
    total = await connection.value(f"SELECT count(*) {of_workspace}", parameters)
    ids: list[bytes] = [row["id"] for row in rows]
    found = await outcomes(connection, ids, length)
    return Page([History(UUID(bytes=job_id), found.get(job_id, ())) for job_id in ids], total)


async def outcomes(connection: Connection, job_ids: Sequence[bytes], length: int) -> dict[bytes, list[Outcome]]:
    """How the newest `length` runs of each of these jobs went, oldest first; a job without runs is left out."""
    # From the jobs to their newest runs, by index: what it costs does not grow with the history.
    rows = await connection.all(
        f"""SELECT runs.job_id, runs.number, runs.status, (runs.ended_at - runs.started_at) / 1000000 AS seconds
            FROM jobs
            CROSS JOIN runs ON runs.job_id = jobs.id AND runs.number > -? + (
                SELECT max(newest.number) FROM runs AS newest WHERE newest.job_id = jobs.id)
            WHERE jobs.id IN ({", ".join("?" * len(job_ids))})
            ORDER BY runs.job_id, runs.number""",
        (length, *job_ids),
    )
    return {
        job_id: [Outcome(row["number"], row["status"], row["seconds"]) for row in own]
        for job_id, own in groupby(rows, lambda row: row["job_id"])
    }
