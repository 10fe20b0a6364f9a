"""Following a workspace: what changes in it, as it changes, also across a restart of the daemon."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from runtime.wire.connection import Connection
from runtime.wire.events import ChangeEvent

READ_SECONDS = 40.0
"""A daemon that is well says something at least every 15 seconds."""


@dataclass(frozen=True)
class Position:
    """Where the stream stands; the first thing that comes says from where on nothing is missed."""

    seq: str


def read_changes(
    connection: Connection, workspace_id: UUID, *, after: str | None = None
) -> Iterator[Position | ChangeEvent]:
    """One open stream, to its end: each change, and after it the place to come back to.

    Args:
        after: The last position seen; None begins with what comes next.

    Raises:
        ApiError: the stream cannot be opened or breaks.
    """
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after is not None else {})
    path = f"/v1/workspaces/{workspace_id}/events"
    with connection.stream(path, read_seconds=READ_SECONDS, headers=headers) as lines:
        seq = ""
        for line in lines:
            if line.startswith("id: "):
                seq = line.removeprefix("id: ")
            elif line.startswith("data: "):
                if (event := _parse(line.removeprefix("data: "))) is not None:
                    yield event
                if seq:
                    yield Position(seq)


def _parse(data: str) -> ChangeEvent | None:
    """The change; None for the event that only says where the stream begins, and for kinds of a newer daemon."""
    try:
        return ChangeEvent.model_validate(json.loads(data))
    except (ValueError, ValidationError):
        return None
