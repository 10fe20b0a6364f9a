"""Versions of the code, looked into and deployed again; raises as `runtime.wire.client`."""

from uuid import UUID

from runtime.wire.code import CodeFileResponse, RedeployRequest, RedeployResponse
from runtime.wire.connection import Connection


class CodeClient:
    """The code of one workspace."""

    def __init__(self, connection: Connection, workspace_id: UUID) -> None:
        self._connection = connection
        self._path = f"/v1/workspaces/{workspace_id}/deployments"

    def file(self, version: int, path: str) -> CodeFileResponse:
        """What a file of a version holds."""
        return self._connection.ask(CodeFileResponse, "GET", f"{self._path}/{version}/content", params={"path": path})

    def redeploy(self, version: int, *, dry_run: bool = False) -> RedeployResponse:
        """Make a version the newest again, with the jobs that it came with."""
        body = RedeployRequest(dry_run=dry_run).to_wire()
        return self._connection.ask(RedeployResponse, "POST", f"{self._path}/{version}/redeploy", json=body)
