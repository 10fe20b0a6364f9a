"""Configurations: versions of a workspace's settings and secrets, whose contents never leave."""

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
    CONFIGURATION_ARCHIVE_PART,
    ConfigurationResponse,
    FilesManifest,
    ListConfigurationsResponse,
)


class ConfigurationController(Controller):
    """The newest configuration is the active one."""

    path = "/v1/workspaces/{workspace_id:uuid}/configurations"
    opt = access("workspace")
    tags = ("configurations",)

    @get(opt=revalidated("configuration"), summary="Configurations, highest version first")
    async def list_configurations(
        self, workspace_id: FromPath[UUID], services: Services, limit: Limit = 100, offset: Offset = 0
    ) -> ListConfigurationsResponse:
        """A page of them."""
        page = await services.configurations.list(workspace_id, limit, offset)
        items = [render.configuration(item) for item in page.items]
        return ListConfigurationsResponse(items=items, limit=limit, offset=offset, total=page.total)

    @post(request_max_body_size=None, summary="Upload a configuration")
    async def upload(
        self,
        workspace_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> ConfigurationResponse:
        """multipart/form-data: `file`, a gzip-compressed tar archive."""
        limits = {CONFIGURATION_ARCHIVE_PART: settings.limits.configuration_bytes}
        services.health.require_room("the upload")
        async with receive_parts(request, settings.state_dir / "tmp", limits) as parts:
            created = await services.configurations.upload(principal, workspace_id, parts[CONFIGURATION_ARCHIVE_PART])
        return render.configuration(created)

    @get("/latest", summary="The active configuration")
    async def latest(self, workspace_id: FromPath[UUID], services: Services) -> ConfigurationResponse:
        """404 when none has been uploaded yet."""
        return render.configuration(await services.configurations.latest(workspace_id))

    @get("/latest/files", summary="Files of the active configuration")
    async def latest_files(self, workspace_id: FromPath[UUID], services: Services) -> FilesManifest:
        """Names, sizes and hashes."""
        return render.files_manifest(list(await services.configurations.files(workspace_id, "latest")))

    @get("/{configuration_id_or_version:str}", summary="One configuration")
    async def get_configuration(
        self, workspace_id: FromPath[UUID], configuration_id_or_version: FromPath[str], services: Services
    ) -> ConfigurationResponse:
        """By identifier or version number."""
        return render.configuration(await services.configurations.get(workspace_id, configuration_id_or_version))

    @get("/{configuration_id_or_version:str}/files", summary="Files of a configuration")
    async def files(
        self, workspace_id: FromPath[UUID], configuration_id_or_version: FromPath[str], services: Services
    ) -> FilesManifest:
        """Names, sizes and hashes."""
        files = await services.configurations.files(workspace_id, configuration_id_or_version)
        return render.files_manifest(list(files))
