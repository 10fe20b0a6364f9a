"""What is known of the workspace: its jobs, its newest runs, kept current by the stream of changes.

Only the interface's own thread changes it. Nothing here asks the daemon; `tui.feed` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

from runtime.wire.events import ChangeEvent
from runtime.wire.histories import HistoryResponse
from runtime.wire.identities import WorkspaceResponse
from runtime.wire.jobs import DetailedScriptResponse, ScriptResponse
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES, RunStatus

KEPT_RUNS = 2000
"""So many of the newest runs stay at hand; older ones are asked for where they are looked at."""
KEPT_FAILURES = 500
"""So many of the newest failed runs stay at hand beside them, and everything that has not ended."""
RUNS_OF_A_JOB = 12


@dataclass
class Snapshot:
    """All there is at one moment.

    Attributes:
        runs: The newest, without a gap, newest first.
        older: Runs before those that have not ended, and the newest of those that failed.
        is_cut: Whether there are more than `runs`.
        failures_are_cut: Whether more have failed in the last day than are told.
    """

    workspace: WorkspaceResponse
    jobs: list[DetailedScriptResponse]
    runs: list[DetailedRunResponse]
    older: list[DetailedRunResponse] = field(default_factory=list)
    is_cut: bool = False
    failures_are_cut: bool = False


class SharedJobs:
    """Has runs share what is known of their job: most of what a run takes is its job, and they are many."""

    def __init__(self) -> None:
        self._jobs: WeakValueDictionary[tuple[UUID, str | None, datetime], ScriptResponse] = WeakValueDictionary()

    def __call__(self, run: DetailedRunResponse) -> DetailedRunResponse:
        """The run, with the job as those before it have it."""
        job = run.script
        if isinstance(job, DetailedScriptResponse):  # it has a run of its own, which would stay with all
            return run
        shared = self._jobs.setdefault((job.id, job.profile, job.date_updated), job)
        return run if shared is job else run.model_copy(update={"script": shared})


@dataclass(frozen=True)
class Histories:
    """How the newest runs of each job went, which takes longer to tell than what is looked at first."""

    items: Sequence[HistoryResponse]


class Outcome(NamedTuple):
    """How a run went, in so few bytes that a dozen are kept of each of thousands of jobs; `duration` in seconds."""

    number: int
    status: RunStatus
    duration: int | None


@dataclass(frozen=True)
class Changed:
    """What has changed: the jobs and runs concerned, and whether versions or the workspace have.

    Attributes:
        runs: Each as it is now, also where the estate has no room for it; None for one that is deleted.
    """

    jobs: frozenset[UUID] = frozenset()
    runs: Mapping[UUID, DetailedRunResponse | None] = field(default_factory=dict)
    packages: bool = False
    everything: bool = False


@dataclass
class Estate:
    """Jobs and runs by their identifiers.

    Attributes:
        since: All runs created then or later are at hand; None where all are that there are.
    """

    workspace: WorkspaceResponse | None = None
    jobs: dict[UUID, DetailedScriptResponse] = field(default_factory=dict)
    runs: dict[UUID, DetailedRunResponse] = field(default_factory=dict)
    since: datetime | None = None
    is_loaded: bool = False
    share: "SharedJobs" = field(default_factory=lambda: SharedJobs())
    _histories: dict[UUID, dict[int, Outcome]] = field(default_factory=dict)
    _failures_since: datetime | None = None
    _added: int = 0

    def take(self, snapshot: Snapshot) -> Changed:
        """Begin anew."""
        self.workspace = snapshot.workspace
        self.jobs = {job.id: job for job in snapshot.jobs}
        self.runs, self._histories, self._added = {}, {}, 0
        self.since = snapshot.runs[-1].date_added if snapshot.is_cut and snapshot.runs else None
        failed = [run.date_added for run in (*snapshot.runs, *snapshot.older) if run.status == "failed"]
        self._failures_since = min(failed, default=None) if snapshot.failures_are_cut else None
        for run in (*_last_failures(snapshot.jobs), *reversed(snapshot.older), *reversed(snapshot.runs)):
            self._keep(run)
        self.is_loaded = True
        return Changed(everything=True)

    def take_histories(self, told: Histories) -> Changed:
        """What lists of jobs show of each."""
        for one in told.items:
            own = self._histories.setdefault(one.script_id, {})
            own.update({run.number: Outcome(run.number, run.status, run.duration) for run in one.runs})
            _cut(own)
        return Changed(jobs=frozenset(one.script_id for one in told.items))

    def apply(self, events: Iterable[ChangeEvent]) -> Changed:
        """Take changes in; the answer says what to draw anew."""
        jobs: set[UUID] = set()
        runs: dict[UUID, DetailedRunResponse | None] = {}
        packages = False
        for event in events:
            if event.run is not None:
                run = self._keep(event.run)
                runs[event.id] = run
                jobs.add(run.script.id)
                self._remember_last(run)
            elif event.kind == "run":
                self._forget(event.id)
                runs[event.id] = None
            elif event.kind == "script":
                jobs.add(event.id)
                if event.script is not None:
                    self.jobs[event.id] = event.script
                else:
                    self.jobs.pop(event.id, None)
            elif event.workspace is not None:
                self.workspace = event.workspace
            packages = packages or event.kind in ("deployment", "configuration", "workspace")
        return Changed(frozenset(jobs), runs, packages)

    @property
    def recent(self) -> list[DetailedRunResponse]:
        """The newest runs without a gap, newest first."""
        since = self.since
        return newest_first(run for run in self.runs.values() if since is None or run.date_added >= since)

    @property
    def active(self) -> list[DetailedRunResponse]:
        """What has begun and not ended, newest first, however long ago that was."""
        return newest_first(run for run in self.runs.values() if run.status not in FINAL_RUN_STATUSES)

    def runs_of(self, job: DetailedScriptResponse) -> list[Outcome]:
        """The newest runs of a job that are known, oldest first."""
        known, last = dict(self._histories.get(job.id, {})), job.last_run
        if last is not None:
            known.setdefault(last.number, Outcome(last.number, last.status, last.duration))
        return [known[number] for number in sorted(known)]

    def failures(self, since: timedelta, now: datetime) -> list[DetailedRunResponse]:
        """Runs that failed so long ago at most, the newest failure first."""
        ended = [
            (run.time_ended, run)
            for run in self.runs.values()
            if run.status == "failed" and run.time_ended is not None and now - run.time_ended < since
        ]
        return [run for _, run in sorted(ended, key=lambda each: (each[0], each[1].number), reverse=True)]

    def misses_failures(self, since: timedelta, now: datetime) -> bool:
        """Whether more have failed in that time than are at hand."""
        return self._failures_since is not None and now - self._failures_since < since

    def counts(self) -> Mapping[str, int]:
        """Jobs by what they do: the status of their newest run, `never run`, `paused` or `archived`."""
        counted: dict[str, int] = {}
        for job in self.jobs.values():
            state = job_state(job)
            counted[state] = counted.get(state, 0) + 1
        return counted

    def _remember_last(self, run: DetailedRunResponse) -> None:
        job = self.jobs.get(run.script.id)
        if job is not None and (job.last_run is None or job.last_run.number <= run.number):
            self.jobs[job.id] = job.model_copy(update={"last_run": run})

    def _keep(self, run: DetailedRunResponse) -> DetailedRunResponse:
        run = self.share(run)
        own = self._histories.setdefault(run.script.id, {})
        own[run.number] = Outcome(run.number, run.status, run.duration)
        _cut(own)
        if run.id not in self.runs:
            self._added += 1
            if self._added >= KEPT_RUNS // 10:
                self._drop_oldest()
        self.runs[run.id] = run
        return run

    def _forget(self, run_id: UUID) -> None:
        run = self.runs.pop(run_id, None)
        if run is not None:
            self._histories.get(run.script.id, {}).pop(run.number, None)

    def _drop_oldest(self) -> None:
        """Make room for a tenth at once, so that it is not done for every run."""
        self._added = 0
        recent = self.recent
        if len(recent) > KEPT_RUNS * 9 // 10:
            recent = recent[: KEPT_RUNS * 9 // 10]
            self.since = recent[-1].date_added
        failed = newest_first(run for run in self.runs.values() if run.status == "failed")
        failed, left = failed[:KEPT_FAILURES], failed[KEPT_FAILURES:]
        kept = {run.id for run in recent}
        if any(run.id not in kept for run in left):
            self._failures_since = min(failed[-1].date_added, recent[-1].date_added)
        self.runs = {run.id: run for run in (*failed, *self.active, *recent)}


def job_state(job: DetailedScriptResponse) -> str:
    """One word for a job."""
    if job.archived:
        return "archived"
    if job.last_run is not None and job.last_run.status not in FINAL_RUN_STATUSES:
        return job.last_run.status
    if job.paused:
        return "paused"
    return job.last_run.status if job.last_run is not None else "never run"


def newest_first(runs: Iterable[DetailedRunResponse]) -> list[DetailedRunResponse]:
    return sorted(runs, key=lambda run: (run.date_added, run.number), reverse=True)


def _last_failures(jobs: Iterable[DetailedScriptResponse]) -> list[DetailedRunResponse]:
    """Failures that jobs ended with: one that ran for days failed today, though it was created long before."""
    return [
        DetailedRunResponse(**{**dict(job.last_run), "script": job})
        for job in jobs
        if job.last_run is not None and job.last_run.status == "failed"
    ]


def _cut(history: dict[int, Outcome]) -> None:
    for number in sorted(history)[:-RUNS_OF_A_JOB]:
        del history[number]
