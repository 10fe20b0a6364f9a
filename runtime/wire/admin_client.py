"""Administration through the Unix socket: who may log in, and tokens for machines. Raises as `runtime.wire.client`."""

from uuid import UUID

from runtime.wire.admin import (
    CreatedTokenResponse,
    CreateTokenRequest,
    CreateUserRequest,
    DeviceApprovalRequest,
    DeviceApprovalResponse,
    ListTokensResponse,
    ListUsersResponse,
    TokenResponse,
    UserResponse,
)
from runtime.wire.connection import Connection

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

    def add_user(self, email: str) -> UserResponse:
        """A person who may log in."""
        body = CreateUserRequest(email=email).to_wire()
        return self._connection.ask(UserResponse, "POST", f"{PREFIX}/users", json=body)

    def tokens(self) -> list[TokenResponse]:
        """All machine tokens, newest first."""
        return self._connection.ask(ListTokensResponse, "GET", f"{PREFIX}/tokens").items

    def create_token(self, email: str, workspace: str, days: int) -> CreatedTokenResponse:
        """A machine token; the answer is the only place where it can be read."""
        body = CreateTokenRequest(email=email, workspace=workspace, days=days).to_wire()
        return self._connection.ask(CreatedTokenResponse, "POST", f"{PREFIX}/tokens", json=body)

    def revoke_token(self, token_id: UUID) -> None:
        """End a machine token."""
        self._connection.send("DELETE", f"{PREFIX}/tokens/{token_id}")
