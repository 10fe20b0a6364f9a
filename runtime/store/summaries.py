"""Summaries that pipelines gave of runs."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from runtime.domain.summaries import PipelineSummary
from runtime.store.columns import from_micros_or_none, to_micros_or_none
from runtime.store.database import Connection, Row

_MOST_PARAMETERS = 500


async def save_summary(connection: Connection, run_id: UUID, summary: PipelineSummary) -> None:
    """Store the summary of one pipeline, in place of the one before."""
    await connection.execute(
        """INSERT INTO pipeline_run_summaries (run_id, pipeline_name, dataset_name, destination_name, status,
                                               transaction_id, total_rows, duration_ms, started_at, finished_at,
                                               rows_by_table, schema_changes)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET
               dataset_name = excluded.dataset_name, destination_name = excluded.destination_name,
               status = excluded.status, transaction_id = excluded.transaction_id, total_rows = excluded.total_rows,
               duration_ms = excluded.duration_ms, started_at = excluded.started_at,
               finished_at = excluded.finished_at, rows_by_table = excluded.rows_by_table,
               schema_changes = excluded.schema_changes""",
        (
            run_id.bytes,
            summary.pipeline_name,
            summary.dataset_name,
            summary.destination_name,
            summary.status,
            summary.transaction_id,
            summary.total_rows,
            summary.duration_ms,
            to_micros_or_none(summary.started_at),
            to_micros_or_none(summary.finished_at),
            _json_or_none(summary.rows_by_table),
            _json_or_none(summary.schema_changes),
        ),
    )


async def summaries_of(connection: Connection, run_ids: Sequence[UUID]) -> dict[UUID, tuple[PipelineSummary, ...]]:
    """The summaries of these runs, by run and in the order of their names; runs without one are left out."""
    found: dict[UUID, tuple[PipelineSummary, ...]] = {}
    for start in range(0, len(run_ids), _MOST_PARAMETERS):
        some = run_ids[start : start + _MOST_PARAMETERS]
        rows = await connection.all(
            f"""SELECT * FROM pipeline_run_summaries WHERE run_id IN ({", ".join("?" * len(some))})
                ORDER BY run_id, pipeline_name""",
            [run_id.bytes for run_id in some],
        )
        for row in rows:
            run_id = UUID(bytes=row["run_id"])
            found[run_id] = (*found.get(run_id, ()), _summary(row))
    return found


def _summary(row: Row) -> PipelineSummary:
    return PipelineSummary(
        pipeline_name=row["pipeline_name"],
        dataset_name=row["dataset_name"],
        destination_name=row["destination_name"],
        status=row["status"],
        transaction_id=row["transaction_id"],
        total_rows=row["total_rows"],
        duration_ms=row["duration_ms"],
        started_at=from_micros_or_none(row["started_at"]),
        finished_at=from_micros_or_none(row["finished_at"]),
        rows_by_table=_parsed(row["rows_by_table"]),
        schema_changes=_parsed(row["schema_changes"]),
    )


def _json_or_none(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
