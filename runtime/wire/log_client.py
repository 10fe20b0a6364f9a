"""Parts of logs; raises as `runtime.wire.client`."""

from uuid import UUID

from runtime.wire.connection import Connection
from runtime.wire.log_pages import FoundLinesResponse, LogPageResponse


class LogClient:
    """The log of one run, by line numbers."""

    def __init__(self, connection: Connection, workspace_id: UUID, run_id: UUID) -> None:
        self._connection = connection
        self._path = f"/v1/workspaces/{workspace_id}/runs/{run_id}/logs"

    def page(self, first_line: int, limit: int) -> LogPageResponse:
        """At most `limit` lines from `first_line` on."""
        params = {"first_line": first_line, "limit": limit}
        return self._connection.ask(LogPageResponse, "GET", f"{self._path}/lines", params=params)

    def find(self, text: str | None, first_line: int, *, backwards: bool = False, limit: int = 1) -> FoundLinesResponse:
        """Lines that hold a text in any case, or for None those that look like errors.

        Args:
            first_line: The first one to look at; the search goes to the end, or `backwards` to the beginning.
        """
        params: dict[str, str | int] = {"first_line": first_line, "limit": limit}
        params |= {"text": text} if text is not None else {"errors": "true"}
        params |= {"backwards": "true"} if backwards else {}
        return self._connection.ask(FoundLinesResponse, "GET", f"{self._path}/found", params=params)
