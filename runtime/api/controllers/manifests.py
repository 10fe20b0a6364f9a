"""Deployment manifests."""

from uuid import UUID

from litestar import Controller, put
from litestar.params import FromPath, JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.dispatch.manifests import ManifestInput
from runtime.wire.manifests import DeployManifestRequest, DeployManifestResponse

_BODY_BYTES = 16 * 1024 * 1024  # some ten thousand jobs


class ManifestController(Controller):
    """Brings a workspace's jobs in line with a manifest (semantics J3)."""

    path = "/v1/workspaces/{workspace_id:uuid}/deployment_manifest"
    opt = access("workspace")
    tags = ("deployments",)
    request_max_body_size = _BODY_BYTES

    @put(summary="Reconcile jobs with a manifest")
    async def deploy(
        self,
        workspace_id: FromPath[UUID],
        data: JSONBody[DeployManifestRequest],
        services: Services,
        principal: Principal,
    ) -> DeployManifestResponse:
        """A dry run answers the same and changes nothing."""
        manifest = ManifestInput(
            engine_version=data.job_definition_engine_version,
            jobs=data.jobs,
            deployment_module=data.deployment_module,
            description=data.description,
        )
        deployed = await services.manifests.deploy(principal, workspace_id, manifest, dry_run=data.dry_run)
        return render.deployed(deployed, data.deployment_module)
