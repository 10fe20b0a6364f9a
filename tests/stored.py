"""A workspace in a store, and values that belong to it."""

from dataclasses import dataclass
from typing import Any

from runtime.domain.identities import User, Workspace
from runtime.domain.jobs import Job, JobDefinition
from runtime.domain.packages import Configuration, Deployment
from runtime.domain.runs import Run
from runtime.store import identities, jobs, packages, runs, workspaces
from runtime.store.database import Connection, Database
from tests.factories import make_configuration, make_deployment, make_job, make_run, make_user, make_workspace

_REQUIREMENTS = '{"engine_version": 1, "python_version": "3.12", "groups": {"main": []}}'


@dataclass(frozen=True)
class World:
    """A user, a workspace, and a first version of its code and settings; all of it is stored."""

    user: User
    workspace: Workspace
    deployment: Deployment
    configuration: Configuration

    async def job(self, connection: Connection, definition: JobDefinition | None = None, **changes: Any) -> Job:
        """A stored job."""
        owned = {"workspace_id": self.workspace.id, "created_by": self.user.id}
        job = make_job(definition, **{**owned, **changes})
        await jobs.add_job(connection, job)
        return job

    async def run(self, connection: Connection, job: Job, **changes: Any) -> Run:
        """A stored run of `job`, with the next number unless told otherwise."""
        run = self.make_run(job, **{"number": await runs.next_number(connection, job.id), **changes})
        await runs.add_run(connection, run)
        return run

    def make_run(self, job: Job, **changes: Any) -> Run:
        """A run of `job` that is not stored."""
        pinned = {"deployment_id": self.deployment.id, "configuration_id": self.configuration.id}
        return make_run(job, **{**pinned, **changes})


async def store_world(database: Database, name: str = "fruitshop") -> World:
    """Store one more world; worlds share nothing."""
    user, workspace = make_user(f"{name}@example.org"), make_workspace(name)
    owned = {"workspace_id": workspace.id, "created_by": user.id}
    world = World(user, workspace, make_deployment(**owned), make_configuration(**owned))
    async with database.transaction() as connection:
        await identities.add_user(connection, user)
        await workspaces.add_workspace(connection, workspace)
        await packages.add_deployment(connection, world.deployment, _REQUIREMENTS, [])
        await packages.add_configuration(connection, world.configuration, [])
    return world
