"""Pipelines of a workspace; raises as `runtime.wire.client`."""

from urllib.parse import quote
from uuid import UUID

from runtime.wire.connection import Connection
from runtime.wire.pipelines import DetailedPipelineResponse, ListPipelinesResponse, PipelineResponse


class PipelineClient:
    """What the jobs of one workspace have loaded."""

    def __init__(self, connection: Connection, workspace_id: UUID) -> None:
        self._connection = connection
        self._path = f"/v1/workspaces/{workspace_id}/pipelines"

    def pipelines(self) -> list[PipelineResponse]:
        """All of them, the last heard of first."""
        return self._connection.ask(ListPipelinesResponse, "GET", self._path).items

    def pipeline(self, name: str, profile: str) -> DetailedPipelineResponse:
        """One, with its tables and newest loads."""
        path = f"{self._path}/{quote(name, safe='')}"
        return self._connection.ask(DetailedPipelineResponse, "GET", path, params={"profile": profile})
