"""Counts of runs: over time for people, in total for those who measure the machine."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from runtime.domain.buckets import Bucket
from runtime.domain.refs import DASHBOARD_JOB_REF
from runtime.domain.runs import ACTIVE_STATUSES, RunStatus
from runtime.store.columns import to_micros
from runtime.store.database import Connection

_ACTIVE = ", ".join(f"'{status}'" for status in sorted(ACTIVE_STATUSES))


@dataclass(frozen=True)
class BucketCount:
    """Runs of one status in one bucket; `seconds` is the time they took together."""

    bucket: int
    status: RunStatus
    runs: int
    seconds: int


@dataclass(frozen=True)
class EndedTotal:
    """Runs that ended ever since: `at_most` is the upper bound of the durations in seconds, None where there is none.

    0 stands for those that never started.
    """

    workspace_id: UUID
    status: str
    at_most: int | None
    runs: int
    seconds: float


async def count_in_buckets(connection: Connection, workspace_id: UUID, buckets: Sequence[Bucket]) -> list[BucketCount]:
    """The runs of a workspace that were created in each bucket, by status; those of the workspace dashboard not.

    Runs that retention has removed are counted by the quarter of an hour in which they were created.
    """
    pieces = [[to_micros(bucket.counts_from), to_micros(bucket.end)] for bucket in buckets]
    rows = await connection.all(
        """SELECT piece.key AS bucket, runs.status, count(*) AS runs,
                  coalesce(sum((runs.ended_at - runs.started_at) / 1000000), 0) AS seconds
           FROM json_each(:pieces) AS piece
           CROSS JOIN runs INDEXED BY runs_by_time
           WHERE runs.workspace_id = :workspace
             AND runs.created_at >= json_extract(piece.value, '$[0]')
             AND runs.created_at < json_extract(piece.value, '$[1]')
             AND runs.job_id IS NOT (SELECT id FROM jobs WHERE workspace_id = :workspace AND job_ref = :system)
           GROUP BY piece.key, runs.status
           UNION ALL
           SELECT piece.key AS bucket, removed_runs.status, sum(removed_runs.runs) AS runs,
                  sum(removed_runs.seconds) AS seconds
           FROM json_each(:pieces) AS piece
           CROSS JOIN removed_runs
           WHERE removed_runs.workspace_id = :workspace
             AND removed_runs.slot >= json_extract(piece.value, '$[0]')
             AND removed_runs.slot < json_extract(piece.value, '$[1]')
           GROUP BY piece.key, removed_runs.status""",
        {"pieces": json.dumps(pieces), "workspace": workspace_id.bytes, "system": DASHBOARD_JOB_REF},
    )
    return [BucketCount(row["bucket"], row["status"], row["runs"], row["seconds"]) for row in rows]


async def ended_totals(connection: Connection) -> list[EndedTotal]:
    """All runs that have ended, by workspace, status and duration."""
    rows = await connection.all("SELECT * FROM run_totals ORDER BY workspace_id, status, at_most")
    return [
        EndedTotal(
            workspace_id=UUID(bytes=row["workspace_id"]),
            status=row["status"],
            at_most=None if row["at_most"] < 0 else row["at_most"],
            runs=row["runs"],
            seconds=row["seconds"],
        )
        for row in rows
    ]


async def active_by_status(connection: Connection) -> list[tuple[UUID, str, int]]:
    """Runs that have not ended: workspace, status, how many."""
    rows = await connection.all(
        f"""SELECT workspace_id, status, count(*) AS runs FROM runs
            WHERE status IN ({_ACTIVE}) GROUP BY workspace_id, status"""
    )
    return [(UUID(bytes=row["workspace_id"]), row["status"], row["runs"]) for row in rows]


async def stored_lines(connection: Connection) -> int:
    """How many log lines have been stored ever since."""
    return int(await connection.value("SELECT lines FROM log_totals"))
