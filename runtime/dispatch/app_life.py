"""What an app's run has besides any other's: a port, readiness, visitors, rest (semantics S4).

An app has a network of its own, named by its run, so that it may listen on any address and still be reached by nobody
but the daemon, through a door. Its run is `starting` until an HTTP request is answered, and ends for want of visitors,
not of time. The next daemon opens another door and asks nothing again.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from runtime.dispatch.app_succession import start_successor
from runtime.dispatch.app_usage import Backend, RunningApps
from runtime.dispatch.changes import PENDING_RUNS, TIMERS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.lookup import require
from runtime.dispatch.patience import patiently
from runtime.dispatch.racing import first_of
from runtime.domain.apps import (
    APP_PORT,
    AppAddresses,
    AppStop,
    idle_seconds_of,
    keeps_prefix,
    unready_reason,
)
from runtime.domain.jobs import JobDefinition
from runtime.domain.runs import Run
from runtime.errors import UnavailableError
from runtime.runner.launch import LiveProcess
from runtime.sandbox.doors import NOTHING_LISTENS, TAKES_NONE, Door, open_door
from runtime.sandbox.listening import listening_ports
from runtime.sandbox.network import NetworkHolders
from runtime.settings import AppSettings
from runtime.store import apps, packages, runs, workspaces
from runtime.store.database import Connection, Database
from runtime.store.runs import LiveRun

_LOOK_SECONDS = 0.05
_HINT_SECONDS = 5.0
_LOOPBACK = "127.0.0.1"

Ask = Callable[[socket.socket, str], Awaitable[str | None]]
"""Asks for a path over a connection, which it closes; in words, why visitors could not get the answer, or None."""


@dataclass(frozen=True)
class Site:
    """Where an app is told to listen, the prefix of its paths in browsers, and until when it has to answer.

    `host` is the only address to bind, where the network is not the app's own; None where any will do.
    """

    host: str | None
    port: int
    prefix: str
    ready_until: datetime


@dataclass(frozen=True)
class Ending:
    """Why an app is to end; None where that has been stored already, by whoever asked for it."""

    reason: AppStop | None
    words: str | None = None


class AppLife:
    """Looks after the apps among the runs; one instance serves all."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        network: NetworkHolders,
        running: RunningApps,
        settings: AppSettings,
        ask: Ask,
        clock: Clock,
    ) -> None:
        """Look after no app yet.

        Args:
            ask: Asks an app as the proxy does, so that what is `running` has answers which the proxy can pass on.
        """
        self._ask = ask
        self._database = database
        self._changes = changes
        self._network = network
        self._running = running
        self._settings = settings
        self._clock = clock

    async def site(self, run: Run) -> Site:
        """Where the app of this run is to listen: always the same port of its network, or a free one of the machine."""
        async with self._database.read() as connection:
            app = require(await apps.app_of_job(connection, run.job_id), "the job has no address")
        host, port = (None, APP_PORT) if self._network.mode == "isolated" else (_LOOPBACK, _free_port())
        prefix = AppAddresses(base_url="", domain=self._settings.domain).prefix(app.slug)
        return Site(host, port, prefix, self._clock() + timedelta(seconds=self._settings.ready_seconds))

    async def attend(
        self, run: Run, process: LiveProcess, definition: JobDefinition, note: Callable[[str], None]
    ) -> Ending:
        """See an app through until it is to end; cancel it when the app has ended by itself.

        Args:
            run: As the store holds it: one that is `running` has answered already.
            note: Takes lines for the run's `setup` log.
        """
        async with self._database.read() as connection:
            row = require(await runs.find_live(connection, run.id), "the run's live row is gone")
            deployment = require(
                await packages.find_deployment(connection, run.workspace_id, run.deployment_id), "deployment is gone"
            )
        entry = await self._network.present(run.id)
        if entry is None or row.app_port is None:
            return Ending("unready", "the app's network is gone")
        async with open_door(entry, row.app_port) as door:
            prefix = (row.app_prefix or "") if keeps_prefix(definition.entry_point) else ""
            backend = Backend(run.id, run.number, deployment.version, prefix, door)
            stopped = self._until_asked_to_stop(run.id)
            return await first_of(stopped, self._serve(run, row, definition, process, backend, door, note))

    async def record(self, connection: Connection, run_id: UUID, ending: Ending) -> None:
        """Store that an app is to end, and that it is ending."""
        now = self._clock()
        if ending.reason is not None:
            await runs.save_stop(connection, run_id, ending.reason, now, ending.words)
        run = await runs.find_run(connection, run_id)
        if run is not None and run.status in ("starting", "running"):
            await runs.save_run(connection, run.model_copy(update={"status": "cancelling", "updated_at": now}))

    async def clear(self, run_id: UUID) -> None:
        """Remove the network of a run that has ended, if it had one of its own."""
        await self._network.dismiss(run_id)

    async def _serve(
        self,
        run: Run,
        row: LiveRun,
        definition: JobDefinition,
        process: LiveProcess,
        backend: Backend,
        door: Door,
        note: Callable[[str], None],
    ) -> Ending:
        if run.status != "running":
            problem = await self._until_ready(row, process, backend, door, note)
            if problem is not None:
                return Ending("unready", problem)
        seconds = idle_seconds_of(definition, self._settings.idle_seconds)
        with self._running.serving(run.job_id, backend):
            await patiently(partial(self._mark_running, run.id), run_id=str(run.id))
            self._changes.announce(run.id, run.workspace_id)  # also of one found again: it answers only now
            return Ending("idle", await self._running.until_idle(run.id, seconds))

    async def _until_ready(
        self, row: LiveRun, process: LiveProcess, backend: Backend, door: Door, note: Callable[[str], None]
    ) -> str | None:
        """Wait until the app answers; in words, why it does not, once its time is over."""
        port = row.app_port or APP_PORT
        until = row.deadline_at or self._clock()
        hint_at: datetime | None = self._clock() + timedelta(seconds=_HINT_SECONDS)
        problem: str | None = None

        def reason() -> str:
            return unready_reason(port, self._settings.ready_seconds, self._listening(process), problem)

        while (left := (until - self._clock()).total_seconds()) > 0:
            try:
                is_answered, found = await self._answer(door, backend.base_path, left)
            except UnavailableError as error:  # there is no way to the port, whoever listens there
                return error.message
            if is_answered and found is None:
                return None
            problem = found or problem  # the last question may find no time for its answer
            is_telling = problem is not None or self._listening(process) - {port}
            if hint_at is not None and hint_at < self._clock() and is_telling:
                note(f"{reason()}; waiting for it")
                hint_at = None
            await asyncio.sleep(_LOOK_SECONDS)
        return reason()

    async def _answer(self, door: Door, base_path: str, seconds: float) -> tuple[bool, str | None]:
        """Whether an HTTP request is answered, with any status, and why visitors could not get such an answer.

        Raises:
            UnavailableError: the app's network cannot be entered.
        """
        try:
            connected = await door.connect()
        except UnavailableError as error:
            if error.code in (NOTHING_LISTENS, TAKES_NONE):
                return False, None
            raise
        try:
            async with asyncio.timeout(seconds):
                return True, await self._ask(connected, f"{base_path}/")
        except OSError:  # a timeout is one
            return False, None

    def _listening(self, process: LiveProcess) -> frozenset[int]:
        """The ports in the app's network; none on the machine's, where other programs listen, too."""
        return listening_ports(process.pid) if self._network.mode == "isolated" else frozenset()

    async def _until_asked_to_stop(self, run_id: UUID) -> Ending:
        """Wait until a deploy has asked the app to end; where it is in use, until its successor answers besides."""
        while not self._changes.is_closed:
            event = self._changes.event(TIMERS)
            async with self._database.read() as connection:
                run, row = await runs.find_run(connection, run_id), await runs.find_live(connection, run_id)
            if run is None or row is None or row.stop_reason is not None:
                if run is not None and row is not None and self._running.in_use(run_id):
                    await self._succeed(run, row)
                return Ending(None)
            await event.wait()
        return await self._never()

    async def _succeed(self, run: Run, row: LiveRun) -> None:
        """Start an app anew that newer code replaces, and return when this one is to go."""
        if row.stop_reason != "replaced":
            return
        async with self._database.transaction() as connection:
            successor = await start_successor(connection, run, self._clock())
            workspace = await workspaces.find_workspace(connection, run.workspace_id)
        self._changes.announce(run.workspace_id, PENDING_RUNS)
        # Two that share their data would be in each other's way: DuckDB's files are locked by who opens them.
        if successor is None or workspace is None or workspace.access_data == "separate":
            return
        await self._until_taken_over(successor.id)

    async def _until_taken_over(self, successor_id: UUID) -> None:
        """Wait until the successor answers or has ended, or somebody waits for the room that this app takes."""
        while not self._changes.is_closed:
            changed = self._changes.event(successor_id)
            async with self._database.read() as connection:
                successor = await runs.find_run(connection, successor_id)
            if successor is None or successor.status not in ("pending", "starting"):
                return
            if await self._running.crowded_before(changed):
                return
        await self._never()

    async def _never(self) -> Ending:
        """Wait: the daemon ends, and this with it; the app goes on."""
        await asyncio.Event().wait()
        return Ending(None)

    async def _mark_running(self, run_id: UUID) -> None:
        async with self._database.transaction() as connection:
            run = await runs.find_run(connection, run_id)
            if run is None or run.status != "starting":
                return
            now = self._clock()
            await runs.save_run(connection, run.model_copy(update={"status": "running", "updated_at": now}))
            await runs.save_ready(connection, run_id, now)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
