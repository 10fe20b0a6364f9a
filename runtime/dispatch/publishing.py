"""Public links of interactive jobs.

A link exists, shows in the job and can be revoked; serving apps through it is the proxy's matter.
"""

from uuid import UUID, uuid4

from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import find_job, find_startable
from runtime.domain.identities import Principal
from runtime.domain.jobs import Job
from runtime.errors import InvalidError
from runtime.store import audit
from runtime.store import public_links as store
from runtime.store.database import Connection, Database


class PublishingService:
    """Makes and revokes public links."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def publish(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> None:
        """Give a job a link; the one it had before ends.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is archived.
            InvalidError: it is not interactive.
        """
        async with self._database.transaction() as connection:
            job = await find_startable(connection, workspace_id, id_or_ref)
            if job.version.definition.entry_point.job_type != "interactive":
                raise InvalidError(
                    f"`{job.job_ref}` is no interactive job, so there is nothing to visit", code="job_not_interactive"
                )
            await store.save_link(connection, job.id, uuid4(), principal.user.id, self._clock())
            await self._note(connection, principal, job, "job.publish")
        self._changes.announce(workspace_id)

    async def unpublish(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> None:
        """Take a job's link away; twice changes nothing.

        Raises:
            NotFoundError: there is no such job.
        """
        async with self._database.transaction() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            if await store.delete_link(connection, job.id):
                await self._note(connection, principal, job, "job.unpublish")
        self._changes.announce(workspace_id)

    async def secrets(self, workspace_id: UUID) -> dict[UUID, UUID]:
        """The secrets of a workspace's links, by job."""
        async with self._database.read() as connection:
            return await store.links_of(connection, workspace_id)

    async def _note(self, connection: Connection, principal: Principal, job: Job, action: str) -> None:
        await audit.record(
            connection,
            at=self._clock(),
            user_id=principal.user.id,
            workspace_id=job.workspace_id,
            action=action,
            subject=job.job_ref,
        )
