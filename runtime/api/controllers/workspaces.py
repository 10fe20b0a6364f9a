"""Workspaces by themselves."""

from uuid import UUID

from litestar import Controller, get, patch
from litestar.params import FromPath, JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.errors import NotFoundError
from runtime.wire.identities import WorkspaceMeResponse, WorkspaceResponse, WorkspaceUpdateRequest


class WorkspaceController(Controller):
    """One workspace."""

    path = "/v1/workspaces/{workspace_id:uuid}"
    opt = access("workspace")
    tags = ("workspaces",)

    @get(summary="One workspace")
    async def get_workspace(self, workspace_id: FromPath[UUID], services: Services) -> WorkspaceResponse:
        """Its name and description."""
        return render.workspace(await services.workspaces.get(workspace_id))

    @patch(summary="Rename or describe a workspace")
    async def update_workspace(
        self,
        workspace_id: FromPath[UUID],
        data: JSONBody[WorkspaceUpdateRequest],
        services: Services,
        principal: Principal,
    ) -> WorkspaceResponse:
        """Fields left out stay as they are; a description of null is taken away."""
        changes = data.model_dump(exclude_unset=True)
        return render.workspace(await services.workspaces.update(principal, workspace_id, changes))

    @get("/me", summary="The caller inside one workspace")
    async def me(self, workspace_id: FromPath[UUID], services: Services, principal: Principal) -> WorkspaceMeResponse:
        """Roles."""
        role = await services.workspaces.role(principal, workspace_id)
        if role is None:  # taken away since the guard looked
            raise NotFoundError(f"there is no workspace `{workspace_id}`", code="workspace_not_found")
        return WorkspaceMeResponse(
            user_id=principal.user.id,
            email=principal.user.email,
            organization=render.organization(await services.workspaces.organization()),
            organization_identity_id=principal.user.id,
            organization_role=services.workspaces.organization_role(principal),
            workspace=render.workspace(await services.workspaces.get(workspace_id)),
            workspace_role=role,
        )
