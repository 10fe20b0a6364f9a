"""Counts of runs over time."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from runtime.domain.buckets import Bucket, BucketSize, buckets_of
from runtime.domain.runs import RunStatus
from runtime.store import statistics as store
from runtime.store.database import Database


@dataclass
class BucketStatistics:
    """The runs of one bucket; `by_status` holds those there are, active ones too."""

    bucket: Bucket
    by_status: dict[RunStatus, int] = field(default_factory=lambda: defaultdict(int))
    seconds: int = 0


class StatisticsService:
    """Counts runs; of those who ask, one at a time has a workspace counted, and all take turns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Semaphore(1)  # many runs take long to count: others read meanwhile

    async def count(
        self, workspace_ids: Sequence[UUID], start: datetime, end: datetime, zone: ZoneInfo, size: BucketSize
    ) -> list[BucketStatistics]:
        """The runs of these workspaces by the time they were created, in every bucket of the period, empty ones too.

        Runs of the workspace dashboard do not count, as they do not show in the list of runs. A row that stands for
        several identical skips (semantics D7) counts once, as it is listed once.

        Raises:
            InvalidError: the period is empty or has too many buckets.
        """
        counted = [BucketStatistics(bucket) for bucket in buckets_of(start, end, zone, size)]
        buckets = [one.bucket for one in counted]
        for workspace_id in workspace_ids:
            async with self._turn, self._database.read() as connection:
                found = await store.count_in_buckets(connection, workspace_id, buckets)
            for one in found:
                counted[one.bucket].by_status[one.status] += one.runs
                counted[one.bucket].seconds += one.seconds
        return counted
