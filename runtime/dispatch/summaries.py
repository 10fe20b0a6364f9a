"""Summaries of pipelines, attached to runs."""

from uuid import UUID

from runtime.dispatch.changes import Changes
from runtime.domain.summaries import PipelineSummary
from runtime.errors import InvalidError, NotFoundError
from runtime.store import runs
from runtime.store import summaries as store
from runtime.store.database import Database

MOST_SUMMARIES = 1000
"""Of one run."""


class SummaryService:
    """Keeps what pipelines say of themselves."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def attach(self, workspace_id: UUID, run_id: UUID, summary: PipelineSummary) -> None:
        """Attach a summary to a run, in place of the same pipeline's before.

        Raises:
            NotFoundError: the workspace has no such run.
            InvalidError: the run has more summaries than anybody reads.
        """
        async with self._database.transaction() as connection:
            run = await runs.find_run(connection, run_id)
            if run is None or run.workspace_id != workspace_id:
                raise NotFoundError(f"there is no run `{run_id}` in this workspace", code="run_not_found")
            present = {one.pipeline_name for one in (await store.summaries_of(connection, [run_id])).get(run_id, ())}
            if summary.pipeline_name not in present and len(present) >= MOST_SUMMARIES:
                raise InvalidError(f"this run has {MOST_SUMMARIES:,} summaries already", code="summaries")
            await store.save_summary(connection, run_id, summary)
        self._changes.announce(run_id, workspace_id)
