"""What the terminal interface is about: one daemon, one workspace, one clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

from runtime.wire.code_client import CodeClient
from runtime.wire.console_client import ConsoleClient
from runtime.wire.log_client import LogClient
from runtime.wire.machine import ask_machine
from runtime.wire.schedule_client import ScheduleClient

if TYPE_CHECKING:
    from runtime.wire.client import RuntimeClient


@dataclass
class Place:
    """A workspace of a daemon, and the clients to ask about it; each may be used by several threads.

    Args:
        now: The clock that relative times refer to.
    """

    client: "RuntimeClient"
    workspace_id: UUID
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @cached_property
    def console(self) -> ConsoleClient:
        """Pages of runs, counts, versions."""
        return ConsoleClient(self.client.connection, self.workspace_id)

    @cached_property
    def schedules(self) -> ScheduleClient:
        """Schedules, intervals, hooks, the graph."""
        return ScheduleClient(self.client.connection, self.workspace_id)

    @cached_property
    def code(self) -> CodeClient:
        """Files of versions of the code, and deploying one again."""
        return CodeClient(self.client.connection, self.workspace_id)

    @cached_property
    def base_url(self) -> str:
        """How a browser reaches the daemon; asks it where only its socket is known here."""
        endpoint = self.client.connection.endpoint
        return endpoint.url if endpoint.socket is None else ask_machine(self.client.connection).base_url

    def link(self, kind: str, name: str) -> str:
        """The page of one of the `runs`, `jobs` or `pipelines`, for people who may look at the workspace."""
        return f"{self.base_url}/w/{self.workspace_id}/{kind}/{quote(name, safe='')}"

    def log(self, run_id: UUID) -> LogClient:
        """The log of one run."""
        return LogClient(self.client.connection, self.workspace_id, run_id)
