"""Members of workspaces and of the organization."""

from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.dispatch.members import Person
from runtime.errors import InvalidError
from runtime.wire.members import (
    AddOrganizationMemberRequest,
    AddWorkspaceMemberRequest,
    OrganizationMemberResponse,
    WorkspaceMemberResponse,
)


class WorkspaceMemberController(Controller):
    """Who may look at a workspace, and who may change it and run its jobs."""

    path = "/v1/workspaces/{workspace_id:uuid}/members"
    opt = access("workspace")
    tags = ("workspaces",)

    @get(summary="Members of a workspace")
    async def list_members(self, workspace_id: FromPath[UUID], services: Services) -> list[WorkspaceMemberResponse]:
        """By email."""
        return [render.workspace_member(member) for member in await services.members.of_workspace(workspace_id)]

    @post(summary="Add a member")
    async def add_member(
        self,
        workspace_id: FromPath[UUID],
        data: JSONBody[AddWorkspaceMemberRequest],
        services: Services,
        principal: Principal,
    ) -> WorkspaceMemberResponse:
        """By user id or by email; who is a member already gets this role. The last owner stays one."""
        person = Person(data.user_id, data.email)
        return render.workspace_member(await services.members.add(principal, workspace_id, person, data.role))

    @delete("/{user_id:uuid}", summary="Remove a member")
    async def remove_member(
        self, workspace_id: FromPath[UUID], user_id: FromPath[UUID], services: Services, principal: Principal
    ) -> None:
        """Never an owner: make them a viewer first."""
        await services.members.remove(principal, workspace_id, user_id)


class OrganizationMemberController(Controller):
    """Who may log in. The machine's administrators own the organization; everybody else is a member."""

    path = "/v1/organizations/{organization_id:uuid}/members"
    opt = access("organization")
    tags = ("identity",)

    @get(summary="Members of the organization")
    async def list_members(self, services: Services, principal: Principal) -> list[OrganizationMemberResponse]:
        """By email. Administrators see everybody, others those they share a workspace with."""
        return [render.organization_member(user) for user in await services.members.of_organization(principal)]

    @post(summary="Let a person in")
    async def add_member(
        self, data: JSONBody[AddOrganizationMemberRequest], services: Services, principal: Principal
    ) -> OrganizationMemberResponse:
        """By email, or by the id of a user who was removed before."""
        if data.role != "member":
            raise InvalidError(
                "the organization is owned by the administrators of its machine, and by nobody else",
                code="organization_owner",
                hint="put the account into the administrators' group of the operating system",
            )
        return render.organization_member(await services.members.admit(principal, Person(data.user_id, data.email)))

    @delete("/{user_id:uuid}", summary="Remove a person")
    async def remove_member(self, user_id: FromPath[UUID], services: Services, principal: Principal) -> None:
        """Their memberships, logins and tokens end. Never an owner."""
        await services.members.expel(principal, user_id)
