"""Members of organizations and workspaces."""

from uuid import UUID

from runtime.wire.identities import OrganizationRole, WorkspaceRole
from runtime.wire.model import WireModel


class OrganizationMemberResponse(WireModel):
    """A member of an organization."""

    user_id: UUID
    identity_id: UUID
    email: str
    role: str


class WorkspaceMemberResponse(WireModel):
    """A member of a workspace."""

    user_id: UUID
    email: str
    role: str


class AddOrganizationMemberRequest(WireModel):
    """Adds a member by user id or by email; one of the two is needed."""

    role: OrganizationRole
    user_id: UUID | None = None
    email: str | None = None


class AddWorkspaceMemberRequest(WireModel):
    """Adds a member by user id or by email; one of the two is needed."""

    role: WorkspaceRole
    user_id: UUID | None = None
    email: str | None = None
