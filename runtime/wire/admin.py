"""Administration of the machine; these bodies are this runtime's own, not the contract's."""

from typing import Literal
from uuid import UUID

from pydantic import Field, SecretStr

from runtime.wire.model import Instant, WireModel


class DeviceApprovalRequest(WireModel):
    """Lets a device login in. `email` names the user; it may be left out where the machine has one user."""

    user_code: str
    email: str | None = None


class DeviceApprovalResponse(WireModel):
    """Who has been let in."""

    user_code: str
    email: str


class UserResponse(WireModel):
    """A user. `local` marks the operating-system account of an administrator."""

    id: UUID
    email: str
    local: bool
    disabled: bool
    date_added: Instant


class ListUsersResponse(WireModel):
    """All users, by email."""

    items: list[UserResponse]


class CreateUserRequest(WireModel):
    """A person who may log in, and the password they sign in with, if they get one."""

    email: str
    password: SecretStr | None = None


class SetPasswordRequest(WireModel):
    """A user's password from now on."""

    email: str
    password: SecretStr


class CreateTokenRequest(WireModel):
    """A token for a machine (CI), which acts as `email` in one workspace, given by name or id, for so many days.

    Who is no member of it yet becomes one, with this role, an owner by default.
    """

    email: str
    workspace: str
    days: int = Field(90, ge=1, le=3650, strict=True)
    role: Literal["owner", "viewer"] | None = None


class TokenResponse(WireModel):
    """A machine token, without the token. It opens nothing while whom it acts as is no member of the workspace."""

    id: UUID
    email: str
    workspace_id: UUID
    workspace_name: str
    date_added: Instant
    date_expires: Instant
    date_revoked: Instant | None = None
    member: bool = True


class CreatedTokenResponse(TokenResponse):
    """A new machine token; `token` is shown this once, and so is what its user has become by it, if anything."""

    token: str
    joined_as: Literal["owner", "viewer"] | None = None


class ListTokensResponse(WireModel):
    """All machine tokens, newest first."""

    items: list[TokenResponse]


class StatusResponse(WireModel):
    """The daemon answers, and this is it. Paths are those of its machine, the fingerprint that of its certificate."""

    version: str
    state_dir: str
    socket: str
    api_base_url: str
    auth_base_url: str
    tls_fingerprint: str | None = None
    users: int
    workspaces: int
    jobs: int
    active_runs: int
