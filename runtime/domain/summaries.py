"""What a pipeline says of itself after a run."""

from runtime.domain.model import Frozen, Instant


class PipelineSummary(Frozen):
    """The report of one pipeline; everything but its name may be unknown."""

    pipeline_name: str
    dataset_name: str | None = None
    destination_name: str | None = None
    status: str | None = None
    transaction_id: str | None = None
    total_rows: int | None = None
    duration_ms: int | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
