"""Counts of runs over time, and the watermark for cheap polling."""

from typing import Literal

from runtime.wire.model import Instant, WireModel

BucketSize = Literal["all", "1h", "1d", "1w", "1m", "1y"]


class StatusCounts(WireModel):
    """Runs by final status."""

    completed: int
    failed: int
    cancelled: int
    skipped: int


class RunBucketData(WireModel):
    """The runs of one bucket."""

    status_counts: StatusCounts
    total_runs: int
    total_duration_seconds: int


class RunStatsBucket(WireModel):
    """One bucket of time."""

    bucket_start: Instant
    data: RunBucketData


class RunStatsResponse(WireModel):
    """Buckets over a period; their times are UTC, `tz` is the zone the period was asked in."""

    bucket_size: BucketSize
    buckets: list[RunStatsBucket]
    period_start: Instant
    period_end: Instant
    tz: str


class WatermarkResponse(WireModel):
    """When anything in the workspace last changed; absent when there is nothing."""

    updated_at: Instant | None = None
