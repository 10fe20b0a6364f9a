"""How the newest runs of each job went, in few words: for lists of jobs. This runtime's own."""

from collections.abc import Iterator
from uuid import UUID

from runtime.wire.connection import Connection
from runtime.wire.model import Page, WireModel
from runtime.wire.runs import RunStatus

_JOBS_AT_ONCE = 500


class OutcomeResponse(WireModel):
    """One run; `duration` is whole seconds and absent while it goes on, as in `RunResponse`."""

    number: int
    status: RunStatus
    duration: int | None = None


class HistoryResponse(WireModel):
    """The newest runs of one job, oldest first."""

    script_id: UUID
    runs: list[OutcomeResponse]


class ListHistoriesResponse(Page[HistoryResponse]):
    """Jobs, ordered by reference, also those without runs."""


def ask_histories(connection: Connection, workspace_id: UUID, length: int) -> Iterator[list[HistoryResponse]]:
    """The newest `length` runs of each job of a workspace, page by page; raises as `runtime.wire.client`."""
    path, offset, total = f"/v1/workspaces/{workspace_id}/histories", 0, 1
    while offset < total:
        params: dict[str, str | int] = {"length": length, "limit": _JOBS_AT_ONCE, "offset": offset}
        page = connection.ask(ListHistoriesResponse, "GET", path, params=params)
        yield page.items
        offset, total = offset + _JOBS_AT_ONCE, page.total
