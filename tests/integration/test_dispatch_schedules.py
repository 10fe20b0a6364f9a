"""Pausing, resuming, overriding and explaining schedules, over a real store and without processes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.dispatch.changes import TIMERS
from runtime.dispatch.schedules import ScheduleView
from runtime.errors import ConflictError, InvalidError
from tests.factories import NOW, make_raw_definition
from tests.house import House

REF = "jobs.shop.load"
HOURLY = make_raw_definition(triggers=["schedule:0 * * * *"])
HOUR = 3600


async def override(house: House, trigger: str, ref: str = REF) -> ScheduleView:
    return await house.schedules.override(house.principal, house.workspace_id, ref, trigger)


async def pause(house: House, ref: str = REF) -> ScheduleView:
    return await house.schedules.pause(house.principal, house.workspace_id, ref)


async def resume(house: House, ref: str = REF) -> ScheduleView:
    return await house.schedules.resume(house.principal, house.workspace_id, ref)


async def revert(house: House, ref: str = REF) -> ScheduleView:
    return await house.schedules.revert(house.principal, house.workspace_id, ref)


async def schedule(house: House, ref: str = REF) -> ScheduleView:
    return await house.schedules.get(house.workspace_id, ref)


async def audited(house: House) -> list[str]:
    async with house.database.read() as connection:
        return [row["action"] for row in await connection.all("SELECT action FROM audit_log ORDER BY id")]


async def test_a_paused_job_is_not_started_by_the_clock_and_has_no_next_tick(house: House) -> None:
    """Semantics T8, D1."""
    await house.ready(HOURLY)
    event = house.changes.event(TIMERS)
    paused = await pause(house)
    assert event.is_set()
    assert (paused.next_ticks, paused.would_run) == ((), False)
    assert paused.words == "every hour, paused"
    assert paused.explanation == "paused since 2026-03-10 12:00 UTC: no clock starts it until it is resumed"
    house.clock.pass_seconds(5 * HOUR)
    assert await house.tick() == 0
    assert await house.all_runs() == []


async def test_a_paused_job_is_still_started_by_hand(house: House) -> None:
    """Semantics T8."""
    await house.ready(HOURLY)
    await pause(house)
    assert (await house.launch()).status == "pending"


async def test_one_run_makes_up_for_a_pause(house: House) -> None:
    """Semantics T8, W5."""
    await house.ready(HOURLY)
    house.clock.pass_seconds(HOUR)
    await house.tick()
    (first,) = await house.all_runs()
    await house.end(first)
    await pause(house)
    house.clock.pass_seconds(3 * HOUR + 60)
    await resume(house)
    assert await house.tick() == 1
    (missed, _) = await house.all_runs()
    assert (missed.interval_start, missed.interval_end) == (first.interval_end, NOW + timedelta(hours=4))


async def test_pausing_and_resuming_twice_changes_nothing(house: House) -> None:
    """Semantics T8."""
    await house.ready(HOURLY)
    first = await pause(house)
    house.clock.pass_seconds(60)
    assert (await pause(house)).schedule == first.schedule
    await resume(house)
    assert (await resume(house)).schedule.paused_at is None
    assert [action for action in await audited(house) if action.startswith("schedule")] == [
        "schedule.pause",
        "schedule.resume",
    ]


@pytest.mark.parametrize("change", [pause, resume])
async def test_a_job_that_no_clock_starts_can_be_neither_paused_nor_resumed(house: House, change: Any) -> None:
    """Semantics T8."""
    await house.ready(
        make_raw_definition(triggers=["job.success:jobs.shop.other"]), make_raw_definition("jobs.shop.other")
    )
    with pytest.raises(ConflictError, match="no timed trigger") as caught:
        await change(house)
    assert change is resume or "`a` in `dlt-runtime tui`" in (caught.value.hint or "")


@pytest.mark.parametrize("change", [pause, resume, revert])
async def test_an_archived_job_has_no_schedule_to_change(house: House, change: Any) -> None:
    """Semantics D1."""
    await house.ready(HOURLY)
    await house.jobs.archive(house.principal, house.workspace_id, REF)
    with pytest.raises(ConflictError, match="archived"):
        await change(house)
    view = await schedule(house)
    assert (view.would_run, view.next_ticks) == (False, ())
    assert view.explanation.startswith("archived since")


async def test_an_override_takes_the_place_of_the_schedule_and_is_visible(house: House) -> None:
    """Semantics T8."""
    await house.ready(HOURLY)
    view = await override(house, "every:10m")
    assert view.words == "every 10 minutes (in place of every hour)"
    assert list(view.next_ticks) == [NOW + timedelta(minutes=10 * step) for step in range(1, 6)]
    shown = await house.jobs.get(house.workspace_id, REF)
    assert (shown.schedule.override, shown.next_tick_at) == ("every:10m", NOW + timedelta(minutes=10))
    house.clock.pass_seconds(600)
    assert await house.tick() == 1
    assert [run.trigger for run in await house.all_runs()] == ["every:10m"]


async def test_a_reverted_schedule_counts_from_then_on(house: House) -> None:
    """Semantics T8: what passed under the override is not made up for."""
    await house.ready(HOURLY)
    await override(house, "0 0 * * *")
    house.clock.pass_seconds(3 * HOUR + 60)
    view = await revert(house)
    assert (view.words, view.next_ticks[0]) == ("every hour", NOW + timedelta(hours=4))
    assert await house.tick() == 0
    house.clock.pass_seconds(HOUR)
    assert await house.tick() == 1


async def test_an_override_set_again_counts_from_then_on(house: House) -> None:
    """Semantics T8, T2."""
    await house.ready(HOURLY)
    await override(house, "every:2h")
    await revert(house)
    house.clock.pass_seconds(10 * HOUR)
    await house.tick()
    view = await override(house, "every:2h")
    assert view.next_ticks[0] == NOW + timedelta(hours=12)
    assert await house.tick() == 0


async def test_a_job_without_a_schedule_gets_one_from_an_operator(house: House) -> None:
    """Semantics T8."""
    await house.ready(make_raw_definition())
    view = await override(house, "schedule:30 8 * * *")
    assert view.words == "every day at 08:30 UTC (set by an operator)"
    house.clock.pass_seconds(24 * HOUR)
    assert await house.tick() == 1
    assert (await revert(house)).next_ticks == ()


async def test_an_app_gets_no_schedule_from_an_operator(house: House) -> None:
    """Semantics T8: else the clock would start it for no visitor."""
    await house.ready(make_raw_definition(job_type="interactive"))
    with pytest.raises(ConflictError, match="interactive"):
        await override(house, "every:10m")
    assert (await schedule(house)).next_ticks == ()


@pytest.mark.parametrize("trigger", ["once:2026-04-01", "every:5s", "schedule:nonsense", "tag:ingest", "30 8 30 2 *"])
async def test_what_is_no_schedule_is_no_override(house: House, trigger: str) -> None:
    """Semantics T8."""
    await house.ready(HOURLY)
    with pytest.raises(InvalidError):
        await override(house, trigger)
    assert (await schedule(house)).schedule.override is None


async def test_a_deploy_of_other_triggers_drops_the_override(house: House) -> None:
    """Semantics T8."""
    await house.ready(HOURLY)
    await override(house, "every:10m")
    await house.deploy({**HOURLY, "description": "the same triggers"})
    assert (await schedule(house)).schedule.override == "every:10m"
    await house.deploy({**HOURLY, "triggers": ["schedule:0 6 * * *"]})
    view = await schedule(house)
    assert (view.schedule.override, view.words) == (None, "every day at 06:00 UTC")


async def test_ticks_are_those_of_the_jobs_zone(house: House) -> None:
    """Semantics T1: Berlin's clocks go forward on 29 March 2026."""
    await house.ready(make_raw_definition(triggers=["schedule:0 8 * * 0"], require={"timezone": "Europe/Berlin"}))
    assert (await schedule(house)).next_ticks[:3] == (
        datetime(2026, 3, 15, 7, tzinfo=UTC),
        datetime(2026, 3, 22, 7, tzinfo=UTC),
        datetime(2026, 3, 29, 6, tzinfo=UTC),
    )


async def test_the_ticks_of_all_timed_triggers_come_in_order(house: House) -> None:
    await house.ready(make_raw_definition(triggers=["schedule:0 * * * *", "once:2026-03-10T13:30:00Z"]))
    ticks = (await schedule(house)).next_ticks
    assert [(tick - NOW) / timedelta(minutes=1) for tick in ticks] == [60, 90, 120, 180, 240]


async def test_the_explanation_is_the_gate_that_would_stop_the_job(house: House) -> None:
    """Semantics D2-D5, F1."""
    daily = make_raw_definition("jobs.shop.daily", triggers=["schedule:0 6 * * *"])
    gated = make_raw_definition("jobs.shop.gated", triggers=["every:1h"], freshness=["job.is_fresh:jobs.shop.daily"])
    await house.ready(HOURLY, daily, gated)
    ready = await schedule(house)
    assert (ready.would_run, ready.explanation) == (
        True,
        "ready to run, covering 2026-03-10 11:00 UTC to 2026-03-10 12:00 UTC",
    )
    waiting = await schedule(house, "jobs.shop.gated")
    assert (waiting.would_run, waiting.explanation) == (False, "waiting for jobs.shop.daily: no completed run yet")
    run = await house.launch()
    assert "still active, its concurrency is 1" in (await schedule(house)).explanation
    await house.end(run)
    assert (await schedule(house)).explanation == "the tick that has elapsed is done"


async def test_the_explanation_tells_of_a_refresh_that_waits(house: House) -> None:
    """Semantics R2."""
    always = make_raw_definition(refresh="always")
    follower = make_raw_definition("jobs.shop.check", triggers=["every:1h"], freshness=[f"job.is_fresh:{REF}"])
    await house.ready(always, follower)
    await house.end(await house.launch())
    assert (await schedule(house, "jobs.shop.check")).explanation.endswith("with a refresh")


async def test_nothing_would_run_where_nothing_is_deployed(house: House) -> None:
    await house.deploy(HOURLY)
    view = await schedule(house)
    assert (view.would_run, view.explanation) == (False, "this workspace has no code yet")


async def test_the_graph_shows_live_jobs_and_overrides(house: House) -> None:
    check = make_raw_definition("jobs.shop.check", triggers=[f"job.success:{REF}"])
    await house.ready(HOURLY, check, make_raw_definition("jobs.shop.old"))
    await house.jobs.archive(house.principal, house.workspace_id, "jobs.shop.old")
    await override(house, "every:10m")
    drawn = await house.schedules.graph(house.workspace_id, "text")
    assert drawn.splitlines() == [
        "jobs.shop.check",
        f"{REF}  (every 10 minutes (in place of every hour))",
        "  -> jobs.shop.check  (on success, refresh)",
    ]
