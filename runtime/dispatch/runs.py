"""Looking at runs and their logs, and asking them to stop."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.lookup import require
from runtime.dispatch.readers import may_look, wait_for_news
from runtime.dispatch.starting import start_awaited
from runtime.domain.identities import Principal
from runtime.domain.jobs import Job, JobVersion
from runtime.domain.logs import LogLine
from runtime.domain.runs import Run, RunStatus, check_transition
from runtime.domain.summaries import PipelineSummary
from runtime.errors import NotFoundError, UnavailableError
from runtime.store import audit, histories, hooks, jobs, logs, summaries
from runtime.store import runs as store
from runtime.store.database import Connection, Database
from runtime.store.histories import History
from runtime.store.paging import Page
from runtime.store.runs import RunFilter


@dataclass(frozen=True)
class RunView:
    """A run with its job, the version of the definition that it pinned, and what its pipelines said of themselves."""

    run: Run
    job: Job
    version: JobVersion
    summaries: tuple[PipelineSummary, ...] = ()


@dataclass(frozen=True)
class Cancelled:
    """What a bulk cancel does: the runs as they were before, and the jobs without an active run."""

    cancelled: list[Run]
    not_running: list[str]


class StopsRuns(Protocol):
    """What this service needs of the executor."""

    def stop(self, run_id: UUID) -> None:
        """Look at the run again: it has been asked to stop."""


class RunService:
    """Reads runs and logs; cancels."""

    def __init__(self, database: Database, changes: Changes, executor: StopsRuns, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._executor = executor
        self._clock = clock

    async def list(self, workspace_id: UUID, wanted: RunFilter, limit: int, offset: int) -> Page[RunView]:
        """A page of runs, newest first."""
        async with self._database.read() as connection:
            page = await store.list_runs(connection, workspace_id, wanted, limit, offset)
            return Page(await _views(connection, page.items), page.total)

    async def get(self, workspace_id: UUID, run_id: UUID) -> RunView:
        """One run; NotFoundError if the workspace has none such."""
        async with self._database.read() as connection:
            run = await _find(connection, workspace_id, run_id)
            return (await _views(connection, [run]))[0]

    async def several(self, workspace_id: UUID, run_ids: Sequence[UUID]) -> Sequence[RunView]:
        """Those of these runs that the workspace has."""
        async with self._database.read() as connection:
            found = [await store.find_run(connection, run_id) for run_id in run_ids]
            return await _views(connection, [run for run in found if run and run.workspace_id == workspace_id])

    async def latest(self, workspace_id: UUID, job_id: UUID | None) -> RunView:
        """The newest run of the workspace, or of one job; NotFoundError if there is none."""
        async with self._database.read() as connection:
            run = require(await store.latest_run(connection, workspace_id, job_id), "there are no runs yet")
            return (await _views(connection, [run]))[0]

    async def histories(self, workspace_id: UUID, length: int, limit: int, offset: int) -> Page[History]:
        """A page of jobs by reference, each with how its newest `length` runs went."""
        async with self._database.read() as connection:
            return await histories.list_histories(connection, workspace_id, length, limit, offset)

    async def cancel(self, principal: Principal, workspace_id: UUID, run_id: UUID) -> RunView:
        """Ask a run to stop (semantics S2); a pending one ends at once, asking twice changes nothing.

        Raises:
            ConflictError: it has ended already.
        """
        async with self._database.transaction() as connection:
            run = await _find(connection, workspace_id, run_id)
            if run.status != "cancelling":
                await self._request_stop(connection, principal, run)
        self._announce_stop(run)
        return await self.get(workspace_id, run_id)

    async def cancel_jobs(
        self, principal: Principal, workspace_id: UUID, job_refs: Sequence[str], *, dry_run: bool
    ) -> Cancelled:
        """Cancel the newest active run of each job; a dry run only says which those are.

        Raises:
            NotFoundError: a reference names no job.
        """
        before: list[Run] = []
        not_running: list[str] = []
        async with self._database.transaction() as connection:
            for job_ref in dict.fromkeys(job_refs):
                job = await jobs.find_job(connection, workspace_id, job_ref)
                if job is None:
                    raise NotFoundError(f"there is no job `{job_ref}` in this workspace", code="job_not_found")
                active = await store.active_runs(connection, job.id)
                if not active:
                    not_running.append(job_ref)
                    continue
                before.append(active[-1])
                if not dry_run and active[-1].status != "cancelling":
                    await self._request_stop(connection, principal, active[-1])
        if not dry_run:
            for run in before:
                self._announce_stop(run)
        return Cancelled(before, not_running)

    async def logs(self, run_id: UUID) -> AsyncIterator[Sequence[LogLine]]:
        """The lines that a run has when this returns, to be read in batches of at most `MOST_LINES`."""
        async with self._database.read() as connection:
            end_line = await logs.count_lines(connection, run_id)
        return self._batches(run_id, end_line)

    async def last_lines(self, run_id: UUID, count: int) -> Sequence[LogLine]:
        """The last stored lines of a run; costs what they cost, however long the log is."""
        async with self._database.read() as connection:
            total = await logs.count_lines(connection, run_id)
            return await logs.read_page(connection, run_id, max(0, total - count), count)

    async def follow(
        self, run_id: UUID, from_line: int = 0, reader: Principal | None = None
    ) -> AsyncIterator[Sequence[LogLine]]:
        """Stored lines and then new ones as they come; ends when the run is final and all lines are out.

        They come in batches of at most `MOST_LINES`; who takes them slowly has no more of them in hand, and holds
        nothing of the database.

        Args:
            reader: Who reads; it also ends when they may not look any more. None where that is the caller's matter.

        Raises:
            UnavailableError: the daemon is about to end; the run goes on.
        """
        next_line = from_line
        while True:
            event = self._changes.event(run_id)
            async with self._database.read() as connection:
                # The status first: a log is complete once its run is final (semantics S5).
                run = require(await store.find_run(connection, run_id), "the run is gone")
                if reader is not None and not await may_look(connection, reader, run.workspace_id, self._clock()):
                    return
                chunks = await logs.read_chunks(connection, run_id, next_line)
            for lines in logs.unpack(chunks, next_line):
                yield lines
            if chunks:
                next_line = chunks[-1].end_line
            elif run.is_final:
                return
            elif self._changes.is_closed:
                raise UnavailableError("the runtime is being stopped; the run goes on", code="stopping")
            else:
                await wait_for_news(event)

    async def _batches(self, run_id: UUID, end_line: int) -> AsyncIterator[Sequence[LogLine]]:
        place = 0
        while True:
            async with self._database.read() as connection:
                chunks = await logs.read_chunks(connection, run_id, place, end_line)
            if not chunks:
                return
            for lines in logs.unpack(chunks, place, end_line):
                yield lines
            place = chunks[-1].end_line

    async def _request_stop(self, connection: Connection, principal: Principal, run: Run) -> None:
        now = self._clock()
        following: RunStatus = "cancelled" if run.status == "pending" else "cancelling"
        check_transition(run.status, following)
        changed: dict[str, Any] = {"status": following, "updated_at": now}
        if following == "cancelled":
            changed |= {"ended_at": now, "reason": "cancelled on request"}
            await hooks.forget_payload(connection, run.id)
        else:
            await store.save_stop(connection, run.id, "cancel", now)
        changed_run = run.model_copy(update=changed)
        await store.save_run(connection, changed_run)
        if changed_run.is_final:
            await start_awaited(connection, changed_run, now)
        await audit.record(
            connection,
            at=now,
            user_id=principal.user.id,
            workspace_id=run.workspace_id,
            action="run.cancel",
            subject=str(run.id),
        )

    def _announce_stop(self, run: Run) -> None:
        self._executor.stop(run.id)
        self._changes.announce(run.id, run.workspace_id)


async def _find(connection: Connection, workspace_id: UUID, run_id: UUID) -> Run:
    run = await store.find_run(connection, run_id)
    if run is None or run.workspace_id != workspace_id:
        raise NotFoundError(f"there is no run `{run_id}` in this workspace", code="run_not_found")
    return run


async def _views(connection: Connection, runs: Sequence[Run]) -> list[RunView]:
    by_id = await jobs.jobs_by_id(connection, list({run.job_id for run in runs}))
    reported = await summaries.summaries_of(connection, [run.id for run in runs])
    views = []
    for run in runs:
        job = by_id[run.job_id]
        version = job.version
        if version.id != run.job_version_id:
            version = require(await jobs.find_version(connection, job.id, run.job_version_id), "the version is gone")
        views.append(RunView(run, job, version, reported.get(run.id, ())))
    return views
