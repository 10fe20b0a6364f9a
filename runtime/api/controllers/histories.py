"""How the newest runs of each job went."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, QueryParameter

from runtime.api.access import access
from runtime.api.dependencies import Limit, Offset, Services
from runtime.api.revalidation import revalidated
from runtime.wire.histories import HistoryResponse, ListHistoriesResponse, OutcomeResponse

Length = Annotated[int, QueryParameter(ge=1, le=50, description="most runs of a job")]


class HistoryController(Controller):
    """Jobs by their runs, for whoever shows many jobs at once."""

    path = "/v1/workspaces/{workspace_id:uuid}/histories"
    opt = access("workspace")
    tags = ("runs (this runtime's own)",)

    @get(opt=revalidated("run", "job"), summary="The newest runs of every job")
    async def histories(
        self,
        workspace_id: FromPath[UUID],
        services: Services,
        length: Length = 12,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> ListHistoriesResponse:
        """A page of jobs by reference, archived ones too: number, status and duration of their runs, oldest first."""
        page = await services.runs.histories(workspace_id, length, limit, offset)
        items = [
            HistoryResponse(
                script_id=one.job_id,
                runs=[
                    OutcomeResponse(number=run.number, status=run.status, duration=run.duration_seconds)
                    for run in one.outcomes
                ],
            )
            for one in page.items
        ]
        return ListHistoriesResponse(items=items, limit=limit, offset=offset, total=page.total)
