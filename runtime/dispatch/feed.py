"""What changes in a workspace, for those who follow it and those who ask whether anything has.

The store is the truth: it numbers changes in the transaction that makes them. Announcements only say when to look, so
one that gets lost costs a moment and nothing else, and a follower that reads slowly holds nothing but its place.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import JobService, JobView
from runtime.dispatch.readers import may_look, wait_for_news
from runtime.dispatch.runs import RunService, RunView
from runtime.domain.identities import Principal, Workspace
from runtime.domain.packages import Configuration, Deployment
from runtime.errors import UnavailableError
from runtime.store import changes as store
from runtime.store import packages, workspaces
from runtime.store.changes import Change, ChangeKind
from runtime.store.database import Database

_AT_ONCE = 100

Subject = RunView | JobView | Deployment | Configuration | Workspace


@dataclass(frozen=True)
class Update:
    """One thing as it is now; `subject` is None once it has been deleted."""

    change: Change
    subject: Subject | None


class FeedService:
    """Follows workspaces."""

    def __init__(self, database: Database, changes: Changes, jobs: JobService, runs: RunService, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._jobs = jobs
        self._runs = runs
        self._clock = clock

    def wake(self, workspace_id: UUID) -> None:
        """Have the followers of a workspace look."""
        self._changes.announce(workspace_id)

    async def watermark(self, workspace_id: UUID) -> datetime | None:
        """When anything in the workspace last changed."""
        async with self._database.read() as connection:
            return await store.watermark(connection, workspace_id)

    async def version(self, workspace_id: UUID, kinds: Sequence[ChangeKind]) -> int:
        """A number that moves with every change of things of these kinds, in one workspace."""
        async with self._database.read() as connection:
            return max([await store.last_change_of_kind(connection, workspace_id, kind) for kind in kinds])

    async def run_version(self, workspace_id: UUID, run_id: UUID) -> int:
        """A number that moves with every change of a run or its job; 0 if the workspace has no such run."""
        async with self._database.read() as connection:
            return await store.last_change_of_run(connection, workspace_id, run_id)

    async def position(self, workspace_id: UUID) -> int:
        """The number of the newest change: who follows from here on gets those to come."""
        async with self._database.read() as connection:
            return await store.last_change(connection, workspace_id)

    async def follow(self, principal: Principal, workspace_id: UUID, after: int) -> AsyncIterator[Sequence[Update]]:
        """What has changed since number `after` and then what changes, in batches, each thing as it is when it is read.

        Ends when the principal may not look any more: no member, disabled, or with a token or login that has ended.

        Raises:
            UnavailableError: the daemon is about to end.
        """
        seen = after
        while True:
            event = self._changes.event(workspace_id)
            async with self._database.read() as connection:
                if not await may_look(connection, principal, workspace_id, self._clock()):
                    return
                changes = await store.changes_after(connection, workspace_id, seen, _AT_ONCE)
            if changes:
                yield await self._updates(workspace_id, changes)
                seen = changes[-1].seq
            elif self._changes.is_closed:
                raise UnavailableError("the runtime is being stopped", code="stopping")
            else:
                await wait_for_news(event)

    async def _updates(self, workspace_id: UUID, changes: Sequence[Change]) -> Sequence[Update]:
        wanted = {kind: [one.subject_id for one in changes if one.kind == kind] for kind in _KINDS}
        subjects: dict[UUID, Subject] = {}
        if wanted["run"]:
            subjects |= {view.run.id: view for view in await self._runs.several(workspace_id, wanted["run"])}
        if wanted["job"]:
            subjects |= {view.job.id: view for view in await self._jobs.several(workspace_id, wanted["job"])}
        subjects |= await self._others(workspace_id, wanted)
        return [Update(change, subjects.get(change.subject_id)) for change in changes]

    async def _others(self, workspace_id: UUID, wanted: Mapping[ChangeKind, Sequence[UUID]]) -> dict[UUID, Subject]:
        found: dict[UUID, Subject | None] = {}
        async with self._database.read() as connection:
            for subject_id in wanted["deployment"]:
                found[subject_id] = await packages.find_deployment(connection, workspace_id, subject_id)
            for subject_id in wanted["configuration"]:
                found[subject_id] = await packages.find_configuration(connection, workspace_id, subject_id)
            for subject_id in wanted["workspace"]:
                found[subject_id] = await workspaces.find_workspace(connection, subject_id)
        return {subject_id: subject for subject_id, subject in found.items() if subject is not None}


_KINDS: tuple[ChangeKind, ...] = ("workspace", "deployment", "configuration", "job", "run")
