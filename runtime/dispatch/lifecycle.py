"""One run's life: begin, prepare, release, watch, settle (design decision 5; semantics S1, S2, S5, S6).

The daemon may die between any two steps. What it needs to go on is in `live_runs`: a run without a recorded process
is prepared again, one with a process is found again and watched to its end. A sandbox that was prepared but never
released ends by itself when the daemon does, with an exit status that says so, and is prepared again as well.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog

from runtime.dispatch.changes import PENDING_RUNS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.lookup import require
from runtime.dispatch.orders import launch_of, order_of, process_of
from runtime.dispatch.preparation import Preparation
from runtime.dispatch.program_log import ProgramLog
from runtime.dispatch.settling import settle
from runtime.domain.jobs import JobDefinition
from runtime.domain.masking import hiding_all
from runtime.domain.runs import FINAL_STATUSES, Run, RunEnd, RunStatus, judge_end
from runtime.errors import JobRuntimeError
from runtime.runner.launch import UNRELEASED_EXIT_CODE, LiveProcess
from runtime.runner.logs import LogTail
from runtime.runner.runner import PreparedRun, Runner
from runtime.sandbox.identity import boot_id
from runtime.store import logs
from runtime.store import runs as store
from runtime.store.database import Connection, Database
from runtime.store.runs import LiveRun, StopReason

log = structlog.get_logger()
T = TypeVar("T")

_LOOK_SECONDS = 0.01

_CANCELLED_EARLY = RunEnd(status="cancelled", reason="cancelled on request before the job began")
_MACHINE_RESTARTED = RunEnd(status="failed", reason="machine restarted while the job was running")


class Lifecycle:
    """What every live run goes through; one instance serves all."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        writer: LogWriter,
        preparation: Preparation,
        runner: Runner,
        tail: LogTail,
        clock: Clock,
    ) -> None:
        self._database = database
        self._changes = changes
        self._writer = writer
        self._preparation = preparation
        self._runner = runner
        self._tail = tail
        self._clock = clock

    async def live(self, run_id: UUID, stop: asyncio.Event) -> None:
        """See a run through to its end, from wherever it stands.

        Args:
            stop: Set when somebody asked the run to stop.
        """
        run, row = await self._read(run_id)
        if run.is_final:
            return
        definition = await self._preparation.definition(run)
        try:
            masker = await self._preparation.masker(run)
        except JobRuntimeError as error:
            if row.pid is None:
                await self._settle(run_id, RunEnd(status="failed", reason=error.message))
                return
            # The job has its secrets already and may go on printing them.
            log.warning("a run's secrets cannot be read", action="run.mask", run_id=str(run_id), error=error.message)
            masker = hiding_all("its secrets cannot be read")
        if masker.withheld is not None:
            self._note(run_id, f"the log of this run is withheld: {masker.withheld}")
        with self._writer.masking(run_id, masker):
            end = await self._see_through(run, row, definition, stop)
        if end is not None:
            await self._settle(run_id, end)

    async def give_up(self, run_id: UUID) -> None:
        """End a run that the daemon failed at, so that nobody waits for it."""
        await self._settle(run_id, RunEnd(status="failed", reason="internal error of the runtime; see its own log"))

    async def _see_through(
        self, run: Run, row: LiveRun, definition: JobDefinition, stop: asyncio.Event
    ) -> RunEnd | None:
        if row.pid is not None:  # a daemon before this one had started it
            end = await self._resume(run, row, definition, stop)
            if end is not None:
                return end
        return await self._run(run, definition, stop)

    async def _resume(self, run: Run, row: LiveRun, definition: JobDefinition, stop: asyncio.Event) -> RunEnd | None:
        """Watch a process that an earlier daemon started; None if it never got the order to begin."""
        process = process_of(row)
        self._runner.adopt(process)
        end = await self._watch(run, process, definition, stop)
        if end.exit_code == UNRELEASED_EXIT_CODE and not await self._has_spoken(run.id):
            return None
        if end.exit_code is None and process.boot_id != boot_id():
            return _MACHINE_RESTARTED
        return end

    async def _run(self, run: Run, definition: JobDefinition, stop: asyncio.Event) -> RunEnd | None:
        """Prepare, release and watch; None if the run ended before it was begun."""
        begun = await self._advance(run.id, "starting")
        if begun is None:
            return None
        try:
            prepared = await _unless(stop, self._prepare(begun, definition))
            if prepared is None:
                return _CANCELLED_EARLY
            process = await self._release(begun, definition, prepared)
        except JobRuntimeError as error:
            await self._say(run.id, f"{error.message} ({error.hint})" if error.hint else error.message)
            return RunEnd(status="failed", reason=self._writer.masker_of(run.id).mask_text(error.message))
        return await self._watch(run, process, definition, stop)

    async def _prepare(self, run: Run, definition: JobDefinition) -> PreparedRun:
        files = await self._preparation.prepare(run, lambda line: self._note(run.id, line))
        return await self._runner.prepare(launch_of(run, definition, files))

    async def _release(self, run: Run, definition: JobDefinition, prepared: PreparedRun) -> LiveProcess:
        """Record the process and that it runs, then let it begin; a crash in between is seen by its exit code."""
        deadline = None
        if definition.timeout_seconds is not None:
            deadline = self._clock() + timedelta(seconds=definition.timeout_seconds)
        process = prepared.live
        async with self._database.transaction() as connection:
            await store.save_process(
                connection, run.id, process.pid, process.pid_started, process.boot_id, deadline_at=deadline
            )
            await self._advance_in(connection, run.id, "running")
        await self._runner.release(prepared, order_of(run, definition))
        self._changes.announce(run.id, run.workspace_id)
        return process

    async def _watch(self, run: Run, process: LiveProcess, definition: JobDefinition, stop: asyncio.Event) -> RunEnd:
        """Store the log as it grows, keep the time limit, obey a stop request, and judge the end (semantics S2)."""
        program_log = await ProgramLog.open(self._database, self._writer, self._tail, run.id)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(program_log.follow())
            exit_code, stopped_for = await self._until_exit(run.id, process, definition, stop)
            program_log.finish()
            await following
        return judge_end(
            exit_code,
            stopped_for=stopped_for,
            last_line=program_log.last_line,
            timeout_seconds=definition.timeout_seconds,
        )

    async def _until_exit(
        self, run_id: UUID, process: LiveProcess, definition: JobDefinition, stop: asyncio.Event
    ) -> tuple[int | None, StopReason | None]:
        async with asyncio.TaskGroup() as group:
            exiting = group.create_task(self._runner.wait(process))
            _, row = await self._read(run_id)
            if row.stop_reason is None:
                await self._first_of(exiting, stop, row.deadline_at)
                if exiting.done():
                    return exiting.result(), None
                row = await self._record_stop(run_id)
            patience_until = (row.stop_at or self._clock()) + timedelta(seconds=definition.grace_seconds)
            await self._ask_to_end(process, exiting, patience_until)
            await self._first_of(exiting, None, patience_until)
            if not exiting.done():
                self._runner.kill(process)
            return await exiting, row.stop_reason

    async def _ask_to_end(self, process: LiveProcess, exiting: "asyncio.Task[int | None]", until: datetime) -> None:
        """Signal the job, as soon as there is one: a sandbox is known some milliseconds before its job is forked."""
        while not self._runner.terminate(process) and not exiting.done() and self._clock() < until:
            await asyncio.wait({exiting}, timeout=_LOOK_SECONDS)

    async def _first_of(
        self, exiting: "asyncio.Task[int | None]", stop: asyncio.Event | None, until: datetime | None
    ) -> None:
        """Wait for the exit, a stop request, or a moment in time."""
        waiting: set[asyncio.Task[Any]] = {exiting}
        stopping = asyncio.create_task(stop.wait()) if stop else None
        if stopping:
            waiting.add(stopping)
        seconds = None if until is None else max(0.0, (until - self._clock()).total_seconds())
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if stopping:
                stopping.cancel()

    async def _record_stop(self, run_id: UUID) -> LiveRun:
        """Why the run is being stopped: what a cancel recorded, else that its time is up."""
        async with self._database.transaction() as connection:
            await store.save_stop(connection, run_id, "timeout", self._clock())
            return require(await store.find_live(connection, run_id), "the run's live row is gone")

    async def _advance(self, run_id: UUID, status: RunStatus) -> Run | None:
        """Move a run on; None if it has ended."""
        async with self._database.transaction() as connection:
            run = await self._advance_in(connection, run_id, status)
        if run is not None:
            self._changes.announce(run.id, run.workspace_id)
        return run

    async def _advance_in(self, connection: Connection, run_id: UUID, status: RunStatus) -> Run | None:
        """Move a run on, unless it has been asked to stop or has been further already; None if it has ended."""
        now = self._clock()
        run = await store.find_run(connection, run_id)
        if run is None or run.is_final:
            return None
        if run.status not in ("cancelling", "running", status):
            run = run.model_copy(update={"status": status, "updated_at": now, "started_at": run.started_at or now})
            await store.save_run(connection, run)
        return run

    async def _has_spoken(self, run_id: UUID) -> bool:
        """Whether the job has printed anything, so that its code has run."""
        async with self._database.read() as connection:
            return bool(await logs.last_program_line(connection, run_id))

    async def _settle(self, run_id: UUID, end: RunEnd) -> None:
        await self._writer.flush()
        async with self._database.transaction() as connection:
            run = await store.find_run(connection, run_id)
            if run is None or run.status in FINAL_STATUSES:
                return
            run = await settle(connection, run, end, self._clock())
        self._changes.announce(run.id, run.workspace_id, PENDING_RUNS)
        log.info(
            "a run has ended",
            action="run.end",
            run_id=str(run.id),
            job_ref=run.job_ref,
            status=run.status,
            reason=run.reason,
        )
        await asyncio.to_thread(self._clear, run_id)

    def _clear(self, run_id: UUID) -> None:
        self._preparation.clear(run_id)
        self._runner.forget(run_id)

    async def _read(self, run_id: UUID) -> tuple[Run, LiveRun]:
        async with self._database.read() as connection:
            run = await store.find_run(connection, run_id)
            row = await store.find_live(connection, run_id)
        if run is None:
            raise LookupError(f"run {run_id} is gone from the store")
        return run, row or LiveRun(run_id=run_id)

    def _note(self, run_id: UUID, line: str) -> None:
        """Add a line of our own to the run's log, whenever the store takes it."""
        self._writer.append(run_id, "setup", line.splitlines())

    async def _say(self, run_id: UUID, line: str) -> None:
        await self._writer.append(run_id, "setup", line.splitlines())


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None, with `work` cancelled, if `stop` is set first."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        return None
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
