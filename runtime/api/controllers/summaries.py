"""Summaries of pipelines, which services of the runtime attach to runs."""

from uuid import UUID

from litestar import Controller, put
from litestar.params import FromPath, JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Services
from runtime.domain.summaries import PipelineSummary
from runtime.wire.runs import PipelineRunSummaryResponse, UpsertPipelineRunSummaryRequest


class SummaryController(Controller):
    """One summary for each pipeline of a run.

    A job does not call this: nothing of the daemon can be reached from its sandbox, so a token of its own would be a
    key without a door. Who calls is an owner of the workspace, for instance a machine token beside an orchestrator.
    """

    path = "/v1/internal/job-run-pipeline-summaries/{workspace_id:uuid}/{job_run_id:uuid}"
    opt = access("workspace")
    tags = ("runs",)

    @put(summary="Attach or replace a summary")
    async def attach(
        self,
        workspace_id: FromPath[UUID],
        job_run_id: FromPath[UUID],
        data: JSONBody[UpsertPipelineRunSummaryRequest],
        services: Services,
    ) -> PipelineRunSummaryResponse:
        """It shows in the run's `pipeline_run_summaries`."""
        summary = PipelineSummary(**dict(data))
        await services.summaries.attach(workspace_id, job_run_id, summary)
        return render.summary(summary)
