"""The thread that keeps the interface current: one look at everything, then the workspace's stream of changes.

The look is at the newest runs, and beside them at what goes on and what has failed however many runs ago. What comes
waits until the interface takes it, several times a second, so that a busy workspace does not keep keys waiting. A
daemon that goes away, or refuses, is asked again until it answers; its stream then tells what has happened meanwhile.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread

from runtime.wire.change_stream import Position, read_changes
from runtime.wire.events import ChangeEvent
from runtime.wire.failures import ApiError, ForbiddenError, MissingError, NotLoggedInError
from runtime.wire.histories import ask_histories
from tui.estate import KEPT_FAILURES, RUNS_OF_A_JOB, Histories, Snapshot
from tui.place import Place

FIRST_RUNS = 500
MOST_ACTIVE = 1000
"""So many runs of one status that have not ended are asked for at most."""
ACTIVE = ("pending", "starting", "running", "cancelling")
DAY = timedelta(days=1)
RETRY_SECONDS = 1.0
REFUSED_SECONDS = 15.0
"""A refusal may be of a moment: what stands in front of a daemon that starts answers for it."""


@dataclass(frozen=True)
class Back:
    """The daemon answers again."""


News = Snapshot | Histories | ChangeEvent | ApiError | Back
"""What there is to know; an `ApiError` is a daemon that does not answer, or does not answer us."""


class Feed:
    """Follows one workspace until it is closed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._closed = Event()
        self._after: str | None = None
        self._trouble = ""
        self._news: deque[News] = deque()
        self._thread = Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; the thread ends with its connection's next sign of life."""
        self._closed.set()

    def take(self) -> list[News]:
        """What has come since the last call, in order."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except ApiError as error:
                is_refused = isinstance(error, NotLoggedInError | ForbiddenError | MissingError)
                kind = "refused" if is_refused else "away"
                if kind != self._trouble:
                    self._trouble = kind
                    self._news.append(error)
                self._closed.wait(REFUSED_SECONDS if is_refused else RETRY_SECONDS)
            except Exception:
                # Whoever left has closed the client too, amid whatever was being read with it.
                if not self._closed.is_set():
                    raise

    def _follow(self) -> None:
        """One stream, to its end; the first one begins with a look at everything."""
        is_first = self._after is None
        for event in read_changes(self._place.client.connection, self._place.workspace_id, after=self._after):
            if self._closed.is_set():
                return
            if self._trouble:
                self._trouble = ""
                self._news.append(Back())
            if isinstance(event, Position):
                if is_first:
                    # The stream stands open already: what changes during the look comes after it.
                    self._news.append(self._look())
                    self._tell_histories()
                    is_first = False
                self._after = event.seq
            else:
                self._news.append(event)

    def _look(self) -> Snapshot:
        place, console = self._place, self._place.console
        workspace = place.client.workspace(place.workspace_id)
        jobs = list(console.jobs())
        newest = console.runs(FIRST_RUNS)
        if newest.total <= len(newest.items):
            return Snapshot(workspace, jobs, newest.items)
        active = [run for status in ACTIVE for run in console.runs(MOST_ACTIVE, status=status).items]
        since = (place.now() - DAY).isoformat()
        failed = console.runs(KEPT_FAILURES, status="failed", start=since)
        return Snapshot(
            workspace,
            jobs,
            newest.items,
            older=[*active, *failed.items],
            is_cut=True,
            failures_are_cut=failed.total > len(failed.items),
        )

    def _tell_histories(self) -> None:
        """How the newest runs of each job went comes after what is looked at first."""
        with suppress(MissingError):  # a daemon from before it could be asked
            place = self._place
            for told in ask_histories(place.client.connection, place.workspace_id, RUNS_OF_A_JOB):
                self._news.append(Histories(told))
