"""Administration through the Unix socket: who may log in, and tokens for machines. Raises as `runtime.wire.client`."""

from typing import Literal
from uuid import UUID

from runtime.wire.admin import (
    CreatedTokenResponse,
    CreateTokenRequest,
    CreateUserRequest,
    DeviceApprovalRequest,
    DeviceApprovalResponse,
    ListTokensResponse,
    ListUsersResponse,
    StatusResponse,
    TokenResponse,
    UserResponse,
)
from runtime.wire.connection import UPLOAD_ANSWER_SECONDS, Connection
from runtime.wire.keys import RotatedKeyResponse

PREFIX = "/v1/admin"


class AdminClient:
    """What only administrators may ask."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def approve_device(self, user_code: str, email: str | None) -> DeviceApprovalResponse:
        """Let a waiting login in."""
        body = DeviceApprovalRequest(user_code=user_code, email=email).to_wire()
        return self._connection.ask(DeviceApprovalResponse, "POST", f"{PREFIX}/device-approvals", json=body)

    def users(self) -> list[UserResponse]:
        """All users, by email."""
        return self._connection.ask(ListUsersResponse, "GET", f"{PREFIX}/users").items

    def add_user(self, email: str, password: str | None = None) -> UserResponse:
        """A person who may log in; with a password, or not at all."""
        body = CreateUserRequest(email=email).to_wire()
        if password is not None:
            body["password"] = password  # which the model keeps to itself
        return self._connection.ask(UserResponse, "POST", f"{PREFIX}/users", json=body)

    def remove_user(self, organization_id: UUID, user_id: UUID) -> None:
        """Take a person out: their memberships, logins and tokens end."""
        self._connection.send("DELETE", f"/v1/organizations/{organization_id}/members/{user_id}")

    def set_password(self, email: str, password: str) -> None:
        """A person's password from now on."""
        self._connection.send("PUT", f"{PREFIX}/passwords", json={"email": email, "password": password})

    def status(self) -> StatusResponse:
        """How the daemon is."""
        return self._connection.ask(StatusResponse, "GET", f"{PREFIX}/status")

    def tokens(self) -> list[TokenResponse]:
        """All machine tokens, newest first."""
        return self._connection.ask(ListTokensResponse, "GET", f"{PREFIX}/tokens").items

    def create_token(
        self, email: str, workspace: str, days: int, role: Literal["owner", "viewer"] | None = None
    ) -> CreatedTokenResponse:
        """A machine token; the answer is the only place where it can be read."""
        body = CreateTokenRequest(email=email, workspace=workspace, days=days, role=role).to_wire()
        return self._connection.ask(CreatedTokenResponse, "POST", f"{PREFIX}/tokens", json=body)

    def rotate_keys(self) -> RotatedKeyResponse:
        """Replace the sealing key; takes as long as sealing everything anew does."""
        return self._connection.ask(RotatedKeyResponse, "POST", f"{PREFIX}/keys/rotate", timeout=UPLOAD_ANSWER_SECONDS)

    def revoke_token(self, token_id: UUID) -> None:
        """End a machine token."""
        self._connection.send("DELETE", f"{PREFIX}/tokens/{token_id}")
