"""Users, organizations, workspaces and the roles between them."""

from typing import Literal
from uuid import UUID

from pydantic import Field, SecretStr

from runtime.wire.model import Instant, WireModel

OrganizationRole = Literal["owner", "member"]
WorkspaceRole = Literal["owner", "viewer"]
AccessData = Literal["snapshot", "separate"]
PlanType = Literal["paid", "trial"]


class OrganizationResponse(WireModel):
    """An organization; a machine has one."""

    id: UUID
    name: str
    description: str | None = None
    date_added: Instant
    date_updated: Instant


class WorkspaceResponse(WireModel):
    """A workspace. `predefined_profiles` maps an access level to a profile's name; `access_data` is ours."""

    id: UUID
    name: str
    description: str | None = None
    access_data: AccessData | None = None
    predefined_profiles: dict[str, str] | None = None
    date_added: Instant
    date_updated: Instant


class OrganizationMembershipResponse(WireModel):
    """The caller's place in an organization."""

    organization: OrganizationResponse
    identity_id: UUID
    role: str
    active: bool


class WorkspaceMembershipResponse(WireModel):
    """The caller's place in a workspace, where the organization is known."""

    workspace: WorkspaceResponse
    role: str


class WorkspaceWithMembershipResponse(WireModel):
    """The caller's place in a workspace; clients connect only to those with the role `owner`."""

    organization: OrganizationResponse
    workspace: WorkspaceResponse
    role: str


class MeResponse(WireModel):
    """The caller and everything they may see."""

    user_id: UUID
    identity_id: UUID
    email: str
    personal_organization: OrganizationResponse
    primary_organization: OrganizationResponse
    last_organization: OrganizationResponse
    last_workspace: WorkspaceResponse
    organizations: list[OrganizationMembershipResponse] = Field(default_factory=list)
    workspaces: list[WorkspaceWithMembershipResponse] = Field(default_factory=list)


class OrganizationMeResponse(WireModel):
    """The caller inside one organization."""

    user_id: UUID
    identity_id: UUID
    email: str
    organization: OrganizationResponse
    role: str
    workspaces: list[WorkspaceMembershipResponse] = Field(default_factory=list)


class WorkspaceMeResponse(WireModel):
    """The caller inside one workspace."""

    user_id: UUID
    email: str
    organization: OrganizationResponse
    organization_identity_id: UUID
    organization_role: str
    workspace: WorkspaceResponse
    workspace_role: str


class OrganizationPlanResponse(WireModel):
    """Plan and trial state of an organization."""

    id: UUID
    plan: PlanType
    trial_days_remaining: int | None = None
    date_added: Instant
    date_updated: Instant


class CreateOrganizationRequest(WireModel):
    """A new organization."""

    name: str
    description: str | None = None


class UpdateOrganizationRequest(WireModel):
    """Fields to change; those left out stay."""

    name: str | None = None
    description: str | None = None


class ChangePasswordRequest(WireModel):
    """One's own password from now on, by whoever knows the present one. This runtime's own."""

    present_password: SecretStr
    password: SecretStr


class WorkspaceCreateRequest(WireModel):
    """A new workspace; the caller becomes its owner."""

    name: str
    description: str | None = None


class WorkspaceUpdateRequest(WireModel):
    """Fields to change; those left out stay.

    `access_data` says what interactive jobs see of the data that batch runs wrote: a `snapshot`, renewed after each
    run, or nothing (`separate`). It holds for apps started from then on.
    """

    name: str | None = None
    description: str | None = None
    access_data: AccessData | None = None
