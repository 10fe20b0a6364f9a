"""What a clock starts and what follows from it, over a real store and a clock that is moved by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.dispatch.jobs import TriggerInput
from runtime.dispatch.settling import settle
from runtime.dispatch.ticking import Due, Ticker
from runtime.domain.runs import Run, RunEnd
from runtime.errors import InvalidError
from runtime.store import runs as store
from runtime.store import schedules
from tests.factories import make_raw_definition
from tests.house import House

HOURLY = make_raw_definition("jobs.shop.hourly", triggers=["schedule:0 * * * *"])
EVERY = make_raw_definition("jobs.shop.every", triggers=["every:10m"])
GATED = make_raw_definition(
    "jobs.shop.gated", triggers=["schedule:0 * * * *"], freshness=["job.is_fresh:jobs.shop.hourly"]
)
HOUR = 3600.0


class Clockwork:
    """A ticker over a house, and what a person does to its jobs."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ticker = Ticker(house.database, house.changes, house.clock)

    async def look(self) -> int:
        """Look at every trigger that has a tick to come, due or not."""
        return await self.ticker.look(list(await self.ticker.next_ticks()))

    async def pass_and_look(self, seconds: float) -> int:
        self.house.clock.pass_seconds(seconds)
        return await self.look()

    async def end(self, run: Run, status: str = "completed") -> Run:
        async with self.house.database.transaction() as connection:
            started = run.model_copy(update={"status": "running", "started_at": self.house.clock()})
            await store.save_run(connection, started)
            return await settle(connection, started, RunEnd.model_validate({"status": status}), self.house.clock())

    async def runs(self, job_ref: str) -> list[Run]:
        """Of one job, oldest first."""
        return [run for run in reversed(await self.house.all_runs()) if run.job_ref == job_ref]

    async def newest(self, job_ref: str) -> Run:
        return (await self.runs(job_ref))[-1]


@pytest.fixture
def clockwork(house: House) -> Clockwork:
    return Clockwork(house)


def windows(runs: list[Run]) -> list[tuple[datetime | None, datetime | None]]:
    return [(run.interval_start, run.interval_end) for run in runs]


def at(hour: int, minute: int = 0, day: int = 10) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


async def test_a_tick_is_dispatched_once_however_often_anybody_looks(house: House, clockwork: Clockwork) -> None:
    """Semantics T1, D7."""
    await house.ready(HOURLY)
    assert await clockwork.look() == 0
    assert await clockwork.pass_and_look(HOUR) == 1
    due = Due((await house.jobs.get(house.workspace_id, "jobs.shop.hourly")).job.id, "schedule:0 * * * *")
    assert await clockwork.ticker.look([due, due]) == 0
    assert await Ticker(house.database, house.changes, house.clock).look([due]) == 0
    (run,) = await clockwork.runs("jobs.shop.hourly")
    assert (run.scheduled_at, run.trigger, windows([run])) == (at(13), "schedule:0 * * * *", [(at(12), at(13))])


async def test_after_downtime_one_run_covers_all_that_was_missed(house: House, clockwork: Clockwork) -> None:
    """Semantics W5."""
    await house.ready(HOURLY)
    await clockwork.pass_and_look(HOUR)
    await clockwork.end(await clockwork.newest("jobs.shop.hourly"))
    assert await clockwork.pass_and_look(5 * HOUR + 60) == 1
    assert windows([await clockwork.newest("jobs.shop.hourly")]) == [(at(13), at(18))]


async def test_a_period_counts_from_the_deploy_and_from_its_own_ticks(house: House, clockwork: Clockwork) -> None:
    """Semantics T2."""
    await house.ready(EVERY)
    assert await clockwork.pass_and_look(599) == 0
    assert await clockwork.pass_and_look(1) == 1
    await clockwork.end(await clockwork.newest("jobs.shop.every"))
    assert await clockwork.pass_and_look(605) == 1
    ticks = [run.scheduled_at for run in await clockwork.runs("jobs.shop.every")]
    assert ticks == [at(12, 10), at(12, 20)]


async def test_once_fires_once_even_if_its_time_had_passed_and_it_is_deployed_again(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics T3."""
    once = make_raw_definition("jobs.shop.once", triggers=["once:2026-01-01T00:00:00Z"])
    await house.ready(once)
    assert await clockwork.look() == 1
    await clockwork.end(await clockwork.newest("jobs.shop.once"))
    await house.deploy({**once, "description": "again"})
    assert await clockwork.pass_and_look(HOUR) == 0


async def test_nothing_fires_of_archived_and_paused_jobs_and_resuming_gives_one_run(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics D1, T8."""
    await house.ready(HOURLY)
    job = (await house.jobs.get(house.workspace_id, "jobs.shop.hourly")).job
    async with house.database.transaction() as connection:
        await schedules.save_schedule(connection, job.id, schedules.Schedule(paused_at=house.clock()))
    assert await clockwork.pass_and_look(3 * HOUR) == 0
    async with house.database.transaction() as connection:
        await schedules.save_schedule(connection, job.id, schedules.Schedule())
    assert await clockwork.look() == 1
    await house.deploy()
    assert await clockwork.pass_and_look(HOUR) == 0


async def test_an_overridden_schedule_ticks_in_place_of_the_declared_one_until_code_changes_it(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics T8."""
    await house.ready(HOURLY)
    job = (await house.jobs.get(house.workspace_id, "jobs.shop.hourly")).job
    async with house.database.transaction() as connection:
        await schedules.add_timer(connection, job.id, "every:10m", house.clock())
        await schedules.save_schedule(connection, job.id, schedules.Schedule(override="every:10m"))
    assert {due.trigger for due in await clockwork.ticker.next_ticks()} == {"every:10m"}
    await house.deploy({**HOURLY, "description": "the same triggers"})
    assert {due.trigger for due in await clockwork.ticker.next_ticks()} == {"every:10m"}
    changed = {**HOURLY, "triggers": ["schedule:30 * * * *"]}
    planned = await house.deploy(changed, dry_run=True)
    assert planned.plan.warnings == (
        "job `jobs.shop.hourly`: its triggers change, which ends the schedule set by hand, `every:10m`",
    )
    assert (await house.deploy(changed)).plan == planned.plan
    assert {due.trigger for due in await clockwork.ticker.next_ticks()} == {"schedule:30 * * * *"}


async def test_a_tick_while_the_job_is_still_at_it_is_a_skip_and_skips_in_a_row_are_one(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics D5, D7."""
    await house.ready(HOURLY)
    for _ in range(4):
        await clockwork.pass_and_look(HOUR)
    running, skipped = await clockwork.runs("jobs.shop.hourly")
    assert (running.status, skipped.status, skipped.outcome) == ("pending", "skipped", "skipped_concurrency_limit")
    assert (skipped.skip_count, skipped.scheduled_at) == (3, at(16))


async def test_a_gated_job_of_the_same_tick_waits_for_its_upstream_and_runs_when_it_is_done(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics D3."""
    await house.ready(GATED, HOURLY)
    await clockwork.pass_and_look(HOUR)
    (waiting,) = await clockwork.runs("jobs.shop.gated")
    assert (waiting.outcome, waiting.reason) == (
        "skipped_upstream_pending",
        "starts after jobs.shop.hourly, triggered at the same time",
    )
    await clockwork.end(await clockwork.newest("jobs.shop.hourly"))
    started = await clockwork.newest("jobs.shop.gated")
    assert (started.status, started.number) == ("pending", 2)


async def test_a_gated_job_waits_too_when_its_upstreams_tick_is_taken_before_or_after_its_own(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics D3: timers of one second may be looked at one by one."""
    await house.ready(GATED, HOURLY)
    timers = sorted(await clockwork.ticker.next_ticks(), key=lambda due: due.job_id)
    for order in (timers, timers[::-1]):
        house.clock.pass_seconds(HOUR)
        for due in order:
            await clockwork.ticker.look([due])
        assert (await clockwork.newest("jobs.shop.gated")).outcome == "skipped_upstream_pending"
        await clockwork.end(await clockwork.newest("jobs.shop.hourly"))
        started = await clockwork.newest("jobs.shop.gated")
        assert started.status == "pending"
        await clockwork.end(started)


async def test_a_gated_job_gives_up_when_the_upstream_it_waited_for_fails(house: House, clockwork: Clockwork) -> None:
    """Semantics D3, F1."""
    await house.ready(GATED, HOURLY)
    await clockwork.pass_and_look(HOUR)
    await clockwork.end(await clockwork.newest("jobs.shop.hourly"), "failed")
    (again,) = await house.jobs.trigger(house.principal, house.workspace_id, TriggerInput(job_refs=["jobs.shop.gated"]))
    assert again.outcome == "skipped_fresh"
    assert again.reason == "waiting for jobs.shop.hourly: no completed run yet"


async def test_an_interval_is_worked_through_without_gap_or_overlap(house: House, clockwork: Clockwork) -> None:
    """Semantics W2: only success moves the pointer, whichever trigger fired."""
    start = {"interval": {"start": "2026-03-10T08:00:00Z"}}
    await house.ready({**HOURLY, **start})
    await clockwork.pass_and_look(HOUR)
    await clockwork.end(await clockwork.newest("jobs.shop.hourly"), "failed")
    await clockwork.pass_and_look(HOUR)
    await clockwork.end(await clockwork.newest("jobs.shop.hourly"))
    await clockwork.pass_and_look(2 * HOUR)
    runs = await clockwork.runs("jobs.shop.hourly")
    assert windows(runs) == [(at(8), at(13)), (at(8), at(14)), (at(14), at(16))]


async def test_discrete_intervals_follow_each_other_until_none_is_left(house: House, clockwork: Clockwork) -> None:
    """Semantics W3."""
    fields: dict[str, Any] = {"interval": {"start": "2026-03-10T10:00:00Z"}, "allow_external_schedulers": True}
    await house.ready({**HOURLY, **fields})
    await clockwork.pass_and_look(HOUR)
    for _ in range(3):
        await clockwork.end(await clockwork.newest("jobs.shop.hourly"))
    runs = await clockwork.runs("jobs.shop.hourly")
    assert windows(runs) == [(at(10), at(11)), (at(11), at(12)), (at(12), at(13))]
    assert all(run.is_final for run in runs)
    async with house.database.read() as connection:
        assert await schedules.completed_intervals(connection, runs[0].job_id) == [(at(10), at(13))]


async def test_parallel_intervals_run_side_by_side_up_to_the_concurrency(house: House, clockwork: Clockwork) -> None:
    """Semantics W3."""
    fields: dict[str, Any] = {
        "interval": {"start": "2026-03-10T08:00:00Z", "mode": "parallel"},
        "execute": {"concurrency": 3},
    }
    await house.ready({**HOURLY, **fields})
    await clockwork.pass_and_look(HOUR)
    active = [run for run in await clockwork.runs("jobs.shop.hourly") if not run.is_final]
    assert windows(active) == [(at(8), at(9)), (at(9), at(10)), (at(10), at(11))]
    await clockwork.end(active[1])
    assert (await clockwork.newest("jobs.shop.hourly")).interval_start == at(11)


async def test_a_bounded_interval_that_is_done_is_out_of_its_interval(house: House, clockwork: Clockwork) -> None:
    """Semantics D2."""
    bounded = {"interval": {"start": "2026-03-10T10:00:00Z", "end": "2026-03-10T12:00:00Z"}}
    await house.ready({**HOURLY, **bounded})
    await clockwork.pass_and_look(HOUR)
    await clockwork.end(await clockwork.newest("jobs.shop.hourly"))
    await clockwork.pass_and_look(HOUR)
    skipped = await clockwork.newest("jobs.shop.hourly")
    assert (skipped.outcome, skipped.reason) == (
        "skipped_out_of_interval",
        "its interval ended at 2026-03-10 12:00 UTC and is done",
    )


async def test_a_refresh_reaches_all_downstream_and_is_spent_by_the_next_success(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics R1, R2."""
    backfill = make_raw_definition("jobs.shop.backfill", refresh="always", expose={"tags": ["backfill"]})
    ingest = {
        **HOURLY,
        "interval": {"start": "2026-03-10T10:00:00Z"},
        "freshness": ["job.is_fresh:jobs.shop.backfill"],
    }
    await house.ready(backfill, ingest)
    await clockwork.end(await house.launch("jobs.shop.backfill"))
    await clockwork.pass_and_look(HOUR)
    await clockwork.end(await clockwork.newest("jobs.shop.hourly"))

    await clockwork.end(await house.launch("jobs.shop.backfill"))
    await clockwork.pass_and_look(HOUR)
    failed = await clockwork.end(await clockwork.newest("jobs.shop.hourly"), "failed")
    await clockwork.pass_and_look(HOUR)
    spent = await clockwork.end(await clockwork.newest("jobs.shop.hourly"))
    await clockwork.pass_and_look(HOUR)
    plain = await clockwork.newest("jobs.shop.hourly")
    assert [failed.refresh, spent.refresh, plain.refresh] == [True, True, False]
    assert windows([failed, spent, plain]) == [(at(10), at(14)), (at(10), at(15)), (at(15), at(16))]


async def test_a_deployment_trigger_fires_when_code_or_job_changed_and_not_otherwise(
    house: House, clockwork: Clockwork
) -> None:
    """Semantics T6."""
    smoke = make_raw_definition("jobs.shop.smoke", triggers=["deployment:"], execute={"concurrency": None})
    await house.ready(smoke)
    await house.deploy(smoke)
    await house.deploy(smoke, dry_run=True)
    assert len(await clockwork.runs("jobs.shop.smoke")) == 1
    await house.upload_code({"shop.py": b"print('pears')\n"})
    await house.deploy(smoke)
    await house.deploy({**smoke, "description": "new"})
    assert len(await clockwork.runs("jobs.shop.smoke")) == 3


async def test_jobs_that_trigger_each_other_are_refused_with_the_circle_spelled_out(house: House) -> None:
    a = make_raw_definition("jobs.shop.a", triggers=["job.success:jobs.shop.b"])
    b = make_raw_definition("jobs.shop.b", triggers=["job.fail:jobs.shop.a"])
    with pytest.raises(InvalidError, match=r"jobs\.shop\.(a|b) -> jobs\.shop\.(a|b) -> jobs\.shop\.(a|b)"):
        await house.deploy(a, b)


async def test_a_wall_clock_that_steps_back_gives_no_tick_twice(house: House, clockwork: Clockwork) -> None:
    """Semantics T1."""
    await house.ready(HOURLY)
    await clockwork.pass_and_look(HOUR + 60)
    house.clock.pass_seconds(-300)
    assert await clockwork.look() == 0
    assert await clockwork.pass_and_look(300) == 0
    assert house.clock() == at(13, 1)
    assert await clockwork.pass_and_look(timedelta(hours=1).total_seconds()) == 1
