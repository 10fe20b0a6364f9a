"""Server-sent events, and what those of a workspace hold, which is this runtime's own."""

from typing import Literal
from uuid import UUID

from runtime.wire.identities import WorkspaceResponse
from runtime.wire.jobs import DetailedScriptResponse
from runtime.wire.model import WireModel
from runtime.wire.packages import ConfigurationResponse, DeploymentResponse
from runtime.wire.run_details import DetailedRunResponse

EventKind = Literal["workspace", "deployment", "configuration", "script", "run"]


class ServerSentEvent(WireModel):
    """An event as it stands in a stream; `data` is one line of JSON, which the operation describes."""

    data: str
    event: str | None = None
    id: str | None = None


class ChangeEvent(WireModel):
    """One thing as it is now, the data of an event whose name is `kind` and whose `id` is the place to go on from.

    The field named like `kind` holds the thing; none does once it has been deleted. The first event of a stream is
    named `position` and holds nothing: it only says where the stream begins.
    """

    kind: EventKind
    id: UUID
    deleted: bool = False
    run: DetailedRunResponse | None = None
    script: DetailedScriptResponse | None = None
    deployment: DeploymentResponse | None = None
    configuration: ConfigurationResponse | None = None
    workspace: WorkspaceResponse | None = None
