"""Pipelines of workspaces and the loads they made."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from runtime.domain.pipelines import Load, Pipeline, PipelineReport, Table
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection, Row

MOST_PIPELINES = 500
"""Of one profile; those that were not heard of for longest go."""
MOST_LOADS = 1000
"""Of one pipeline; the oldest go."""

_NEWEST_LOADS = 20
"""So many of a pipeline's loads say which jobs run it."""

_COLUMNS = "profile, name, dataset_name, destination_name, destination_type, table_count, updated_at"
_TABLES = TypeAdapter(tuple[Table, ...])


async def save_report(
    connection: Connection, workspace_id: UUID, run_id: UUID, profile: str, report: PipelineReport, now: datetime
) -> None:
    """Store what a run reported of a pipeline, in place of what it said before."""
    pipeline_id = await _save_pipeline(connection, workspace_id, profile, report, now)
    for load in report.loads:
        await connection.execute(
            """INSERT INTO pipeline_loads (pipeline_id, run_id, transaction_id, started_at, document)
               VALUES (?, ?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET started_at = excluded.started_at, document = excluded.document""",
            (pipeline_id, run_id.bytes, load.transaction_id, to_micros(load.started_at), load.model_dump_json()),
        )
    await connection.execute(
        """DELETE FROM pipeline_loads WHERE pipeline_id = ?1 AND started_at < (
               SELECT started_at FROM pipeline_loads WHERE pipeline_id = ?1
               ORDER BY started_at DESC LIMIT 1 OFFSET ?2)""",
        (pipeline_id, MOST_LOADS - 1),
    )


async def _save_pipeline(
    connection: Connection, workspace_id: UUID, profile: str, report: PipelineReport, now: datetime
) -> int:
    await connection.execute(
        """INSERT INTO pipelines (workspace_id, profile, name, dataset_name, destination_name, destination_type,
                                  table_count, tables, updated_at)
           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
           ON CONFLICT DO UPDATE SET
               dataset_name = coalesce(excluded.dataset_name, pipelines.dataset_name),
               destination_name = coalesce(excluded.destination_name, pipelines.destination_name),
               destination_type = coalesce(excluded.destination_type, pipelines.destination_type),
               table_count = CASE WHEN ?10 THEN excluded.table_count ELSE pipelines.table_count END,
               tables = CASE WHEN ?10 THEN excluded.tables ELSE pipelines.tables END,
               updated_at = excluded.updated_at""",
        (
            workspace_id.bytes,
            profile,
            report.pipeline_name,
            report.dataset_name,
            report.destination_name,
            report.destination_type,
            len(report.tables or ()),
            _TABLES.dump_json(report.tables or ()).decode(),
            to_micros(now),
            report.tables is not None,
        ),
    )
    await connection.execute(
        """DELETE FROM pipelines WHERE id IN (
               SELECT id FROM pipelines WHERE workspace_id = ? AND profile = ?
               ORDER BY updated_at DESC, id DESC LIMIT -1 OFFSET ?)""",
        (workspace_id.bytes, profile, MOST_PIPELINES),
    )
    row = await connection.one(
        "SELECT id FROM pipelines WHERE workspace_id = ? AND profile = ? AND name = ?",
        (workspace_id.bytes, profile, report.pipeline_name),
    )
    if row is None:
        raise LookupError("a pipeline just stored is gone")
    return int(row["id"])


async def pipelines_of(connection: Connection, workspace_id: UUID, profile: str | None) -> tuple[Pipeline, ...]:
    """All of a workspace, or of one of its profiles; the last heard of first."""
    rows = await connection.all(
        f"""SELECT {_COLUMNS} FROM pipelines WHERE workspace_id = ?1 AND (?2 IS NULL OR profile = ?2)
           ORDER BY updated_at DESC, name, profile""",
        (workspace_id.bytes, profile),
    )
    return tuple(_pipeline(row) for row in rows)


async def loaded_by(connection: Connection, workspace_id: UUID) -> list[tuple[str, Pipeline]]:
    """Which jobs made the newest loads of each pipeline: pairs of a job's reference and the pipeline."""
    rows = await connection.all(
        f"""SELECT DISTINCT jobs.job_ref, {", ".join(f"pipelines.{column}" for column in _COLUMNS.split(", "))}
            FROM pipelines JOIN pipeline_loads AS load ON load.pipeline_id = pipelines.id
            JOIN runs ON runs.id = load.run_id JOIN jobs ON jobs.id = runs.job_id
            WHERE pipelines.workspace_id = ?1 AND load.started_at >= coalesce((
                SELECT started_at FROM pipeline_loads AS one WHERE one.pipeline_id = pipelines.id
                ORDER BY started_at DESC LIMIT 1 OFFSET ?2), 0)
            ORDER BY jobs.job_ref, pipelines.name, pipelines.profile""",
        (workspace_id.bytes, _NEWEST_LOADS),
    )
    return [(row["job_ref"], _pipeline(row)) for row in rows]


async def find_pipeline(
    connection: Connection, workspace_id: UUID, name: str, profile: str | None
) -> tuple[Pipeline, tuple[Table, ...], int] | None:
    """A pipeline with its tables and its key; without a profile, where it was last heard of."""
    row = await connection.one(
        """SELECT * FROM pipelines WHERE workspace_id = ?1 AND name = ?2 AND (?3 IS NULL OR profile = ?3)
           ORDER BY updated_at DESC, id DESC LIMIT 1""",
        (workspace_id.bytes, name, profile),
    )
    return None if row is None else (_pipeline(row), _TABLES.validate_json(row["tables"]), row["id"])


async def loads_of(connection: Connection, pipeline_key: int, limit: int) -> Sequence[tuple[UUID, Load]]:
    """The newest loads of a pipeline with the runs that made them, newest first."""
    rows = await connection.all(
        "SELECT run_id, document FROM pipeline_loads WHERE pipeline_id = ? ORDER BY started_at DESC LIMIT ?",
        (pipeline_key, limit),
    )
    return [(UUID(bytes=row["run_id"]), Load.model_validate_json(row["document"])) for row in rows]


def _pipeline(row: Row) -> Pipeline:
    return Pipeline(
        profile=row["profile"],
        name=row["name"],
        dataset_name=row["dataset_name"],
        destination_name=row["destination_name"],
        destination_type=row["destination_type"],
        table_count=row["table_count"],
        updated_at=from_micros(row["updated_at"]),
    )
