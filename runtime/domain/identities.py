"""Who asks: users, workspaces, roles, and the principal a request acts as."""

from typing import Literal
from uuid import UUID

from runtime.domain.access_data import AccessData
from runtime.domain.model import Frozen, Instant

Role = Literal["owner", "viewer"]


class Organization(Frozen):
    """The one organization that a machine is."""

    id: UUID
    name: str
    description: str | None
    created_at: Instant
    updated_at: Instant


class Workspace(Frozen):
    """A place to deploy to: its jobs, runs and data are apart from every other workspace's."""

    id: UUID
    name: str
    description: str | None
    access_data: AccessData = "snapshot"
    created_at: Instant
    updated_at: Instant


class User(Frozen):
    """A person, or the operating-system account of an administrator (`local_uid` set)."""

    id: UUID
    email: str
    local_uid: int | None
    created_at: Instant
    disabled_at: Instant | None


class Member(Frozen):
    """A user with a role in a workspace."""

    user: User
    role: Role


class Principal(Frozen):
    """Who a request acts as.

    `is_admin` is true for those who came through the Unix socket; `workspace_id` limits a machine token to one
    workspace. `token_id` names that token, `family_id` the login that a person's access token comes from: where a
    request goes on for long, both are looked at again.
    """

    user: User
    is_admin: bool = False
    workspace_id: UUID | None = None
    token_id: UUID | None = None
    family_id: UUID | None = None


def effective_role(principal: Principal, workspace_id: UUID, membership: Role | None) -> Role | None:
    """The role of a principal in a workspace: administrators own all, a machine token sees its own one only."""
    if principal.workspace_id not in (None, workspace_id):
        return None
    return "owner" if principal.is_admin else membership
