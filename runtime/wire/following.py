"""Following a run: its status changes and log lines as they happen, also across a restart of the daemon.

The stream is read on a thread of its own, since a status may change while no line comes; everything arrives in one
iterator. The daemon replays a run's lines from the start of a stream, so a broken stream is opened again and lines
already seen are left out: none is lost and none comes twice.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from uuid import UUID

from pydantic import ValidationError

from runtime.wire.client import RuntimeClient
from runtime.wire.failures import ApiError, DaemonFaultError, DaemonUnreachableError
from runtime.wire.logs import LogStreamEvent
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES, RunStatus

STATUS_SECONDS = 0.5
"""How often the status is asked for while lines come by themselves."""

PATIENCE_SECONDS = 120.0
"""How long a daemon may be away before following it is given up."""

READ_SECONDS = 60.0
"""A stream silent for so long is opened again: a peer that vanished without closing never says so."""

LAST_LINES_SECONDS = 10.0
"""How long a stream may stay open after its run has ended."""


@dataclass(frozen=True)
class StatusChanged:
    """The run has a status it did not have before."""

    run: DetailedRunResponse


@dataclass(frozen=True)
class LineLogged:
    """The next line of the run's log."""

    line: LogStreamEvent


@dataclass(frozen=True)
class DaemonAway:
    """The daemon does not answer at present; it is asked again until it does or patience ends."""

    reason: str


FollowEvent = StatusChanged | LineLogged | DaemonAway
_Asking = Generator[FollowEvent, None, DetailedRunResponse]


@dataclass(frozen=True)
class _StreamEnded:
    """The daemon closed the stream, or `error` broke it."""

    error: ApiError | None = None


def parse_stream_line(line: str) -> LogStreamEvent | None:
    """The log line in one line of the stream; None for comments, blank lines and everything else.

    Raises:
        DaemonFaultError: the daemon reports an error within the stream.
    """
    if line.startswith("event: error"):
        raise DaemonFaultError("the daemon ended the log stream with an error")
    if not line.startswith("data: "):
        return None
    try:
        return LogStreamEvent.model_validate(json.loads(line[len("data: ") :]))
    except (ValueError, ValidationError):
        return None


def read_stream(client: RuntimeClient, workspace_id: UUID, run_id: UUID, *, after: int) -> Iterator[LogStreamEvent]:
    """The lines of one open stream whose number is above `after`; ends when the daemon closes it. Raises ApiError."""
    headers = {"Accept": "text/event-stream"}
    if after >= 0:
        headers["Last-Event-ID"] = str(after)
    path = f"/v1/workspaces/{workspace_id}/runs/{run_id}/logs/stream"
    with client.connection.stream(path, read_seconds=READ_SECONDS, headers=headers) as lines:
        for text in lines:
            line = parse_stream_line(text)
            if line is not None and line.line_num > after:
                after = line.line_num
                yield line


class RunFollower:
    """Follows one run to its end.

    Args:
        now: A clock that only goes forward, in seconds.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        client: RuntimeClient,
        workspace_id: UUID,
        run_id: UUID,
        *,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._workspace_id = workspace_id
        self._run_id = run_id
        self._now = now
        self._pause = pause
        self._status: RunStatus | None = None
        self._last_line = -1
        self._stop = Event()

    def close(self) -> None:
        """Stop reading; the run goes on."""
        self._stop.set()

    def events(self) -> Iterator[FollowEvent]:
        """Status changes and lines until the run has ended and its log is complete.

        Raises:
            ApiError: the run is unknown, may not be read, or the daemon stays away.
        """
        try:
            run = yield from self._ask_status()
            while True:
                run = yield from self._follow_one_stream(run)
                if run.status in FINAL_RUN_STATUSES:
                    # A daemon that was stopping may have closed the stream before the last lines were written.
                    yield from self._remaining_lines()
                    return
                self._pause(STATUS_SECONDS)  # the daemon closed the stream early: it is about to stop
        finally:
            self.close()

    def _remaining_lines(self) -> Iterator[LineLogged]:
        for line in read_stream(self._client, self._workspace_id, self._run_id, after=self._last_line):
            self._last_line = line.line_num
            yield LineLogged(line)

    def _follow_one_stream(self, run: DetailedRunResponse) -> _Asking:
        """Consume one stream to its end; returns the run as it stood then."""
        arrived: SimpleQueue[LogStreamEvent | _StreamEnded] = SimpleQueue()
        Thread(target=self._read_into, args=(arrived, self._last_line), daemon=True).start()
        asked_at = self._now()
        ended_at: float | None = None
        while True:
            try:
                item = arrived.get(timeout=STATUS_SECONDS)
            except Empty:
                item = None
            if isinstance(item, LogStreamEvent):
                self._last_line = item.line_num
                yield LineLogged(item)
            if isinstance(item, _StreamEnded):
                if item.error is not None and not isinstance(item.error, DaemonUnreachableError | DaemonFaultError):
                    raise item.error
                return (yield from self._ask_status())
            if ended_at is None and self._now() - asked_at >= STATUS_SECONDS:
                run = yield from self._ask_status()
                asked_at = self._now()
                ended_at = asked_at if run.status in FINAL_RUN_STATUSES else None
            if ended_at is not None and self._now() - ended_at > LAST_LINES_SECONDS:
                return run

    def _read_into(self, arrived: "SimpleQueue[LogStreamEvent | _StreamEnded]", after: int) -> None:
        try:
            for line in read_stream(self._client, self._workspace_id, self._run_id, after=after):
                if self._stop.is_set():
                    return
                arrived.put(line)
        except ApiError as error:
            arrived.put(_StreamEnded(error))
        else:
            arrived.put(_StreamEnded())

    def _ask_status(self) -> _Asking:
        """Ask until the daemon answers; returns the run."""
        away_since: float | None = None
        while True:
            try:
                run = self._client.run(self._workspace_id, self._run_id)
            except (DaemonUnreachableError, DaemonFaultError) as error:
                if away_since is None:
                    away_since = self._now()
                    yield DaemonAway(error.message)
                elif self._now() - away_since > PATIENCE_SECONDS:
                    raise
                self._pause(STATUS_SECONDS)
                continue
            if run.status != self._status:
                self._status = run.status
                yield StatusChanged(run)
            return run
