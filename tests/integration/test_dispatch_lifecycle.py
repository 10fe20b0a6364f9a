"""A run's life with a runner that plays along: what the daemon does at each turn, over a real store."""

import asyncio

from runtime.dispatch.executor import Executor
from runtime.errors import UnavailableError
from runtime.runner.launch import UNRELEASED_EXIT_CODE
from runtime.sandbox.identity import boot_id
from runtime.store import runs as store
from tests.factories import make_raw_definition
from tests.stage import SECONDS, Stage, StageProcess, launch_and_release


async def test_a_run_goes_from_pending_to_completed_and_says_what_it_did(stage: Stage, executor: Executor) -> None:
    """Semantics S1, S5."""
    done = await stage.until_final(await stage.house.launch())
    assert (done.status, done.exit_code, done.reason) == ("completed", 0, None)
    assert [line.content for line in await stage.house.lines(done.id)] == ["environment found"]


async def test_the_order_carries_window_profile_and_zone(stage: Stage, executor: Executor) -> None:
    """Semantics W4: the window travels in UTC beside the zone it is meant in."""
    await stage.house.deploy(
        make_raw_definition(triggers=["schedule:0 8 * * *"], require={"timezone": "Europe/Berlin"})
    )
    done = await stage.until_final(await stage.house.launch())
    order = stage.runner.processes[done.id].order
    assert order is not None
    assert order.entry_point["interval_timezone"] == "Europe/Berlin"
    assert order.entry_point["interval_end"] == "2026-03-10T07:00:00+00:00"
    assert order.entry_point["profile"] == "prod"


async def test_a_failed_build_ends_the_run_with_its_reason(stage: Stage, executor: Executor) -> None:
    """Semantics S6."""
    stage.preparation.error = UnavailableError("environment could not be built: no such package", hint="correct it")
    done = await stage.until_final(await stage.house.launch())
    assert (done.status, done.reason) == ("failed", "environment could not be built: no such package")
    last = (await stage.house.lines(done.id))[-1]
    assert (last.phase, last.content) == ("setup", "environment could not be built: no such package (correct it)")


async def test_an_error_of_the_daemon_itself_ends_the_run(stage: Stage, executor: Executor) -> None:
    stage.preparation.error = RuntimeError("a mistake of ours")
    done = await stage.until_final(await stage.house.launch())
    assert (done.status, done.reason) == ("failed", "internal error of the runtime; see its own log")


async def test_a_run_past_its_time_is_terminated_and_failed(stage: Stage, executor: Executor) -> None:
    """Semantics S2."""
    run = await launch_and_release(stage, execute={"timeout": {"timeout": 0.05}})
    done = await stage.until_final(run)
    assert (done.status, done.reason) == ("failed", "timeout: the job ran past its limit of 0.05 s")
    assert stage.runner.processes[run.id].signals == ["TERM"]


async def test_a_job_that_ignores_the_signal_is_killed_after_its_grace(stage: Stage, executor: Executor) -> None:
    """Semantics S2."""
    stage.runner.exit_on_term = None
    run = await launch_and_release(stage, execute={"timeout": {"timeout": 0.05, "grace_period": 0.05}})
    done = await stage.until_final(run)
    assert stage.runner.processes[run.id].signals == ["TERM", "KILL"]
    assert done.status == "failed"


async def test_a_job_that_ends_well_within_its_grace_is_completed(stage: Stage, executor: Executor) -> None:
    """Semantics S2."""
    stage.runner.exit_on_term = 0
    run = await launch_and_release(stage, execute={"timeout": {"timeout": 0.05}})
    assert (await stage.until_final(run)).status == "completed"


async def test_a_cancelled_run_is_terminated_and_cancelled(stage: Stage, executor: Executor) -> None:
    """Semantics S1, S2."""
    run = await launch_and_release(stage)
    await stage.house.runs.cancel(stage.house.principal, run.workspace_id, run.id)
    done = await stage.until_final(run)
    assert (done.status, done.reason) == ("cancelled", "cancelled on request")


async def test_a_cancel_that_comes_before_the_sandbox_has_forked_its_job_reaches_the_job(
    stage: Stage, executor: Executor
) -> None:
    """Semantics S2: lost, it would leave the job running for its whole grace."""
    run = await launch_and_release(stage)
    stage.runner.terms_before_there_is_a_job = 3
    await stage.house.runs.cancel(stage.house.principal, run.workspace_id, run.id)
    assert (await stage.until_final(run)).status == "cancelled"
    assert stage.runner.processes[run.id].signals == ["TERM"]


async def test_a_run_cancelled_while_its_environment_is_built_never_starts(stage: Stage, executor: Executor) -> None:
    """Semantics S2."""
    stage.preparation.hold.clear()
    run = await stage.house.launch()
    async with asyncio.timeout(SECONDS):
        await stage.preparation.entered.wait()
    await stage.house.runs.cancel(stage.house.principal, run.workspace_id, run.id)
    assert (await stage.until_final(run)).status == "cancelled"
    assert stage.runner.prepared == 0


async def test_runs_beyond_the_capacity_wait_and_the_oldest_goes_first(stage: Stage) -> None:
    """Semantics D6."""
    stage.runner.exit_at_release = None
    first, second = await stage.house.launch("jobs.shop.slow"), await stage.house.launch("jobs.shop.slow")
    executor = stage.executor(max_running=1)
    await executor.start()
    async with asyncio.timeout(SECONDS):
        await stage.runner.released.wait()
    assert list(stage.runner.processes) == [first.id]
    assert (await stage.house.runs.get(second.workspace_id, second.id)).run.status == "pending"
    stage.runner.exit_at_release = 0
    stage.runner.processes[first.id].exit_code.set_result(0)
    assert (await stage.until_final(second)).status == "completed"
    await executor.close()


async def test_the_next_daemon_sees_a_running_job_through_to_its_end(stage: Stage) -> None:
    """Design decision 4: a run outlives the daemon."""
    first = stage.executor()
    await first.start()
    run = await launch_and_release(stage)
    await first.close()
    stage.runner.processes[run.id].exit_code.set_result(3)
    (stage.live_dir / f"{run.id}.log").write_text("one\ntwo\n")

    second = stage.executor()
    await second.start()
    done = await stage.until_final(run)
    assert (done.status, done.reason, stage.runner.prepared) == ("failed", "exit code 3: two", 1)
    await second.close()


async def test_a_job_that_was_prepared_but_never_released_is_prepared_again(stage: Stage) -> None:
    """Design decision 5: an unreleased sandbox ends with the daemon."""
    run = await stage.house.launch()
    async with stage.house.database.transaction() as connection:
        await store.save_run(connection, run.model_copy(update={"status": "starting"}))
        await store.save_process(connection, run.id, 1, 1, boot_id(), deadline_at=None)
    abandoned = StageProcess()
    abandoned.exit_code.set_result(UNRELEASED_EXIT_CODE)
    stage.runner.processes[run.id] = abandoned
    stage.runner.unreleased.add(run.id)
    executor = stage.executor()
    await executor.start()
    assert (await stage.until_final(run)).status == "completed"
    assert stage.runner.prepared == 1
    await executor.close()


async def test_a_run_that_was_live_when_the_machine_went_down_says_so(stage: Stage) -> None:
    """Semantics S6."""
    run = await stage.house.launch()
    async with stage.house.database.transaction() as connection:
        await store.save_run(connection, run.model_copy(update={"status": "running"}))
        await store.save_process(connection, run.id, 1, 1, "an earlier boot", deadline_at=None)
    (stage.live_dir / f"{run.id}.log").write_text("last words\n")
    executor = stage.executor()
    await executor.start()
    done = await stage.until_final(run)
    assert (done.status, done.reason) == ("failed", "machine restarted while the job was running")
    assert [line.content for line in await stage.house.lines(run.id)] == ["last words"]
    await executor.close()
