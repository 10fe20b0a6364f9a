"""Pipelines that a workspace's jobs ran: their newest state, tables and loads. This runtime's own."""

from uuid import UUID

from runtime.wire.model import Instant, WireModel


class ColumnResponse(WireModel):
    """One column, with dlt's name of its type."""

    name: str
    data_type: str
    nullable: bool
    primary_key: bool
    description: str | None = None


class TableResponse(WireModel):
    """One table; `parent` is the table whose nested values it holds."""

    schema_name: str
    name: str
    parent: str | None = None
    write_disposition: str | None = None
    description: str | None = None
    columns: list[ColumnResponse]


class LoadResponse(WireModel):
    """One run of a pipeline within a job's run. `rows_by_table` and `schema_changes` are by table."""

    run_id: UUID
    transaction_id: str
    status: str
    failed_step: str | None = None
    started_at: Instant
    finished_at: Instant | None = None
    load_ids: list[str]
    total_rows: int
    rows_by_table: dict[str, int]
    schema_changes: dict[str, list[str]]


class PipelineResponse(WireModel):
    """A pipeline as its last load left it; each profile has its own."""

    pipeline_name: str
    profile: str
    dataset_name: str | None = None
    destination_name: str | None = None
    destination_type: str | None = None
    table_count: int
    date_updated: Instant


class DetailedPipelineResponse(PipelineResponse):
    """A pipeline with its tables and its newest loads, newest first."""

    tables: list[TableResponse]
    loads: list[LoadResponse]


class ListPipelinesResponse(WireModel):
    """The pipelines of a workspace, the last heard of first."""

    items: list[PipelineResponse]
