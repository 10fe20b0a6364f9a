"""Members of a workspace; raises as `runtime.wire.client`."""

from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from runtime.wire.connection import Connection
from runtime.wire.failures import DaemonFaultError
from runtime.wire.identities import WorkspaceRole
from runtime.wire.members import AddWorkspaceMemberRequest, WorkspaceMemberResponse

_LIST = TypeAdapter(list[WorkspaceMemberResponse])


class MemberClient:
    """Who has which role in one workspace."""

    def __init__(self, connection: Connection, workspace_id: UUID) -> None:
        self._connection = connection
        self._path = f"/v1/workspaces/{workspace_id}/members"

    def members(self) -> list[WorkspaceMemberResponse]:
        """All of them, by email."""
        answer = self._connection.send("GET", self._path)
        try:
            return _LIST.validate_json(answer.content)
        except ValidationError as error:
            raise DaemonFaultError("the daemon's answer cannot be read", status=answer.status_code) from error

    def add(self, email: str, role: WorkspaceRole) -> WorkspaceMemberResponse:
        """Make a person a member, or give a member another role."""
        body = AddWorkspaceMemberRequest(role=role, email=email).to_wire()
        return self._connection.ask(WorkspaceMemberResponse, "POST", self._path, json=body)

    def remove(self, user_id: UUID) -> None:
        """End a membership."""
        self._connection.send("DELETE", f"{self._path}/{user_id}")
