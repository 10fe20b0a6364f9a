"""How much of an app may be in use at once, so that nobody can take all the connections that there are.

Requests, streams and WebSockets under way count alike; a quiet WebSocket holds a connection as a busy one does. Who
comes by a public link shares what the link has with everybody else who has it, and members have more than that.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from runtime.dispatch.visits import Grant
from runtime.settings import AppSettings

MOST_OPEN = 400
"""Of all apps together: less than the server's connections, so that the API has some for itself."""


@dataclass(frozen=True)
class Crowded:
    """Why something cannot be opened now, for whoever asked and for the log."""

    status: int
    words: str


class Crowds:
    """Counts what is open."""

    def __init__(self, settings: AppSettings) -> None:
        self._settings = settings
        self._of_link: Counter[UUID] = Counter()
        self._of_app: Counter[UUID] = Counter()

    @contextmanager
    def opening(self, grant: Grant) -> Iterator[Crowded | None]:
        """Count one more meanwhile, unless that would be too many: then say why, and count nothing."""
        crowded = self._crowded(grant)
        if crowded is not None:
            yield crowded
            return
        counts = [self._of_app, self._of_link] if grant.is_public else [self._of_app]
        for count in counts:
            count[grant.app.job_id] += 1
        try:
            yield None
        finally:
            for count in counts:
                count[grant.app.job_id] -= 1
                if not count[grant.app.job_id]:
                    del count[grant.app.job_id]

    def _crowded(self, grant: Grant) -> Crowded | None:
        job_id = grant.app.job_id
        if grant.is_public and self._of_link[job_id] >= self._settings.most_open_by_link:
            return Crowded(429, f"{self._of_link[job_id]} requests and WebSockets are open by its public link")
        if self._of_app[job_id] >= self._settings.most_open:
            return Crowded(503, f"{self._of_app[job_id]} requests and WebSockets to it are open")
        if self._of_app.total() >= MOST_OPEN:
            return Crowded(503, f"{self._of_app.total()} requests and WebSockets to all apps are open")
        return None
