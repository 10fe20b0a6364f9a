"""Log lines, stored and streamed."""

from typing import Literal

from runtime.wire.model import Instant, WireModel
from runtime.wire.run_details import DetailedRunResponse

LogPhase = Literal["setup", "program"]


class LogLine(WireModel):
    """One stored line; `line_num` counts from 0."""

    line_num: int
    phase: LogPhase
    reported_at: Instant
    content: str


class LogsResponse(WireModel):
    """All lines of a run so far."""

    run: DetailedRunResponse
    logs: list[LogLine] | None = None


class LogStreamEvent(WireModel):
    """One line of the live stream, the data of one server-sent event; `channel` is what stored lines call `phase`."""

    channel: str
    line_num: int
    reported_at: Instant
    content: str
