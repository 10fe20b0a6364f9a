"""What runs have to tell of their pipelines: read from their report directories, kept, and shown.

A launcher writes the reports inside the sandbox (`runtime/launchers/report.py`); they are read while the run goes on
and, for the last time, in the transaction that settles it. A pipeline that was killed has left a report of how far it
had come.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.report_files import last_change, read_reports
from runtime.domain.lineage import Lineage, trace_lineage
from runtime.domain.pipelines import (
    Load,
    Pipeline,
    PipelineReport,
    Table,
    cut_off,
    merge_reports,
    summary_of,
    without_running,
)
from runtime.domain.runs import Run
from runtime.errors import JobRuntimeError, NotFoundError
from runtime.store import pipelines as store
from runtime.store import summaries
from runtime.store.database import Connection, Database
from runtime.store.jobs import all_jobs

log = structlog.get_logger()

REPORT_DIRECTORY = "report"
"""Of a run's place on this machine."""
REPORT_PLACE = "/run/report"
"""Where the run finds it."""

_LOOK_SECONDS = 15.0
_LOADS_SHOWN = 100


@dataclass(frozen=True)
class PipelineView:
    """A pipeline with its tables and its newest loads, newest first, and the runs that made them."""

    pipeline: Pipeline
    tables: Sequence[Table]
    loads: Sequence[tuple[UUID, Load]]


class InsightService:
    """Pipelines as the jobs of a workspace know them."""

    def __init__(self, database: Database, changes: Changes, state_dir: Path, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._runs = state_dir / "runs"
        self._clock = clock

    async def read(self, run_id: UUID) -> tuple[PipelineReport, ...]:
        """What the run has reported up to now, one report for each pipeline; nothing makes this fail."""
        reports, refused = await asyncio.to_thread(read_reports, self._runs / str(run_id) / REPORT_DIRECTORY)
        if refused:
            log.warning("a run left what is no report", action="insight.read", run_id=str(run_id), files=refused)
        return merge_reports(reports)

    async def save(self, connection: Connection, run: Run, reports: Sequence[PipelineReport]) -> None:
        """Store reports as the run's summaries and as the newest state of the pipelines.

        What still runs by them has been cut off: whoever stores reports of a run that goes on leaves that out.
        """
        for report in map(cut_off, reports):
            await summaries.save_summary(connection, run.id, summary_of(report))
            await store.save_report(connection, run.workspace_id, run.id, run.profile, report, self._clock())

    async def follow(self, run: Run) -> None:
        """Store what a run reports while it goes on, until cancelled."""
        place = self._runs / str(run.id) / REPORT_DIRECTORY
        seen: int | None = None  # an earlier daemon may have ended before it looked
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            changed = await asyncio.to_thread(last_change, place)
            if changed == seen:
                continue
            seen = changed
            reports = without_running(await self.read(run.id))
            if not reports:
                continue
            try:
                async with self._database.transaction() as connection:
                    await self.save(connection, run, reports)
            except JobRuntimeError as error:
                log.warning("reports were not stored", action="insight.save", run_id=str(run.id), error=error.message)
            else:
                self._changes.announce(run.id, run.workspace_id)

    async def list(self, workspace_id: UUID, profile: str | None = None) -> tuple[Pipeline, ...]:
        """The pipelines of a workspace, the last heard of first; of all profiles, or of one."""
        async with self._database.read() as connection:
            return await store.pipelines_of(connection, workspace_id, profile)

    async def lineage(self, workspace_id: UUID) -> Lineage:
        """Where the data of a workspace comes from."""
        async with self._database.read() as connection:
            jobs = [job for job in await all_jobs(connection, workspace_id) if job.archived_at is None]
            loaded = await store.loaded_by(connection, workspace_id)
        return trace_lineage([job.version.definition for job in jobs], loaded)

    async def get(self, workspace_id: UUID, name: str, profile: str | None = None) -> PipelineView:
        """One pipeline; without a profile, of the one where it ran last.

        Raises:
            NotFoundError: no run has reported of it.
        """
        async with self._database.read() as connection:
            found = await store.find_pipeline(connection, workspace_id, name, profile)
            if found is None:
                where = f" with the profile `{profile}`" if profile else ""
                raise NotFoundError(f"no run has reported of a pipeline `{name}`{where}", code="pipeline_not_found")
            pipeline, tables, key = found
            return PipelineView(pipeline, tables, await store.loads_of(connection, key, _LOADS_SHOWN))
