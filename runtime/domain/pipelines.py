"""What jobs report of their pipelines: loads, rows, tables. A job may write anything, so everything is bounded."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from runtime.domain.model import Frozen, Instant
from runtime.domain.summaries import PipelineSummary

Name = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""Shown on terminals and pages, so no control characters."""
Text = Annotated[str, StringConstraints(max_length=2000)]
PlausibleTime = Annotated[Instant, Field(gt=datetime(1971, 1, 1, tzinfo=UTC), lt=datetime(2400, 1, 1, tzinfo=UTC))]
Rows = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]

MOST_LOADS = 100
MOST_TABLES = 5000
MOST_COLUMNS = 5000
MOST_NAMED = 100
"""Tables and columns in a summary, which is read with every list of runs; the loads have them all."""


class Column(Frozen):
    """One column of a table, with dlt's name of its type."""

    name: Name
    data_type: Name
    nullable: bool = True
    primary_key: bool = False
    description: Text | None = None


class Table(Frozen):
    """One table; `parent` is the table whose nested values it holds."""

    schema_name: Name
    name: Name
    parent: Name | None = None
    write_disposition: Name | None = None
    description: Text | None = None
    columns: tuple[Column, ...] = Field(default=(), max_length=MOST_COLUMNS)


class Load(Frozen):
    """One run of a pipeline, or of a step of it that was called by itself.

    Attributes:
        status: `running` in reports alone: what is stored of a load has come to its end, one way or another.
        failed_step: Where it failed; of one that runs, where it is.
        rows: By table, without dlt's own.
        schema_changes: The columns that came to be, by table.
    """

    transaction_id: Name
    status: Literal["succeeded", "failed", "running"]
    failed_step: Name | None = None
    started_at: PlausibleTime
    finished_at: PlausibleTime | None = None
    load_ids: tuple[Name, ...] = Field(default=(), max_length=MOST_LOADS)
    rows: dict[Name, Rows] = Field(default_factory=dict, max_length=MOST_TABLES)
    schema_changes: dict[Name, tuple[Name, ...]] = Field(default_factory=dict, max_length=MOST_TABLES)

    @property
    def total_rows(self) -> int:
        """Over all tables, as far as the store can count."""
        return min(sum(self.rows.values()), 2**63 - 1)


class PipelineReport(Frozen):
    """Everything one process of a job says of one pipeline: its newest loads, oldest first, and its tables.

    The tables are None where nothing is known of them, since its first load goes on, or was cut off.
    """

    pipeline_name: Name
    dataset_name: Name | None = None
    destination_name: Name | None = None
    destination_type: Name | None = None
    loads: tuple[Load, ...] = Field(min_length=1, max_length=MOST_LOADS)
    tables: tuple[Table, ...] | None = Field(default=None, max_length=MOST_TABLES)


class Pipeline(Frozen):
    """A pipeline of a workspace as its last load left it; of each profile there is one."""

    profile: str
    name: str
    dataset_name: str | None
    destination_name: str | None
    destination_type: str | None
    table_count: int
    updated_at: Instant


def merge_reports(reports: Iterable[PipelineReport]) -> tuple[PipelineReport, ...]:
    """One report for each pipeline, whichever of a job's processes ran it."""
    merged: dict[str, PipelineReport] = {}
    for report in sorted(reports, key=lambda one: _ended_at(one.loads[-1])):
        before = merged.get(report.pipeline_name)
        # A process that was forked goes on with what its parent knew.
        known = {load.transaction_id: load for load in (*(before.loads if before else ()), *report.loads)}
        loads = sorted(known.values(), key=_ended_at)[-MOST_LOADS:]
        tables = report.tables if report.tables is not None or before is None else before.tables
        merged[report.pipeline_name] = report.model_copy(update={"loads": tuple(loads), "tables": tables})
    return tuple(merged.values())


def without_running(reports: Iterable[PipelineReport]) -> tuple[PipelineReport, ...]:
    """What there is to say while the job goes on: of loads that have ended."""
    kept = ((report, tuple(load for load in report.loads if load.status != "running")) for report in reports)
    return tuple(report.model_copy(update={"loads": loads}) for report, loads in kept if loads)


def cut_off(report: PipelineReport) -> PipelineReport:
    """What a report says once the job has ended: loads that it left running have failed, in the step they were in."""
    loads = (
        load.model_copy(update={"status": "failed"}) if load.status == "running" else load for load in report.loads
    )
    return report.model_copy(update={"loads": tuple(loads)})


def summary_of(report: PipelineReport) -> PipelineSummary:
    """A run's summary of a pipeline: what its loads did together, and how the last of them ended."""
    loads = report.loads
    ended = [load.finished_at for load in loads if load.finished_at]
    took = [(load.finished_at - load.started_at).total_seconds() for load in loads if load.finished_at]
    return PipelineSummary(
        pipeline_name=report.pipeline_name,
        dataset_name=report.dataset_name,
        destination_name=report.destination_name,
        status=loads[-1].status,
        transaction_id=loads[-1].transaction_id,
        total_rows=min(sum(load.total_rows for load in loads), 2**63 - 1),
        duration_ms=max(0, round(sum(took) * 1000)),
        started_at=min(load.started_at for load in loads),
        finished_at=max(ended) if ended else None,
        rows_by_table=_rows(loads),
        schema_changes=_changes(loads),
    )


def _ended_at(load: Load) -> datetime:
    return load.finished_at or load.started_at


def _rows(loads: Sequence[Load]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for load in loads:
        for table, count in load.rows.items():
            rows[table] = min(rows.get(table, 0) + count, 2**63 - 1)
    largest = sorted(rows.items(), key=lambda item: -item[1])[:MOST_NAMED]
    return dict(largest)


def _changes(loads: Sequence[Load]) -> dict[str, tuple[str, ...]]:
    changes: dict[str, dict[str, None]] = {}
    for load in loads:
        for table, columns in load.schema_changes.items():
            changes.setdefault(table, {}).update(dict.fromkeys(columns))
    return {table: tuple(columns)[:MOST_NAMED] for table, columns in list(changes.items())[:MOST_NAMED]}
