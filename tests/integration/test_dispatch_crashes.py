"""Runs taken up after a crash, and mistakes in the middle of one, with a runner that plays along."""

from datetime import timedelta

import pytest

from runtime.dispatch.executor import Executor
from runtime.domain.runs import Run
from runtime.errors import StoreError
from runtime.runner.launch import UNRELEASED_EXIT_CODE
from runtime.sandbox.identity import boot_id
from runtime.store import runs as store
from runtime.store.database import Connection
from tests.factories import NOW
from tests.stage import Stage, StageProcess


async def _adopted(stage: Stage, exit_code: int | None, **fields: object) -> store.LiveRun:
    """A run that an earlier daemon began and that has ended since; None: without an exit status."""
    run = await stage.house.launch()
    async with stage.house.database.transaction() as connection:
        await store.save_run(connection, run.model_copy(update={"status": "running"}))
        await store.save_process(connection, run.id, 1, 1, boot_id(), deadline_at=NOW - timedelta(hours=1))
        if fields.get("cancelled"):
            await store.save_stop(connection, run.id, "cancel", NOW)
            current = await store.find_run(connection, run.id)
            assert current is not None
            await store.save_run(connection, current.model_copy(update={"status": "cancelling"}))
    process = StageProcess()
    process.exit_code.set_result(exit_code)
    stage.runner.processes[run.id] = process
    if not fields.get("released"):
        stage.runner.unreleased.add(run.id)
    return store.LiveRun(run_id=run.id)


async def test_a_silent_job_that_ends_as_a_sandbox_without_an_order_does_is_not_begun_again(stage: Stage) -> None:
    row = await _adopted(stage, UNRELEASED_EXIT_CODE, released=True)
    executor = stage.executor()
    await executor.start()
    run = (await stage.house.runs.get(stage.house.workspace_id, row.run_id)).run
    done = await stage.until_final(run)
    assert (done.status, done.reason, stage.runner.prepared) == ("failed", "exit code 113", 0)
    await executor.close()


async def test_a_process_that_never_got_its_order_is_forgotten_before_the_run_is_prepared_again(stage: Stage) -> None:
    """Else a second crash would pair the old process's number with the new one's status file."""
    row = await _adopted(stage, UNRELEASED_EXIT_CODE)
    stage.preparation.hold.clear()
    executor = stage.executor()
    await executor.start()
    await stage.preparation.entered.wait()
    async with stage.house.database.read() as connection:
        live = await store.find_live(connection, row.run_id)
    assert live is not None
    assert (live.pid, live.boot_id, live.deadline_at) == (None, None, None)
    await executor.close()


async def test_a_run_that_was_asked_to_stop_before_it_had_begun_is_not_begun_by_the_next_daemon(stage: Stage) -> None:
    """Semantics S2."""
    row = await _adopted(stage, UNRELEASED_EXIT_CODE, cancelled=True)
    executor = stage.executor()
    await executor.start()
    run = (await stage.house.runs.get(stage.house.workspace_id, row.run_id)).run
    done = await stage.until_final(run)
    assert (done.status, stage.runner.prepared) == ("cancelled", 0)
    await executor.close()


async def test_what_is_not_recorded_is_not_released_and_not_left_waiting(
    stage: Stage, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox whose process could not be written down would be nobody's after the next crash."""

    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("the database could not be written: no")

    monkeypatch.setattr(store, "save_process", refuse)
    done = await stage.until_final(await stage.house.launch())
    assert (done.status, done.reason) == ("failed", "the database could not be written: no")
    assert [process.order for process in stage.runner.processes.values()] == [None]
    assert stage.runner.discarded == [done.id]


async def test_a_mistake_of_ours_while_a_job_runs_leaves_no_job_that_nobody_watches(
    stage: Stage, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(*_: object) -> int:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(stage.runner, "wait", stumble)
    stage.runner.exit_at_release = None
    done = await stage.until_final(await stage.house.launch())
    assert (done.status, done.reason) == ("failed", "internal error of the runtime; see its own log")
    assert [process.signals for process in stage.runner.processes.values()] == [["KILL"]]


async def test_a_run_that_cannot_even_be_given_up_at_first_is_given_up_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would take a place, and wait for the next daemon, for ever."""
    refused: list[int] = []
    save_run = store.save_run

    async def refuse(connection: Connection, run: Run) -> None:
        if run.is_final and len(refused) < 3:
            refused.append(1)
            raise StoreError("the database could not be written: not now")
        await save_run(connection, run)

    monkeypatch.setattr(store, "save_run", refuse)
    monkeypatch.setattr("runtime.dispatch.executor._ROOM_SECONDS", 0)
    executor = stage.executor()
    await executor.start()
    done = await stage.until_final(await stage.house.launch())
    assert (done.status, done.reason) == ("failed", "internal error of the runtime; see its own log")
    assert len(refused) == 3
    await executor.close()


async def test_one_read_that_failed_does_not_keep_all_later_runs_from_beginning(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    active_runs = store.active_runs

    async def fail_once(connection: Connection) -> list[Run]:
        reads.append(1)
        if len(reads) == 2:  # the first is that of the runs to take up
            raise StoreError("the database could not be read: not now")
        return await active_runs(connection)

    run = await stage.house.launch()
    executor = stage.executor()
    monkeypatch.setattr("runtime.dispatch.executor.store.active_runs", fail_once)
    monkeypatch.setattr("runtime.dispatch.executor._ROOM_SECONDS", 0)
    await executor.start()
    assert (await stage.until_final(run)).status == "completed"
    await executor.close()
