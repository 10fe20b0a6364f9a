"""Runs in the store: filters, pages, order, numbers, and what is remembered of live ones."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from runtime.domain.refs import DASHBOARD_JOB_REF
from runtime.domain.runs import ACTIVE_STATUSES, FINAL_STATUSES, RUN_STATUSES, Run
from runtime.errors import StoreError
from runtime.store import runs, schedules
from runtime.store.database import Database
from runtime.store.runs import LiveRun, RunFilter
from tests.factories import NOW, make_definition
from tests.stored import World, store_world

HOUR = timedelta(hours=1)


async def numbers(database: Database, world: World, wanted: RunFilter) -> list[int]:
    async with database.read() as connection:
        page = await runs.list_runs(connection, world.workspace.id, wanted, limit=100, offset=0)
    assert page.total == len(page.items)
    return [run.number for run in page.items]


async def test_a_run_comes_back_as_it_was_stored(database: Database) -> None:
    """Semantics J4, S1: every field, and every field that changes in its life."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        upstream = await world.run(connection, job)
        run = await world.run(
            connection,
            job,
            trigger="job.success:jobs.früh",
            profile="dev",
            refresh=True,
            interval_start=NOW - HOUR,
            interval_end=None,
            prev_run_id=upstream.id,
            triggered_by=world.user.id,
        )
        assert await runs.find_run(connection, run.id) == run
        changed = {"status": "running", "started_at": NOW, "updated_at": NOW + HOUR}
        await runs.save_run(connection, run.model_copy(update=changed))
        assert await runs.find_run(connection, run.id) == run.model_copy(update=changed)
        changed |= {"status": "failed", "exit_code": 137, "reason": "killed 🍏", "ended_at": NOW + HOUR}
        await runs.save_run(connection, run.model_copy(update=changed))
    async with database.read() as connection:
        assert await runs.find_run(connection, run.id) == run.model_copy(update=changed)
        assert await runs.find_run(connection, uuid4()) is None


@pytest.mark.parametrize("status", RUN_STATUSES)
async def test_a_run_is_live_until_it_has_ended(database: Database, status: str) -> None:
    """Semantics S1: only live runs have a live row, and a skipped one is born without."""
    world = await store_world(database)
    async with database.transaction() as connection:
        run = await world.run(connection, await world.job(connection), status=status)
        is_live = await runs.find_live(connection, run.id) is not None
        assert is_live == (status in ACTIVE_STATUSES)
        assert [item.id for item in await runs.active_runs(connection)] == ([run.id] if is_live else [])
        await runs.save_run(connection, run.model_copy(update={"status": "completed"}))
        assert await runs.find_live(connection, run.id) is None


async def test_what_is_known_of_a_live_run(database: Database) -> None:
    """Runner: a process can be found again after a restart; the first reason to stop stands."""
    world = await store_world(database)
    async with database.transaction() as connection:
        run = await world.run(connection, await world.job(connection))
        assert await runs.find_live(connection, run.id) == LiveRun(run_id=run.id)
        await runs.save_process(connection, run.id, 4711, 2**40, "boot", deadline_at=NOW + HOUR)
        await runs.save_stop(connection, run.id, "timeout", NOW)
        await runs.save_stop(connection, run.id, "cancel", NOW + HOUR)
        assert await runs.find_live(connection, run.id) == LiveRun(
            run_id=run.id,
            pid=4711,
            pid_started=2**40,
            boot_id="boot",
            deadline_at=NOW + HOUR,
            stop_reason="timeout",
            stop_at=NOW,
        )


async def test_numbers_count_per_job_from_one(database: Database) -> None:
    """Semantics S1."""
    world = await store_world(database)
    async with database.transaction() as connection:
        one, other = [await world.job(connection, make_definition(ref)) for ref in ("jobs.a", "jobs.b")]
        assert [(await world.run(connection, one)).number for _ in range(3)] == [1, 2, 3]
        assert (await world.run(connection, other, status="skipped")).number == 1
        assert await runs.next_number(connection, other.id) == 2


async def test_a_number_is_given_once(database: Database) -> None:
    """Semantics S1: the store refuses a second run of the same number, and keeps nothing of it."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        await world.run(connection, job, number=1)

    async def add_two() -> None:
        async with database.transaction() as connection:
            await world.run(connection, job, number=2)
            await world.run(connection, job, number=1)

    with pytest.raises(StoreError, match="UNIQUE"):
        await add_two()
    assert await numbers(database, world, RunFilter()) == [1]


async def test_runs_are_listed_newest_first_and_pages_split_them_exactly(database: Database) -> None:
    """Contract: no run twice, none missing, also when many were created at one moment."""
    world = await store_world(database)
    async with database.transaction() as connection:
        jobs = [await world.job(connection, make_definition(f"jobs.job_{letter}")) for letter in "abcdefgh"]
        for moment in range(4):
            for job in jobs:
                await world.run(connection, job, created_at=NOW + moment * HOUR)
    async with database.read() as connection:
        everything = await runs.list_runs(connection, world.workspace.id, RunFilter(), limit=100, offset=0)
        for size in (1, 3, 7, 40):
            paged: list[Run] = []
            for offset in range(0, 40, size):
                page = await runs.list_runs(connection, world.workspace.id, RunFilter(), size, offset)
                assert page.total == 32
                paged += page.items
            assert paged == everything.items
    moments = [run.created_at for run in everything.items]
    assert moments == sorted(moments, reverse=True)
    assert len({run.id for run in everything.items}) == 32


async def test_filters_by_status(database: Database) -> None:
    """Contract: one status, or a kind of end."""
    world = await store_world(database)
    order = sorted(RUN_STATUSES)
    async with database.transaction() as connection:
        job = await world.job(connection)
        for status in order:
            await world.run(connection, job, status=status)
    number = {status: index for index, status in enumerate(order, start=1)}
    for status in RUN_STATUSES:
        assert await numbers(database, world, RunFilter(status=status)) == [number[status]]
    assert await numbers(database, world, RunFilter(status_filter="succeeded")) == [number["completed"]]
    assert await numbers(database, world, RunFilter(status_filter="failed")) == [number["failed"]]
    assert await numbers(database, world, RunFilter(status_filter="cancelled")) == [number["cancelled"]]
    others = (ACTIVE_STATUSES | FINAL_STATUSES) - {"completed", "failed", "cancelled"}
    assert set(await numbers(database, world, RunFilter(status_filter="other"))) == {number[one] for one in others}
    assert await numbers(database, world, RunFilter(status="failed", status_filter="succeeded")) == []


async def test_filters_by_time_are_half_open(database: Database) -> None:
    """Contract: `[start, end)` over the creation time, to the microsecond."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        for hours in range(4):
            await world.run(connection, job, created_at=NOW + hours * HOUR)
    tick = timedelta(microseconds=1)
    assert await numbers(database, world, RunFilter(start=NOW + HOUR)) == [4, 3, 2]
    assert await numbers(database, world, RunFilter(start=NOW + HOUR + tick)) == [4, 3]
    assert await numbers(database, world, RunFilter(end=NOW + HOUR)) == [1]
    assert await numbers(database, world, RunFilter(start=NOW + HOUR, end=NOW + 2 * HOUR + tick)) == [3, 2]
    assert await numbers(database, world, RunFilter(start=NOW + HOUR, end=NOW + HOUR)) == []


async def test_filters_by_job_and_type(database: Database) -> None:
    """Semantics J4: the type is that of the pinned version, not of the newest."""
    world = await store_world(database)
    async with database.transaction() as connection:
        batch = await world.job(connection, make_definition("jobs.a"))
        stream = await world.job(connection, make_definition("jobs.b", job_type="stream"))
        await world.run(connection, batch, number=1)
        await world.run(connection, stream, number=2)
    assert await numbers(database, world, RunFilter(job_id=batch.id)) == [1]
    assert await numbers(database, world, RunFilter(job_type="stream")) == [2]
    assert await numbers(database, world, RunFilter(job_type="interactive")) == []


async def test_a_filter_by_cause_finds_what_a_run_has_started(database: Database) -> None:
    """However old; nothing of other runs."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        cause, other = await world.run(connection, job, number=1), await world.run(connection, job, number=2)
        for number, run in ((3, cause), (4, other), (5, cause)):
            await world.run(connection, job, number=number, prev_run_id=run.id, created_at=NOW + number * HOUR)
    assert await numbers(database, world, RunFilter(prev_run_id=cause.id)) == [5, 3]
    assert await numbers(database, world, RunFilter(prev_run_id=cause.id, job_id=job.id)) == [5, 3]
    assert await numbers(database, world, RunFilter(prev_run_id=cause.id, status="failed")) == []
    assert await numbers(database, await store_world(database, "other"), RunFilter(prev_run_id=cause.id)) == []


async def test_the_dashboards_runs_show_only_when_asked_for(database: Database) -> None:
    """Contract: `include_system`, or the dashboard itself."""
    world = await store_world(database)
    async with database.transaction() as connection:
        dashboard = await world.job(connection, make_definition(DASHBOARD_JOB_REF, job_type="interactive"))
        await world.run(connection, dashboard, number=1)
        await world.run(connection, await world.job(connection), number=2, created_at=NOW + HOUR)
    assert await numbers(database, world, RunFilter()) == [2]
    assert await numbers(database, world, RunFilter(include_system=True)) == [2, 1]
    assert await numbers(database, world, RunFilter(job_id=dashboard.id)) == [1]


async def test_workspaces_see_only_their_own_runs(database: Database) -> None:
    """Identity: a workspace is apart from every other."""
    one, other = await store_world(database, "one"), await store_world(database, "other")
    async with database.transaction() as connection:
        run = await one.run(connection, await one.job(connection))
    assert await numbers(database, other, RunFilter(include_system=True)) == []
    async with database.read() as connection:
        assert await runs.latest_run(connection, other.workspace.id, None) is None
        assert await runs.latest_run(connection, other.workspace.id, run.job_id) is None
        assert await runs.latest_runs(connection, other.workspace.id, [run.job_id]) == {}


async def test_the_newest_run_of_a_workspace_and_of_each_job(database: Database) -> None:
    """Contract: `latest` is by creation."""
    world = await store_world(database)
    async with database.transaction() as connection:
        one, other = [await world.job(connection, make_definition(ref)) for ref in ("jobs.a", "jobs.b")]
        await world.run(connection, one)
        newest = await world.run(connection, one, created_at=NOW + HOUR)
        last_of_other = await world.run(connection, other)
    async with database.read() as connection:
        assert await runs.latest_run(connection, world.workspace.id, None) == newest
        assert await runs.latest_run(connection, world.workspace.id, other.id) == last_of_other
        found = await runs.latest_runs(connection, world.workspace.id, [one.id, other.id])
        assert found == {one.id: newest, other.id: last_of_other}
        assert await runs.latest_runs(connection, world.workspace.id, [other.id]) == {other.id: last_of_other}
        assert await runs.latest_runs(connection, world.workspace.id, []) == {}


async def test_active_runs_come_oldest_first(database: Database) -> None:
    """Semantics D6."""
    world = await store_world(database)
    async with database.transaction() as connection:
        one, other = [await world.job(connection, make_definition(ref)) for ref in ("jobs.a", "jobs.b")]
        late = await world.run(connection, one, created_at=NOW + HOUR)
        early = await world.run(connection, other, created_at=NOW)
        await world.run(connection, one, status="completed")
        assert [run.id for run in await runs.active_runs(connection)] == [early.id, late.id]
        assert [run.id for run in await runs.active_runs(connection, one.id)] == [late.id]


@pytest.mark.parametrize("first", [NOW, datetime(1960, 1, 1, tzinfo=UTC)])
async def test_the_end_of_completed_windows_moves_forward_only(database: Database, first: datetime) -> None:
    """Semantics W1: runs may settle in another order than they began; years before 1970 count as well."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
        assert await schedules.completed_until(connection, job.id) is None
        for until, expected in ((first, first), (first + HOUR, first + HOUR), (first - HOUR, first + HOUR)):
            await schedules.set_completed_until(connection, job.id, until)
            assert await schedules.completed_until(connection, job.id) == expected


@pytest.mark.parametrize("field", ["job_id", "job_version_id", "deployment_id", "configuration_id", "prev_run_id"])
async def test_a_run_pins_only_what_there_is(database: Database, field: str) -> None:
    """Semantics J4: the store refuses a reference that leads nowhere."""
    world = await store_world(database)
    async with database.transaction() as connection:
        job = await world.job(connection)
    nowhere: dict[str, UUID] = {field: uuid4()}
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        async with database.transaction() as connection:
            await runs.add_run(connection, world.make_run(job, **nowhere))
