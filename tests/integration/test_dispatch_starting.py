"""Starting, settling and cancelling runs, over a real store and without processes."""

import pytest

from runtime.dispatch.jobs import TriggerInput
from runtime.dispatch.settling import settle
from runtime.domain.runs import Run, RunEnd
from runtime.errors import ConflictError, InvalidError, NotFoundError
from runtime.store import runs as store
from runtime.store.logs import append_lines
from tests.factories import make_raw_definition
from tests.house import House, eventually

LOAD = make_raw_definition("jobs.shop.load", expose={"tags": ["ingest"]})
CHECK = make_raw_definition("jobs.shop.check", triggers=["job.success:jobs.shop.load"])
ALERT = make_raw_definition("jobs.shop.alert", triggers=["job.fail:jobs.shop.load"])


async def end(house: House, run: Run, status: str, **fields: object) -> Run:
    """Let a run begin and end without a process, a second later."""
    house.clock.pass_seconds(1)
    async with house.database.transaction() as connection:
        started = run.model_copy(update={"status": "running", "started_at": house.clock()})
        await store.save_run(connection, started)
        return await settle(connection, started, RunEnd.model_validate({"status": status, **fields}), house.clock())


async def test_a_launched_job_is_a_pending_run_that_pins_what_is_deployed(house: House) -> None:
    """Semantics J4, J6, W1."""
    await house.ready(LOAD)
    run = await house.launch()
    await house.upload_code({"shop.py": b"print('later')\n"})
    assert (run.status, run.number, run.profile, run.trigger) == ("pending", 1, "prod", "manual:jobs.shop.load")
    assert run.interval_start == run.interval_end == house.clock()
    deployment = await house.deployments.get(house.workspace_id, "1")
    assert (await house.runs.get(house.workspace_id, run.id)).run.deployment_id == deployment.id


async def test_a_job_at_its_concurrency_is_skipped_and_says_so(house: House) -> None:
    """Semantics D5."""
    await house.ready(LOAD)
    await house.launch()
    (second,) = await house.jobs.trigger(house.principal, house.workspace_id, TriggerInput(selectors=["tag:ingest"]))
    assert (second.outcome, second.run) == ("skipped_concurrency_limit", None)
    assert second.reason == "1 run of `jobs.shop.load` still active, its concurrency is 1"


async def test_null_concurrency_is_no_limit(house: House) -> None:
    """Semantics D5."""
    await house.ready({**LOAD, "execute": {"concurrency": None}})
    assert [(await house.launch()).number for _ in range(3)] == [1, 2, 3]


async def test_selectors_start_every_live_job_they_match_by_its_own_trigger(house: House) -> None:
    """Semantics T5."""
    await house.ready(LOAD, CHECK, {**ALERT, "expose": {"manual": False}})
    await house.jobs.archive(house.principal, house.workspace_id, "jobs.shop.check")
    started = await house.jobs.trigger(house.principal, house.workspace_id, TriggerInput(selectors=["manual:*"]))
    assert [item.job.job_ref for item in started] == ["jobs.shop.load"]


async def test_a_dry_run_names_the_jobs_and_starts_none(house: House) -> None:
    await house.ready(LOAD, CHECK)
    wanted = TriggerInput(selectors=["batch"], dry_run=True)
    named = await house.jobs.trigger(house.principal, house.workspace_id, wanted)
    assert [item.job.job_ref for item in named] == ["jobs.shop.check", "jobs.shop.load"]
    assert await house.all_runs() == []


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (TriggerInput(), InvalidError),
        (TriggerInput(job_refs=["jobs.shop.nothing"]), NotFoundError),
        (TriggerInput(job_refs=["jobs.shop.check"]), ConflictError),
    ],
)
async def test_what_cannot_be_started_is_an_error(house: House, wanted: TriggerInput, error: type[Exception]) -> None:
    """Semantics D1."""
    await house.ready(LOAD, CHECK)
    await house.jobs.archive(house.principal, house.workspace_id, "jobs.shop.check")
    with pytest.raises(error):
        await house.jobs.trigger(house.principal, house.workspace_id, wanted)


async def test_success_starts_the_jobs_that_wait_for_it_and_failure_the_others(house: House) -> None:
    """Semantics T4."""
    await house.ready(LOAD, CHECK, ALERT)
    succeeded = await end(house, await house.launch(), "completed", exit_code=0)
    (check, _) = await house.all_runs()
    assert (check.job_ref, check.trigger, check.prev_run_id) == (
        "jobs.shop.check",
        "job.success:jobs.shop.load",
        succeeded.id,
    )
    failed = await end(house, await house.launch(), "failed", reason="timeout")
    newest = (await house.all_runs())[0]
    assert (newest.job_ref, newest.prev_run_id) == ("jobs.shop.alert", failed.id)


async def test_a_cancelled_run_starts_nobody(house: House) -> None:
    """Semantics T4."""
    await house.ready(LOAD, CHECK, ALERT)
    run = await house.launch()
    async with house.database.transaction() as connection:
        stopping = run.model_copy(update={"status": "cancelling"})
        await settle(connection, stopping, RunEnd(status="cancelled"), house.clock())
    assert [item.job_ref for item in await house.all_runs()] == ["jobs.shop.load"]


async def test_a_followup_that_cannot_start_is_a_skipped_run_with_its_reason(house: House) -> None:
    """Semantics D7, S1."""
    await house.ready({**LOAD, "execute": {"concurrency": 2}}, CHECK)
    await end(house, await house.launch(), "completed")
    await end(house, await house.launch(), "completed")
    skipped = (await house.all_runs())[0]
    assert (skipped.status, skipped.job_ref, skipped.is_final) == ("skipped", "jobs.shop.check", True)
    assert "concurrency is 1" in (skipped.reason or "")


async def test_a_finished_tick_launched_again_by_hand_covers_the_same_tick(house: House) -> None:
    """Semantics D4."""
    await house.ready({**LOAD, "triggers": ["schedule:0 * * * *"]})
    house.clock.pass_seconds(600)
    first = await end(house, await house.launch(), "completed")
    second = await house.launch()
    assert (second.interval_start, second.interval_end) == (first.interval_start, first.interval_end)


async def test_a_pending_run_is_cancelled_at_once(house: House) -> None:
    """Semantics S2."""
    await house.ready(LOAD)
    run = await house.launch()
    cancelled = (await house.runs.cancel(house.principal, house.workspace_id, run.id)).run
    assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled on request")
    with pytest.raises(ConflictError, match="it is cancelled"):
        await house.runs.cancel(house.principal, house.workspace_id, run.id)


async def test_a_running_run_is_asked_to_stop(house: House) -> None:
    """Semantics S1, S2."""
    await house.ready(LOAD)
    run = await house.launch()
    async with house.database.transaction() as connection:
        await store.save_run(connection, run.model_copy(update={"status": "running"}))
    before = await house.runs.cancel_jobs(house.principal, house.workspace_id, ["jobs.shop.load"], dry_run=True)
    assert [item.status for item in before.cancelled] == ["running"]
    after = await house.runs.cancel(house.principal, house.workspace_id, run.id)
    assert after.run.status == "cancelling"
    assert house.stops.run_ids == [run.id]


async def test_a_bulk_cancel_tells_who_was_not_running(house: House) -> None:
    await house.ready(LOAD, CHECK)
    await house.launch()
    done = await house.runs.cancel_jobs(
        house.principal, house.workspace_id, ["jobs.shop.load", "jobs.shop.check"], dry_run=False
    )
    assert [run.job_ref for run in done.cancelled] == ["jobs.shop.load"]
    assert done.not_running == ["jobs.shop.check"]


async def test_a_run_of_another_workspace_is_not_found(house: House) -> None:
    await house.ready(LOAD)
    run = await house.launch()
    with pytest.raises(NotFoundError):
        await house.runs.get(house.principal.user.id, run.id)


async def test_whoever_follows_a_run_gets_every_line_and_then_the_end(house: House) -> None:
    """Semantics S5."""
    await house.ready(LOAD)
    run = await house.launch()
    async with house.database.transaction() as connection:
        await append_lines(connection, run.id, "setup", house.clock(), ["ready"])
    following = house.runs.follow(run.id)
    assert [line.content for line in await anext(following)] == ["ready"]

    waiting = house.changes.event(run.id)
    async with house.database.transaction() as connection:
        await append_lines(connection, run.id, "program", house.clock(), ["one", "two"])
    house.changes.announce(run.id)
    await eventually(waiting)
    assert [(line.line_num, line.content) for line in await anext(following)] == [(1, "one"), (2, "two")]

    await end(house, run, "completed")
    house.changes.announce(run.id)
    assert await anext(following, None) is None
