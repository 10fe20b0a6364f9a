"""Jobs in the store: versions, archive, look-ups, constraints."""

from datetime import timedelta
from uuid import uuid4

import pytest

from runtime.domain.jobs import Job, JobDefinition, hash_definition
from runtime.errors import StoreError
from runtime.store import jobs, runs, workspaces
from runtime.store.database import Connection, Database
from tests.factories import NOW, make_definition, make_job
from tests.stored import store_world

LATER = NOW + timedelta(hours=1)


def succeeded(job: Job, definition: JobDefinition) -> Job:
    """The job with its next version, alive."""
    version = job.version.model_copy(
        update={
            "id": uuid4(),
            "version": job.version.version + 1,
            "definition": definition,
            "definition_hash": hash_definition(definition.raw),
            "created_at": LATER,
        }
    )
    return job.model_copy(update={"version": version, "archived_at": None, "updated_at": LATER})


async def test_a_job_comes_back_as_it_was_stored(database: Database) -> None:
    """Semantics J5: unknown fields, any script and every number included."""
    world = await store_world(database)
    definition = make_definition(
        description="Früchte 🍎\u2028", colour={"rgb": [0.1, 1e-9, 2**60]}, triggers=["every:5m"]
    )
    async with database.transaction() as connection:
        job = await world.job(connection, definition, deployment_module=None)
    async with database.read() as connection:
        for which in (job.id, job.job_ref):
            assert await jobs.find_job(connection, world.workspace.id, which) == job
        assert await jobs.all_jobs(connection, world.workspace.id) == [job]
        assert await jobs.jobs_by_id(connection, [job.id, uuid4()]) == {job.id: job}
        assert await jobs.jobs_by_id(connection, []) == {}
        for nothing in (uuid4(), "jobs.other"):
            assert await jobs.find_job(connection, world.workspace.id, nothing) is None
            assert await jobs.find_job(connection, uuid4(), nothing) is None


async def test_a_new_version_becomes_current_and_the_old_one_stays(database: Database) -> None:
    """Semantics J3, J4: runs that pinned the old one still find it."""
    world = await store_world(database)
    async with database.transaction() as connection:
        first = await world.job(connection)
        second = succeeded(first, make_definition(description="new"))
        await jobs.update_job(connection, second)
    async with database.read() as connection:
        assert await jobs.find_job(connection, world.workspace.id, first.id) == second
        assert await jobs.find_version(connection, first.id, 1) == first.version
        assert await jobs.find_version(connection, first.id, first.version.id) == first.version
        assert await jobs.find_version(connection, first.id, 3) is None
        assert await jobs.find_version(connection, uuid4(), first.version.id) is None
        page = await jobs.list_versions(connection, first, limit=1, offset=0)
        assert (page.items, page.total) == ([second.version], 2)
        assert (await jobs.list_versions(connection, first, limit=1, offset=1)).items == [first.version]


async def test_an_archived_job_keeps_its_runs_and_comes_back_by_a_new_version(database: Database) -> None:
    """Semantics J3."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        run = await world.run(connection, job)
        archived = job.model_copy(update={"archived_at": LATER, "updated_at": LATER})
        await jobs.set_archived(connection, archived)
        assert await jobs.find_job(connection, world.workspace.id, job.id) == archived
        back = succeeded(archived, job.version.definition)
        await jobs.update_job(connection, back)
        assert await jobs.find_job(connection, world.workspace.id, job.id) == back
        assert await runs.find_run(connection, run.id) == run
        assert await runs.next_number(connection, job.id) == 2


async def test_lists_are_by_reference_filtered_and_paged(database: Database) -> None:
    """Contract: by type, archived or not, and a total that does not depend on the page."""
    world, other = await store_world(database, "one"), await store_world(database, "other")

    async def refs(connection: Connection, **wanted: object) -> tuple[list[str], int]:
        everything: dict[str, object] = {"job_type": None, "archived": None, "limit": 10, "offset": 0}
        page = await jobs.list_jobs(connection, world.workspace.id, **{**everything, **wanted})  # type: ignore[arg-type]
        return [job.job_ref for job in page.items], page.total

    async with database.transaction() as connection:
        await other.job(connection, make_definition("jobs.a"))
        await world.job(connection, make_definition("jobs.c", job_type="stream"))
        await world.job(connection, make_definition("jobs.a"))
        await world.job(connection, make_definition("jobs.b"), archived_at=NOW)
    async with database.read() as connection:
        assert await refs(connection) == (["jobs.a", "jobs.b", "jobs.c"], 3)
        assert await refs(connection, limit=1, offset=1) == (["jobs.b"], 3)
        assert await refs(connection, job_type="batch") == (["jobs.a", "jobs.b"], 2)
        assert await refs(connection, archived=True) == (["jobs.b"], 1)
        assert await refs(connection, archived=False) == (["jobs.a", "jobs.c"], 2)
        assert await refs(connection, archived=False, job_type="stream") == (["jobs.c"], 1)
        assert await refs(connection, offset=9) == ([], 3)
        counts = await workspaces.count_all(connection)
    assert (counts.users, counts.workspaces, counts.jobs, counts.active_runs) == (2, 2, 3, 0)


async def test_a_reference_is_unique_within_its_workspace(database: Database) -> None:
    """Semantics J1."""
    one, other = await store_world(database, "one"), await store_world(database, "other")
    async with database.transaction() as connection:
        await one.job(connection)
        await other.job(connection)
    with pytest.raises(StoreError, match="UNIQUE"):
        async with database.transaction() as connection:
            await one.job(connection)


async def test_a_version_number_is_given_once(database: Database) -> None:
    """Semantics J3: two deploys cannot both make version 2."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
    twice = job.model_copy(update={"version": job.version.model_copy(update={"id": uuid4()})})
    with pytest.raises(StoreError, match="UNIQUE"):
        async with database.transaction() as connection:
            await jobs.update_job(connection, twice)


async def test_a_job_belongs_to_a_workspace_there_is(database: Database) -> None:
    """Store: references are enforced."""
    world = await store_world(database)
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        async with database.transaction() as connection:
            await jobs.add_job(connection, make_job(created_by=world.user.id))


async def test_a_workspace_takes_all_it_holds_along(database: Database) -> None:
    """Store: deleting a workspace leaves no orphan; what others hold stays."""
    doomed, kept = await store_world(database, "doomed"), await store_world(database, "kept")
    async with database.transaction() as connection:
        for world in (doomed, kept):
            await world.run(connection, await world.job(connection))
        await connection.execute("DELETE FROM workspaces WHERE id = ?", (doomed.workspace.id.bytes,))
    async with database.read() as connection:
        for table in ("jobs", "job_versions", "runs", "live_runs", "deployments", "configurations"):
            assert await connection.value(f"SELECT count(*) FROM {table}") == 1, table
        assert await connection.all("PRAGMA foreign_key_check") == []
