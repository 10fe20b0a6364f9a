"""Looking into versions of the code, and deploying an older one again."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.wire.code import CodeFileResponse, RedeployRequest, RedeployResponse

FilePath = Annotated[str, QueryParameter(description="of the file, as the deployment lists it")]


class CodeController(Controller):
    """Members read the code of a workspace, viewers too; of configurations nothing like this is served."""

    path = "/v1/workspaces/{workspace_id:uuid}/deployments/{deployment_id_or_version:str}"
    opt = access("workspace")
    tags = ("deployments (this runtime's own)",)

    @get("/content", summary="A file of a deployment")
    async def content(
        self, workspace_id: FromPath[UUID], deployment_id_or_version: FromPath[str], path: FilePath, services: Services
    ) -> CodeFileResponse:
        """As text, if it is text and not too large."""
        found = await services.code_files.read(workspace_id, deployment_id_or_version, path)
        return CodeFileResponse(
            relative_path=found.relative_path,
            size_in_bytes=found.size_bytes,
            sha3_256=found.sha3_256,
            kind=found.kind,
            text=found.text,
            linkname=found.linkname,
        )

    @post("/redeploy", status_code=200, summary="Deploy a version again")
    async def redeploy(
        self,
        workspace_id: FromPath[UUID],
        deployment_id_or_version: FromPath[str],
        data: JSONBody[RedeployRequest],
        services: Services,
        principal: Principal,
    ) -> RedeployResponse:
        """A new version with the older one's files and jobs; a dry run answers the same and changes nothing.

        409 where it is not known which jobs the version came with.
        """
        services.health.require_room("the deploy")
        redeployed = await services.redeployment.redeploy(
            principal, workspace_id, deployment_id_or_version, dry_run=data.dry_run
        )
        return RedeployResponse(
            deployment=render.deployment(redeployed.deployment) if redeployed.deployment else None,
            modules=[render.deployed(deployed, module) for module, deployed in redeployed.modules.items()],
            warnings=list(redeployed.warnings),
        )
