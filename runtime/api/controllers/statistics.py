"""Counts of runs over time, and when anything last changed."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter

from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.api.zones import moment, time_of, zone_of
from runtime.dispatch.statistics import BucketStatistics
from runtime.domain.buckets import instant_of
from runtime.wire.stats import (
    BucketSize,
    RunBucketData,
    RunStatsBucket,
    RunStatsResponse,
    StatusCounts,
    WatermarkResponse,
)

Start = Annotated[str, moment("begin of the period, local time in `tz`")]
End = Annotated[str, moment("its end, exclusive")]
Zone = Annotated[str, QueryParameter(description="IANA zone whose hours and days the buckets are")]


class WorkspaceStatisticsController(Controller):
    """Numbers of one workspace."""

    path = "/v1/workspaces/{workspace_id:uuid}"
    opt = access("workspace")
    tags = ("statistics",)

    @get("/stats", summary="Runs over time")
    async def stats(
        self,
        workspace_id: FromPath[UUID],
        services: Services,
        start: Start,
        end: End,
        tz: Zone,
        bucket: FromQuery[BucketSize],
    ) -> RunStatsResponse:
        """By when they were created. Buckets without a run are there too; a day may have 23 or 25 hours."""
        return await _count(services, [workspace_id], start, end, tz, bucket)

    @get("/watermark", summary="When anything last changed")
    async def watermark(self, workspace_id: FromPath[UUID], services: Services) -> WatermarkResponse:
        """Runs, jobs, deployments, configurations and the workspace itself."""
        return WatermarkResponse(updated_at=await services.feed.watermark(workspace_id))


class OrganizationStatisticsController(Controller):
    """Numbers over all workspaces that the caller may see."""

    path = "/v1/organizations/{organization_id:uuid}"
    opt = access("organization")
    tags = ("statistics",)

    @get("/stats", summary="Runs over time in all workspaces")
    async def stats(
        self,
        services: Services,
        principal: Principal,
        start: Start,
        end: End,
        tz: Zone,
        bucket: FromQuery[BucketSize],
    ) -> RunStatsResponse:
        """In those that the caller may see."""
        visible = await services.workspaces.visible(principal)
        return await _count(services, [workspace.id for workspace, _ in visible], start, end, tz, bucket)


async def _count(
    services: Services, workspace_ids: Sequence[UUID], start: str, end: str, tz: str, bucket: BucketSize
) -> RunStatsResponse:
    zone, begin, finish = zone_of(tz), time_of("start", start), time_of("end", end)
    counted = await services.statistics.count(workspace_ids, begin, finish, zone, bucket)
    return RunStatsResponse(
        bucket_size=bucket,
        buckets=[RunStatsBucket(bucket_start=one.bucket.start, data=_data(one)) for one in counted],
        period_start=instant_of(begin, zone),
        period_end=instant_of(finish, zone),
        tz=tz,
    )


def _data(counted: BucketStatistics) -> RunBucketData:
    runs = counted.by_status
    return RunBucketData(
        status_counts=StatusCounts(
            completed=runs["completed"], failed=runs["failed"], cancelled=runs["cancelled"], skipped=runs["skipped"]
        ),
        total_runs=sum(runs.values()),
        total_duration_seconds=counted.seconds,
    )
