"""Pipelines of a workspace, as the runs of its jobs reported them."""

from typing import Any
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, FromQuery

from runtime.api.access import access
from runtime.api.dependencies import Services
from runtime.dispatch.insight import PipelineView
from runtime.domain.pipelines import Load, Pipeline
from runtime.wire.pipelines import (
    DetailedPipelineResponse,
    ListPipelinesResponse,
    LoadResponse,
    PipelineResponse,
    TableResponse,
)


class PipelineController(Controller):
    """What pipelines loaded, and what their data looks like; of each profile there is one."""

    path = "/v1/workspaces/{workspace_id:uuid}/pipelines"
    opt = access("workspace")
    tags = ("pipelines (this runtime's own)",)

    @get(summary="List pipelines")
    async def list_pipelines(
        self, workspace_id: FromPath[UUID], services: Services, profile: FromQuery[str | None] = None
    ) -> ListPipelinesResponse:
        """Those that any run has reported of, the last heard of first."""
        found = await services.insight.list(workspace_id, profile)
        return ListPipelinesResponse(items=[PipelineResponse(**_pipeline(pipeline)) for pipeline in found])

    @get("/{pipeline_name:str}", summary="Get a pipeline")
    async def get_pipeline(
        self,
        workspace_id: FromPath[UUID],
        pipeline_name: FromPath[str],
        services: Services,
        profile: FromQuery[str | None] = None,
    ) -> DetailedPipelineResponse:
        """Its tables with their columns, and its newest loads. Without a profile, of the one where it ran last."""
        return _detailed(await services.insight.get(workspace_id, pipeline_name, profile))


def _pipeline(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "pipeline_name": pipeline.name,
        "profile": pipeline.profile,
        "dataset_name": pipeline.dataset_name,
        "destination_name": pipeline.destination_name,
        "destination_type": pipeline.destination_type,
        "table_count": pipeline.table_count,
        "date_updated": pipeline.updated_at,
    }


def _detailed(view: PipelineView) -> DetailedPipelineResponse:
    return DetailedPipelineResponse(
        **_pipeline(view.pipeline),
        tables=[TableResponse.model_validate(table.model_dump()) for table in view.tables],
        loads=[_load(run_id, load) for run_id, load in view.loads],
    )


def _load(run_id: UUID, load: Load) -> LoadResponse:
    return LoadResponse(
        run_id=run_id,
        transaction_id=load.transaction_id,
        status=load.status,
        failed_step=load.failed_step,
        started_at=load.started_at,
        finished_at=load.finished_at,
        load_ids=list(load.load_ids),
        total_rows=load.total_rows,
        rows_by_table=load.rows,
        schema_changes={table: list(columns) for table, columns in load.schema_changes.items()},
    )
