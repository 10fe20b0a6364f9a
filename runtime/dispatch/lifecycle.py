"""One run's life: begin, prepare, release, watch, settle (design decision 5; semantics S1, S2, S5, S6).

The daemon may die between any two steps. What it needs to go on is in `live_runs`: a run without a recorded process
is prepared again, one with a process is found again and watched to its end. A sandbox that was prepared but never
released ends by itself when the daemon does, in a way that says so, and is prepared again as well.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import structlog

from runtime.dispatch.access_data import AccessData
from runtime.dispatch.app_life import AppLife, Ending
from runtime.dispatch.changes import PENDING_RUNS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.insight import InsightService
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.lookup import require
from runtime.dispatch.orders import launch_of, order_of, process_of
from runtime.dispatch.patience import for_a_moment, patiently
from runtime.dispatch.preparation import Preparation
from runtime.dispatch.program_log import ProgramLog
from runtime.dispatch.run_limits import RunLimits
from runtime.dispatch.settling import settle
from runtime.domain.apps import is_app, judge_app_end
from runtime.domain.jobs import JobDefinition
from runtime.domain.masking import hiding_all
from runtime.domain.runs import FINAL_STATUSES, MACHINE_RESTARTED, Run, RunEnd, RunStatus, judge_end
from runtime.errors import JobRuntimeError, PassingError, StoreBusyError, disk_error, is_full
from runtime.runner.launch import LiveProcess
from runtime.runner.logs import LogTail
from runtime.runner.runner import PreparedRun, Runner
from runtime.sandbox.identity import boot_id
from runtime.store import runs as store
from runtime.store.database import Connection, Database
from runtime.store.environments import note_mounted
from runtime.store.runs import LiveRun, StopReason

log = structlog.get_logger()
T = TypeVar("T")

_LOOK_SECONDS = 0.01

_CANCELLED_EARLY = RunEnd(status="cancelled", reason="cancelled on request before the job began")
_MACHINE_RESTARTED = RunEnd(status="failed", reason=MACHINE_RESTARTED)


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
        apps: AppLife,
        insight: InsightService,
        limits: RunLimits,
        access_data: AccessData,
        clock: Clock,
    ) -> None:
        self._database = database
        self._changes = changes
        self._writer = writer
        self._preparation = preparation
        self._runner = runner
        self._tail = tail
        self._apps = apps
        self._insight = insight
        self._limits = limits
        self._access_data = access_data
        self._clock = clock

    async def live(self, run_id: UUID, stop: asyncio.Event) -> None:
        """See a run through to its end, from wherever it stands.

        Args:
            stop: Set when somebody asked the run to stop.
        """
        run, row = await self._read(run_id)
        if run.is_final:
            return
        if row.stop_reason is not None:  # asked of a daemon before this one
            stop.set()
        definition = await self._preparation.definition(run)
        try:
            masker = await self._preparation.masker(run)
        except PassingError:
            raise
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
        if is_app(definition):
            await self._apps.clear(run_id)
        if end is not None:
            await self._settle(run_id, end)

    async def give_up(self, run_id: UUID) -> None:
        """End a run that the daemon failed at, so that nobody waits for it, and whatever of it still runs."""
        _, row = await self._read(run_id)
        if row.pid is not None:
            self._runner.kill(process_of(row))
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
        has_ended = not self._runner.adopt(process)
        if is_app(definition) and not has_ended:
            self._access_data.taken_up(run)
        end = await self._watch(run, process, definition, stop, has_ended=has_ended)
        if not self._runner.was_released(process, end.exit_code):
            # Else a daemon that died while it prepares the run again would leave this process's number with the
            # next one's status file.
            async with self._database.transaction() as connection:
                await store.forget_process(connection, run.id)
            return None
        if end.exit_code is None and end.status != "cancelled" and process.boot_id != boot_id():
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
            process = await self._release(begun, definition, *prepared)
        except StoreBusyError:
            raise  # nothing is wrong with the run
        except JobRuntimeError as error:
            return await self._failed(run.id, error)
        except OSError as error:
            if not is_full(error):
                raise
            return await self._failed(run.id, disk_error("the run could not be prepared", error))
        return await self._watch(run, process, definition, stop)

    async def _failed(self, run_id: UUID, error: JobRuntimeError) -> RunEnd:
        """The end of a run that could not begin (semantics S6)."""
        await self._say(run_id, f"{error.message} ({error.hint})" if error.hint else error.message)
        return RunEnd(status="failed", reason=self._writer.masker_of(run_id).mask_text(error.message))

    async def _prepare(self, run: Run, definition: JobDefinition) -> tuple[PreparedRun, str]:
        machine = self._limits.machine_of(definition)
        files = await self._preparation.prepare(run, lambda line: self._note(run.id, line))
        return await self._runner.prepare(launch_of(run, definition, files, machine)), files.environment.key

    async def _release(
        self, run: Run, definition: JobDefinition, prepared: PreparedRun, environment_key: str
    ) -> LiveProcess:
        """Record the process and that it runs, then let it begin; a crash in between is seen by its exit code."""
        process = prepared.live
        try:
            site = await self._apps.site(run) if is_app(definition) else None
            deadline = site.ready_until if site else None
            if site is None and definition.timeout_seconds is not None:
                deadline = self._clock() + timedelta(seconds=definition.timeout_seconds)
            async with self._database.transaction() as connection:
                await store.save_process(
                    connection, run.id, process.pid, process.pid_started, process.boot_id, deadline_at=deadline
                )
                await note_mounted(connection, run.id, environment_key)
                await self._limits.record(connection, prepared.launch)
                if site is not None:
                    await store.save_site(connection, run.id, site.port, site.prefix)
                else:
                    await self._advance_in(connection, run.id, "running")
        except Exception:
            await self._runner.discard(prepared)
            raise
        await self._runner.release(prepared, order_of(run, definition, site))
        self._changes.announce(run.id, run.workspace_id)
        return process

    async def _watch(
        self,
        run: Run,
        process: LiveProcess,
        definition: JobDefinition,
        stop: asyncio.Event,
        *,
        has_ended: bool = False,
    ) -> RunEnd:
        """Store the log as it grows, keep the time limit, obey a stop request, and judge the end (semantics S2).

        Args:
            has_ended: It ended while no daemon was there; what has become due since did not end it.
        """
        # After a power cut the file may hold less than had been read of it.
        may_shrink = process.boot_id == boot_id()
        program_log = ProgramLog(
            self._database, self._writer, self._tail, run.id, self._limits.log_allowance, may_shrink=may_shrink
        )
        async with asyncio.TaskGroup() as group:
            following = group.create_task(program_log.follow())
            telling = group.create_task(self._insight.follow(run))
            if has_ended:
                exit_code, stopped_for = await self._runner.wait(process), (await self._read(run.id))[1].stop_reason
            else:
                async with self._limits.guarding(process, program_log.excess_bytes):
                    exit_code, stopped_for = await self._until_exit(run, process, definition, stop)
            telling.cancel()
            program_log.finish()
            await following
        overuse = await self._limits.verdict(run.id)
        if is_app(definition) and overuse is None:
            _, row = await self._read(run.id)
            return judge_app_end(
                exit_code,
                stopped_for=stopped_for,
                stop_words=row.stop_words,
                was_ready=row.deadline_at is None,
                last_line=program_log.last_line,
            )
        return judge_end(
            exit_code,
            stopped_for="cancel" if stopped_for == "cancel" else "timeout" if stopped_for else None,
            last_line=program_log.last_line,
            timeout_seconds=definition.timeout_seconds,
            overuse=overuse,
        )

    async def _until_exit(
        self, run: Run, process: LiveProcess, definition: JobDefinition, stop: asyncio.Event
    ) -> tuple[int | None, StopReason | None]:
        async with asyncio.TaskGroup() as group:
            exiting = group.create_task(self._runner.wait(process))
            _, row = await self._read(run.id)
            recording: asyncio.Task[LiveRun] | None = None
            asked_at = _asked_at(row)
            if row.stop_reason is None:
                ending = None
                if is_app(definition):
                    ending = await self._attend(run, process, definition, exiting, stop)
                else:
                    await self._first_of(exiting, stop, row.deadline_at)
                if exiting.done():
                    return exiting.result(), None
                recorded = partial(self._record_stop, run.id, ending)
                recording = group.create_task(patiently(recorded, run_id=str(run.id)))
                await for_a_moment(recording)
                if recording.done():
                    asked_at = _asked_at(recording.result())
            patience_until = (asked_at or self._clock()) + timedelta(seconds=definition.grace_seconds)
            await self._ask_to_end(process, exiting, patience_until)
            await self._first_of(exiting, None, patience_until)
            if not exiting.done():
                self._runner.kill(process)
            exit_code = await exiting
            if recording is not None:
                row = await recording
            return exit_code, row.stop_reason

    async def _attend(
        self,
        run: Run,
        process: LiveProcess,
        definition: JobDefinition,
        exiting: "asyncio.Task[int | None]",
        stop: asyncio.Event,
    ) -> Ending | None:
        """See an app through; None if it has ended by itself or somebody asked it to stop."""
        attending = asyncio.create_task(
            self._apps.attend(run, process, definition, lambda line: self._note(run.id, line))
        )
        try:
            await self._first_of(exiting, stop, None, attending)
            return attending.result() if attending.done() and not exiting.done() else None
        finally:
            attending.cancel()
            await asyncio.wait({attending})

    async def _ask_to_end(self, process: LiveProcess, exiting: "asyncio.Task[int | None]", until: datetime) -> None:
        """Signal the job, as soon as there is one: a sandbox is known some milliseconds before its job is forked."""
        while not self._runner.terminate(process) and not exiting.done() and self._clock() < until:
            await asyncio.wait({exiting}, timeout=_LOOK_SECONDS)

    async def _first_of(
        self,
        exiting: "asyncio.Task[int | None]",
        stop: asyncio.Event | None,
        until: datetime | None,
        *others: "asyncio.Task[Any]",
    ) -> None:
        """Wait for the exit, a stop request, a moment in time, or whatever else ends first."""
        waiting: set[asyncio.Task[Any]] = {exiting, *others}
        stopping = asyncio.create_task(stop.wait()) if stop else None
        if stopping:
            waiting.add(stopping)
        seconds = None if until is None else max(0.0, (until - self._clock()).total_seconds())
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if stopping:
                stopping.cancel()

    async def _record_stop(self, run_id: UUID, ending: Ending | None) -> LiveRun:
        """Why the run is being stopped: what a cancel recorded, else why its app is to end, or that its time is up."""
        async with self._database.transaction() as connection:
            if ending is not None:
                await self._apps.record(connection, run_id, ending)
            else:
                await store.save_stop(connection, run_id, "timeout", self._clock())
            row = require(await store.find_live(connection, run_id), "the run's live row is gone")
            run = require(await store.find_run(connection, run_id), "the run is gone")
        if ending is not None:
            self._changes.announce(run.id, run.workspace_id)
        return row

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

    async def _settle(self, run_id: UUID, end: RunEnd) -> None:
        await self._writer.flush()
        reports = await self._insight.read(run_id)
        async with self._database.transaction() as connection:
            run = await store.find_run(connection, run_id)
            if run is None or run.status in FINAL_STATUSES:
                return
            await self._insight.save(connection, run, reports)
            run = await settle(connection, run, end, self._clock())
        self._limits.forget(run_id)
        self._changes.announce(run.id, run.workspace_id, PENDING_RUNS)
        log.info(
            "a run has ended",
            action="run.end",
            run_id=str(run.id),
            job_ref=run.job_ref,
            status=run.status,
            reason=run.reason,
        )
        try:
            async with self._access_data.undisturbed(run_id):
                await asyncio.to_thread(self._clear, run_id)
        finally:
            self._access_data.settled(run)

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


def _asked_at(row: LiveRun) -> datetime | None:
    """Since when a run's grace counts; None: since it is asked.

    An app that newer code replaces has been told so long before it is to end, which is when its successor answers, or
    when somebody cancels it.
    """
    return None if row.stop_reason == "replaced" else row.stop_at


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None, with `work` cancelled, if `stop` is set first."""
    if stop.is_set():
        work.close()
        return None
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
