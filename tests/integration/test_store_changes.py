"""The triggers that number changes and count what has ended."""

import asyncio
import contextlib

from runtime.domain.runs import Run
from runtime.store import changes, jobs, logs, runs, schedules, statistics
from runtime.store.database import Connection, Database
from tests.factories import NOW
from tests.stored import World, store_world


async def numbers(connection: Connection, world: World) -> dict[str, int]:
    found = await changes.changes_after(connection, world.workspace.id, 0, 1000)
    return {f"{one.kind}:{one.subject_id}": one.seq for one in found}


async def test_every_kind_of_thing_is_numbered_when_it_comes_and_when_it_changes(database: Database) -> None:
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        run = await world.run(connection, job)
        before = await numbers(connection, world)
        assert {key.partition(":")[0] for key in before} == {
            "workspace",
            "deployment",
            "configuration",
            "job",
            "run",
        }
        await runs.save_run(connection, run.model_copy(update={"status": "starting"}))
        await schedules.add_timer(connection, job.id, "every:5m", NOW)
        after = await numbers(connection, world)
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {f"run:{run.id}", f"job:{job.id}"}
    assert min(after[key] for key in changed) > max(before.values())


async def test_numbers_are_never_used_twice(database: Database) -> None:
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        last = await changes.last_change(connection, world.workspace.id)
        await connection.execute("DELETE FROM changes")
        await jobs.set_archived(connection, job.model_copy(update={"archived_at": NOW}))
        assert await changes.last_change(connection, world.workspace.id) > last


async def test_a_transaction_that_is_undone_changes_nothing(database: Database) -> None:
    world = await store_world(database)
    async with database.read() as connection:
        before = await numbers(connection, world)
    with contextlib.suppress(asyncio.CancelledError):
        async with database.transaction() as connection:
            await world.job(connection)
            raise asyncio.CancelledError
    async with database.read() as connection:
        assert await numbers(connection, world) == before


async def test_deleting_a_job_leaves_word_of_it_and_of_its_runs(database: Database) -> None:
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        run = await world.run(connection, job, status="failed")
        await schedules.add_timer(connection, job.id, "every:5m", NOW)
        position = await changes.last_change(connection, world.workspace.id)
        await connection.execute("DELETE FROM runs")
        await connection.execute("DELETE FROM jobs")
        told = await changes.changes_after(connection, world.workspace.id, position, 10)
    assert {one.subject_id for one in told} == {job.id, run.id}


async def test_workspaces_do_not_see_each_others_changes(database: Database) -> None:
    one, other = await store_world(database, "one"), await store_world(database, "other")
    async with database.transaction() as connection:
        before = await changes.last_change(connection, one.workspace.id)
        run = await other.run(connection, await other.job(connection))
        assert await changes.last_change(connection, one.workspace.id) == before
        assert await changes.last_change_of_run(connection, one.workspace.id, run.id) == 0
        assert await changes.last_change_of_run(connection, other.workspace.id, run.id) > before


async def test_runs_are_counted_once_when_they_end(database: Database) -> None:
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)

        async def run(status: str, seconds: float | None) -> Run:
            made = await world.run(connection, job)
            started = None if seconds is None else NOW
            ended = NOW if seconds is None else NOW.replace(microsecond=int(seconds * 1e6))
            fields = {"status": status, "started_at": started, "ended_at": ended}
            ended_run = made.model_copy(update=fields)
            await runs.save_run(connection, ended_run)
            await runs.save_run(connection, ended_run.model_copy(update={"reason": "said later"}))
            return ended_run

        await run("completed", 0.25)
        await run("completed", 0.5)
        await run("cancelled", None)
        skipped = await world.run(connection, job, status="skipped", ended_at=NOW)
        await runs.save_skip(connection, skipped.model_copy(update={"skip_count": 2}))
        totals = {
            (one.status, one.at_most): (one.runs, one.seconds) for one in await statistics.ended_totals(connection)
        }
    assert totals == {("completed", 1): (2, 0.75), ("cancelled", 0): (1, 0.0), ("skipped", 0): (1, 0.0)}


async def test_log_lines_are_counted_as_they_are_stored(database: Database) -> None:
    world = await store_world(database)
    async with database.transaction() as connection:
        run = await world.run(connection, await world.job(connection))
        for lines in (["one", "two"], ["three"]):
            await logs.append_lines(connection, run.id, "program", NOW, lines)
        assert await statistics.stored_lines(connection) == 3
