"""What a pipeline says of itself after a run."""

from runtime.domain.model import Frozen, Instant


class PipelineSummary(Frozen):
    """The report of one pipeline; everything but its name may be unknown.

    `schema_changes` are the columns that came to be, by table.
    """

    pipeline_name: str
    dataset_name: str | None = None
    destination_name: str | None = None
    status: str | None = None
    transaction_id: str | None = None
    total_rows: int | None = None
    duration_ms: int | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    rows_by_table: dict[str, int] | None = None
    schema_changes: dict[str, tuple[str, ...]] | None = None
