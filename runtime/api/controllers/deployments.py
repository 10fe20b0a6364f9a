"""Deployments: versions of a workspace's code."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Controller, Request, get, post
from litestar.params import FromPath

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Limit, Offset, Principal, Services, Settings
from runtime.api.revalidation import revalidated
from runtime.api.uploads import receive_parts
from runtime.wire.packages import (
    DEPLOYMENT_ARCHIVE_PART,
    DEPLOYMENT_REQUIREMENTS_PART,
    DeploymentResponse,
    FilesManifest,
    ListDeploymentsResponse,
)

_REQUIREMENTS_BYTES = 4 * 1024 * 1024


class DeploymentController(Controller):
    """The newest deployment is the active one."""

    path = "/v1/workspaces/{workspace_id:uuid}/deployments"
    opt = access("workspace")
    tags = ("deployments",)

    @get(opt=revalidated("deployment"), summary="Deployments, highest version first")
    async def list_deployments(
        self, workspace_id: FromPath[UUID], services: Services, limit: Limit = 100, offset: Offset = 0
    ) -> ListDeploymentsResponse:
        """A page of them."""
        page = await services.deployments.list(workspace_id, limit, offset)
        items = [render.deployment(item) for item in page.items]
        return ListDeploymentsResponse(items=items, limit=limit, offset=offset, total=page.total)

    @post(request_max_body_size=None, summary="Upload a deployment")
    async def upload(
        self,
        workspace_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> DeploymentResponse:
        """multipart/form-data: `files`, a gzip-compressed tar archive, and `requirements`, JSON."""
        services.health.require_room("the upload")
        limits = {
            DEPLOYMENT_ARCHIVE_PART: settings.limits.package_bytes,
            DEPLOYMENT_REQUIREMENTS_PART: _REQUIREMENTS_BYTES,
        }
        async with receive_parts(request, settings.state_dir / "tmp", limits) as parts:
            requirements = await asyncio.to_thread(parts[DEPLOYMENT_REQUIREMENTS_PART].read_bytes)
            created = await services.deployments.upload(
                principal, workspace_id, parts[DEPLOYMENT_ARCHIVE_PART], requirements
            )
        return render.deployment(created)

    @get("/latest", summary="The active deployment")
    async def latest(self, workspace_id: FromPath[UUID], services: Services) -> DeploymentResponse:
        """404 when nothing has been deployed yet."""
        return render.deployment(await services.deployments.latest(workspace_id))

    @get("/latest/files", summary="Files of the active deployment")
    async def latest_files(self, workspace_id: FromPath[UUID], services: Services) -> FilesManifest:
        """As its manifest lists them."""
        return render.files_manifest(list(await services.deployments.files(workspace_id, "latest")))

    @get("/{deployment_id_or_version:str}", summary="One deployment")
    async def get_deployment(
        self, workspace_id: FromPath[UUID], deployment_id_or_version: FromPath[str], services: Services
    ) -> DeploymentResponse:
        """By identifier or version number."""
        return render.deployment(await services.deployments.get(workspace_id, deployment_id_or_version))

    @get("/{deployment_id_or_version:str}/files", summary="Files of a deployment")
    async def files(
        self, workspace_id: FromPath[UUID], deployment_id_or_version: FromPath[str], services: Services
    ) -> FilesManifest:
        """As its manifest lists them."""
        return render.files_manifest(list(await services.deployments.files(workspace_id, deployment_id_or_version)))
