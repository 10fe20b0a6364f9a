"""Where the data of a workspace comes from. This runtime's own."""

from typing import Literal
from uuid import UUID

from runtime.wire.connection import Connection
from runtime.wire.model import WireModel


class LineageNodeResponse(WireModel):
    """A job, a pipeline or a dataset. Pipelines and datasets are those of a profile; a dataset is at a destination."""

    id: str
    kind: Literal["job", "pipeline", "dataset"]
    name: str
    profile: str | None = None
    destination: str | None = None


class LineageLinkResponse(WireModel):
    """`source` leads to `target`: by a trigger or a gate (`success`, `fail`, `freshness`), or since a job `runs` a
    pipeline, or a pipeline `loads` a dataset."""

    kind: Literal["success", "fail", "freshness", "runs", "loads"]
    source: str
    target: str


class LineageResponse(WireModel):
    """Everything there is."""

    nodes: list[LineageNodeResponse]
    links: list[LineageLinkResponse]


def ask_lineage(connection: Connection, workspace_id: UUID) -> LineageResponse:
    """The lineage of a workspace; raises as `runtime.wire.client`."""
    return connection.ask(LineageResponse, "GET", f"/v1/workspaces/{workspace_id}/lineage")
