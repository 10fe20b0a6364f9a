"""The caller, and the organization."""

from typing import Any

from litestar import Controller, Request, get, patch, post, put
from litestar.params import JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Limit, Offset, Principal, Services
from runtime.dispatch.signing_in import Visitor
from runtime.errors import InvalidError
from runtime.wire.identities import (
    ChangePasswordRequest,
    CreateOrganizationRequest,
    MeResponse,
    OrganizationMembershipResponse,
    OrganizationMeResponse,
    OrganizationPlanResponse,
    OrganizationResponse,
    UpdateOrganizationRequest,
    WorkspaceCreateRequest,
    WorkspaceMembershipResponse,
    WorkspaceResponse,
    WorkspaceWithMembershipResponse,
)


class MeController(Controller):
    """Who the caller is."""

    path = "/v1/me"
    opt = access("authenticated")
    tags = ("identity",)

    @get(summary="The caller and their workspaces")
    async def me(self, services: Services, principal: Principal) -> MeResponse:
        """A caller without a workspace gets a first one by asking."""
        workspaces = await services.workspaces.home(principal)
        organization = render.organization(await services.workspaces.organization())
        return MeResponse(
            user_id=principal.user.id,
            identity_id=principal.user.id,
            email=principal.user.email,
            personal_organization=organization,
            primary_organization=organization,
            last_organization=organization,
            last_workspace=render.workspace(workspaces[-1][0]),
            organizations=[
                OrganizationMembershipResponse(
                    organization=organization,
                    identity_id=principal.user.id,
                    role=services.workspaces.organization_role(principal),
                    active=True,
                )
            ],
            workspaces=[
                WorkspaceWithMembershipResponse(
                    organization=organization, workspace=render.workspace(workspace), role=role
                )
                for workspace, role in workspaces
            ],
        )


class PasswordController(Controller):
    """The caller's own password, this runtime's own."""

    path = "/v1/me/password"
    opt = access("authenticated")
    tags = ("identity (this runtime's own)",)

    @put(status_code=204, summary="Change one's own password")
    async def change(
        self,
        data: JSONBody[ChangePasswordRequest],
        request: Request[Any, Any, Any],
        services: Services,
        principal: Principal,
    ) -> None:
        """By who knows the present one; their browsers are signed out."""
        visitor = Visitor(request.client.host if request.client else None)
        present, new = data.present_password.get_secret_value(), data.password.get_secret_value()
        await services.sign_in.change_password(principal, present, new, visitor)


class OrganizationController(Controller):
    """The organization; a machine is one."""

    path = "/v1/organizations"
    opt = access("organization")
    tags = ("identity",)

    @get(summary="Organizations of the caller")
    async def list_organizations(self, services: Services) -> list[OrganizationResponse]:
        """Always one."""
        return [render.organization(await services.workspaces.organization())]

    @post(summary="Create an organization")
    async def create_organization(
        self,
        data: JSONBody[CreateOrganizationRequest],  # noqa: ARG002 - read, so that a wrong body is told apart
    ) -> OrganizationResponse:
        """Always refused: a machine is one organization."""
        raise InvalidError(
            "this machine is one organization, and there is no second one on it",
            code="one_organization",
            hint="rename it, or make another workspace in it; workspaces see nothing of each other",
        )

    @get("/{organization_id:uuid}", summary="One organization")
    async def get_organization(self, services: Services) -> OrganizationResponse:
        """Its name and description."""
        return render.organization(await services.workspaces.organization())

    @patch("/{organization_id:uuid}", summary="Rename or describe an organization")
    async def update_organization(
        self,
        data: JSONBody[UpdateOrganizationRequest],
        services: Services,
        principal: Principal,
    ) -> OrganizationResponse:
        """Fields left out stay as they are."""
        changed = await services.workspaces.update_organization(principal, data.model_dump(exclude_unset=True))
        return render.organization(changed)

    @get("/{organization_id:uuid}/plan", summary="Plan of an organization")
    async def plan(self, services: Services) -> OrganizationPlanResponse:
        """Nothing on one's own machine is a trial."""
        organization = await services.workspaces.organization()
        return OrganizationPlanResponse(
            id=organization.id,
            plan="paid",
            date_added=organization.created_at,
            date_updated=organization.updated_at,
        )

    @get("/{organization_id:uuid}/me", summary="The caller inside one organization")
    async def me(
        self,
        services: Services,
        principal: Principal,
    ) -> OrganizationMeResponse:
        """Role and workspaces."""
        return OrganizationMeResponse(
            user_id=principal.user.id,
            identity_id=principal.user.id,
            email=principal.user.email,
            organization=render.organization(await services.workspaces.organization()),
            role=services.workspaces.organization_role(principal),
            workspaces=[
                WorkspaceMembershipResponse(workspace=render.workspace(workspace), role=role)
                for workspace, role in await services.workspaces.visible(principal)
            ],
        )

    @get("/{organization_id:uuid}/workspaces", summary="Workspaces of an organization")
    async def list_workspaces(
        self,
        services: Services,
        principal: Principal,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> list[WorkspaceResponse]:
        """Those the caller may see, oldest first."""
        visible = await services.workspaces.visible(principal)
        return [render.workspace(workspace) for workspace, _ in visible[offset : offset + limit]]

    @post("/{organization_id:uuid}/workspaces", opt=access("organization_member"), summary="Create a workspace")
    async def create_workspace(
        self,
        data: JSONBody[WorkspaceCreateRequest],
        services: Services,
        principal: Principal,
    ) -> WorkspaceResponse:
        """The caller becomes its owner."""
        return render.workspace(await services.workspaces.create(principal, data.name, data.description))
