"""What a console asks that no command does: pages of runs by what they are, counts, versions; raises as
`runtime.wire.client`."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from runtime.wire.connection import Connection
from runtime.wire.environments import RunEnvironmentResponse
from runtime.wire.jobs import (
    DetailedScriptResponse,
    ListScriptsResponse,
    ListScriptVersionsResponse,
    ScriptResponse,
    ScriptVersionResponse,
)
from runtime.wire.run_details import ListRunsResponse
from runtime.wire.stats import BucketSize, RunStatsResponse

_JOBS_AT_ONCE = 500


class ConsoleClient:
    """One workspace as a console looks at it."""

    def __init__(self, connection: Connection, workspace_id: UUID) -> None:
        self._connection = connection
        self._base = f"/v1/workspaces/{workspace_id}"

    def jobs(self) -> Iterator[DetailedScriptResponse]:
        """All jobs, the archived ones too."""
        offset = 0
        while True:
            params: dict[str, str | int] = {"archived": "all", "limit": _JOBS_AT_ONCE, "offset": offset}
            page = self._connection.ask(ListScriptsResponse, "GET", f"{self._base}/scripts", params=params)
            yield from page.items
            offset += len(page.items)
            if not page.items or offset >= page.total:
                return

    def runs(self, limit: int, offset: int = 0, **wanted: str) -> ListRunsResponse:
        """A page of runs, newest first; `wanted` are the filters of the API, `status` or `script_id` for two."""
        params = {**wanted, "limit": limit, "offset": offset}
        return self._connection.ask(ListRunsResponse, "GET", f"{self._base}/runs", params=params)

    def environment(self, run_id: UUID) -> RunEnvironmentResponse:
        """What a run's job could import."""
        return self._connection.ask(RunEnvironmentResponse, "GET", f"{self._base}/runs/{run_id}/environment")

    def counts(self, start: datetime, end: datetime, bucket: BucketSize) -> RunStatsResponse:
        """Runs of a period by status, in buckets; `start` and `end` carry their offset."""
        params = {"start": start.isoformat(), "end": end.isoformat(), "tz": "UTC", "bucket": bucket}
        return self._connection.ask(RunStatsResponse, "GET", f"{self._base}/stats", params=params)

    def versions(self, job_ref: str) -> list[ScriptVersionResponse]:
        """The newest versions of a job's definition, newest first."""
        return self._connection.ask(ListScriptVersionsResponse, "GET", f"{self._of(job_ref)}/versions").items

    def archive(self, job_ref: str) -> ScriptResponse:
        """Keep a job from starting, with its runs and logs; undone by `unarchive`."""
        return self._connection.ask(ScriptResponse, "PUT", f"{self._of(job_ref)}/archive")

    def unarchive(self, job_ref: str) -> ScriptResponse:
        """Bring an archived job back."""
        return self._connection.ask(ScriptResponse, "DELETE", f"{self._of(job_ref)}/archive")

    def _of(self, job_ref: str) -> str:
        return f"{self._base}/scripts/{quote(job_ref, safe='')}"
