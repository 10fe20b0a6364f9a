"""Apps as their visitors' proxy sees them: which there are, what answers for them, how one that rests is woken."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import takewhile
from uuid import UUID

from runtime.dispatch.app_succession import start_app
from runtime.dispatch.app_usage import Backend, RunningApps
from runtime.dispatch.changes import PENDING_RUNS, TIMERS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import find_startable
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.lookup import require
from runtime.dispatch.starting import active_app_run
from runtime.domain.apps import MOST_CRASHES, App, holds_back, is_app, outdated_reason
from runtime.domain.runs import Run
from runtime.errors import ConflictError, InvalidError
from runtime.store import apps as store
from runtime.store import audit, jobs, packages, runs
from runtime.store.database import Database

__all__ = ["App", "AppService", "Backend"]


class AppService:
    """Finds apps, says what answers for them, wakes them."""

    def __init__(
        self, database: Database, changes: Changes, running: RunningApps, writer: LogWriter, clock: Clock
    ) -> None:
        self._writer = writer
        self._database = database
        self._changes = changes
        self._running = running
        self._clock = clock
        self._known: dict[str, tuple[App, asyncio.Event]] = {}

    async def find(self, slug: str) -> App | None:
        """The app of this name, archived ones too; None if there is none."""
        known = self._known.get(slug)
        if known is not None and not known[1].is_set():
            return known[0]
        self._known.pop(slug, None)
        unchanged = self._changes.event(TIMERS)  # set by the next deploy
        async with self._database.read() as connection:
            app = await store.find_app(connection, slug)
        if app is not None:
            self._known[slug] = (app, unchanged)
        return app

    async def of_link(self, secret: UUID) -> App | None:
        """The app that a public link's secret opens; None if it opens nothing (any more)."""
        async with self._database.read() as connection:
            return await store.app_of_link(connection, secret)

    async def backend(self, app: App) -> Backend | None:
        """What answers for the app; None unless one of its runs is `running`."""
        return self._running.of_job(app.job_id)

    async def wake(self, app: App, user_id: UUID | None) -> Run:
        """The app's active run, or a new one that a visit starts (semantics S4).

        Args:
            user_id: Who visits; None for whoever holds a public link.

        Raises:
            ConflictError: its job is archived, nothing has been deployed, or a gate holds it back.
            InvalidError: the job is no longer interactive.
        """
        async with self._database.read() as connection:
            active = await active_app_run(connection, app.job_id)
        if active is not None:
            return active
        async with self._database.transaction() as connection:
            job = await find_startable(connection, app.workspace_id, str(app.job_id))
            if not is_app(job.version.definition):
                raise InvalidError(f"`{job.job_ref}` is no interactive job any more", code="job_not_interactive")
            run, why_not = await start_app(connection, job, user_id, self._clock())
            if run is None:
                raise ConflictError(f"`{job.job_ref}` does not start: {why_not}", code="app_not_started")
            await audit.record(
                connection,
                at=self._clock(),
                user_id=user_id,
                workspace_id=job.workspace_id,
                action="app.wake",
                subject=job.job_ref,
                detail={"run": str(run.id)},
            )
        self._changes.announce(app.workspace_id, PENDING_RUNS)
        return run

    def using(self, run_id: UUID) -> AbstractContextManager[None]:
        """One request or WebSocket is under way meanwhile: the run is not idle (semantics S4)."""
        return self._running.using(run_id)

    def tell(self, run_id: UUID, kind: str, words: str) -> None:
        """Say in the app's log what its visitors get instead of an answer; not more than once a minute of each kind."""
        if self._running.is_news(run_id, kind):
            self._writer.append(run_id, "setup", words.splitlines())

    async def latest(self, app: App) -> Run | None:
        """The newest run of the app that was begun or waits to be: it says why the app does not answer."""
        async with self._database.read() as connection:
            return next(iter(await runs.latest_begun_runs(connection, app.job_id, 1)), None)

    async def failure(self, app: App) -> Run | None:
        """The app's newest run, if visits start no other since it has failed and the next would, too."""
        current = await self._current_runs(app)
        return current[0] if holds_back(current, self._clock()) else None

    async def cancelled(self, app: App) -> Run | None:
        """The app's newest run, if somebody has cancelled it; one that something newer has replaced is none."""
        return next((run for run in (await self._current_runs(app))[:1] if run.status == "cancelled"), None)

    async def _current_runs(self, app: App) -> Sequence[Run]:
        """The newest runs of the app, newest first, down to the first that is outdated."""
        async with self._database.read() as connection:
            newest = await runs.latest_begun_runs(connection, app.job_id, MOST_CRASHES)
            job = require(await jobs.find_job(connection, app.workspace_id, app.job_id), "the app's job is gone")
            deployment = await packages.latest_deployment(connection, app.workspace_id)
            configuration = await packages.latest_configuration(connection, app.workspace_id)
        return list(takewhile(lambda run: outdated_reason(run, job, deployment, configuration) is None, newest))

    async def version_of(self, run: Run) -> int:
        """The version of the code that a run shows."""
        async with self._database.read() as connection:
            deployment = await packages.find_deployment(connection, run.workspace_id, run.deployment_id)
        return require(deployment, "the run's deployment is gone").version
