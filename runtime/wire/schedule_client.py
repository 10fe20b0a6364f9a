"""Schedules, intervals, webhooks and the graph of dependencies; raises as `runtime.wire.client`."""

from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from runtime.wire.connection import Connection
from runtime.wire.schedules import (
    BackfillRequest,
    BackfillResponse,
    CreatedHookResponse,
    GraphFormat,
    GraphResponse,
    HookResponse,
    IntervalsResponse,
    ListHooksResponse,
    OverrideRequest,
    ScheduleResponse,
)


class ScheduleClient:
    """What this runtime can do with jobs beyond the contract."""

    def __init__(self, connection: Connection, workspace_id: UUID) -> None:
        self._connection = connection
        self._base = f"/v1/workspaces/{workspace_id}"

    def schedule(self, job_ref: str) -> ScheduleResponse:
        """A job's schedule, and whether it would run now."""
        return self._connection.ask(ScheduleResponse, "GET", self._of(job_ref, "schedule"))

    def pause(self, job_ref: str) -> ScheduleResponse:
        """Keep the clock from starting a job."""
        return self._connection.ask(ScheduleResponse, "PUT", self._of(job_ref, "pause"))

    def resume(self, job_ref: str) -> ScheduleResponse:
        """Undo `pause`."""
        return self._connection.ask(ScheduleResponse, "DELETE", self._of(job_ref, "pause"))

    def override(self, job_ref: str, trigger: str) -> ScheduleResponse:
        """Put another schedule in the place of the declared one."""
        body = OverrideRequest(trigger=trigger).to_wire()
        return self._connection.ask(ScheduleResponse, "PUT", self._of(job_ref, "schedule"), json=body)

    def revert(self, job_ref: str) -> ScheduleResponse:
        """Undo `override`."""
        return self._connection.ask(ScheduleResponse, "DELETE", self._of(job_ref, "schedule"))

    def intervals(self, job_ref: str) -> IntervalsResponse:
        """What is done, running, failed and missing of a job's interval."""
        return self._connection.ask(IntervalsResponse, "GET", self._of(job_ref, "intervals"))

    def backfill(
        self, job_ref: str, start: datetime, end: datetime | None = None, parallel: int | None = None
    ) -> BackfillResponse:
        """Do a part of a job's interval again; `end` None means all since `start`."""
        body = BackfillRequest(start=start, end=end, parallel=parallel).to_wire()
        return self._connection.ask(BackfillResponse, "POST", self._of(job_ref, "backfill"), json=body)

    def hooks(self, job_ref: str) -> list[HookResponse]:
        """The webhook tokens of a job, newest first."""
        return self._connection.ask(ListHooksResponse, "GET", self._of(job_ref, "hooks")).items

    def create_hook(self, job_ref: str) -> CreatedHookResponse:
        """A new webhook token; the answer is the only place where it can be read."""
        return self._connection.ask(CreatedHookResponse, "POST", self._of(job_ref, "hooks"))

    def revoke_hook(self, job_ref: str, hook_id: UUID) -> None:
        """End a webhook token."""
        self._connection.send("DELETE", self._of(job_ref, f"hooks/{hook_id}"))

    def graph(self, form: GraphFormat) -> str:
        """The jobs of the workspace and what connects them, drawn."""
        params = {"format": form}
        return self._connection.ask(GraphResponse, "GET", f"{self._base}/graph", params=params).drawing

    def _of(self, job_ref: str, what: str) -> str:
        return f"{self._base}/scripts/{quote(job_ref, safe='')}/{what}"
