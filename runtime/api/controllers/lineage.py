"""Where the data of a workspace comes from."""

from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath

from runtime.api.access import access
from runtime.api.dependencies import Services
from runtime.wire.lineage import LineageLinkResponse, LineageNodeResponse, LineageResponse


class LineageController(Controller):
    """Jobs, pipelines, datasets."""

    path = "/v1/workspaces/{workspace_id:uuid}/lineage"
    opt = access("workspace")
    tags = ("pipelines (this runtime's own)",)

    @get(summary="Lineage of jobs, pipelines and datasets")
    async def lineage(self, workspace_id: FromPath[UUID], services: Services) -> LineageResponse:
        """What starts what as deployed; which job runs which pipeline, and what that loads, as loads have told."""
        found = await services.insight.lineage(workspace_id)
        return LineageResponse(
            nodes=[LineageNodeResponse.model_validate(node.model_dump()) for node in found.nodes],
            links=[LineageLinkResponse.model_validate(link.model_dump()) for link in found.links],
        )
