"""Apps over a real store with a runner that plays along: names, visits, room, replacement (semantics S4, D5, D6)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from runtime.dispatch.app_usage import RunningApps
from runtime.dispatch.apps import App, AppService
from runtime.dispatch.executor import Executor
from runtime.dispatch.jobs import TriggerInput
from runtime.dispatch.log_writer import LogWriter
from runtime.domain.runs import Run
from runtime.errors import ConflictError, InvalidError
from runtime.store.runs import find_live
from tests.app_machine import app_job
from tests.factories import make_raw_definition
from tests.house import House
from tests.stage import SECONDS, Stage

BOARD, OTHER = app_job("board"), app_job("other")
BOARD_REF = "jobs.apps.board"


@pytest.fixture
async def apps(house: House) -> AppService:
    """The apps of a workspace without an executor."""
    await house.ready(BOARD, OTHER)
    writer = LogWriter(house.database, house.changes, house.clock)
    return AppService(house.database, house.changes, RunningApps(house.clock), writer, house.clock)


async def app_of(house: House, apps: AppService, job_ref: str = BOARD_REF) -> App:
    app = await apps.find((await house.jobs.get(house.workspace_id, job_ref)).slug or "")
    assert app is not None
    return app


async def test_an_interactive_job_gets_a_name_that_says_what_it_is(house: House, apps: AppService) -> None:
    app = await app_of(house, apps)
    assert app.slug.startswith("board-")
    assert await apps.find(app.slug) == app
    view = await house.jobs.get(house.workspace_id, BOARD_REF)
    assert view.slug == app.slug


async def test_the_name_survives_deploys_archiving_and_a_time_as_a_batch_job(house: House, apps: AppService) -> None:
    before = await app_of(house, apps)
    await house.deploy(OTHER)
    assert (await app_of(house, apps)).slug == before.slug
    await house.deploy(make_raw_definition(BOARD_REF))
    with pytest.raises(InvalidError, match="no interactive job any more"):
        await apps.wake(before, None)
    await house.deploy({**BOARD, "expose": {"display_name": "The board"}})
    after = await apps.find(before.slug)
    assert after is not None
    assert (after.slug, after.label) == (before.slug, "The board (apps)")


async def test_nothing_answers_to_a_name_that_was_never_given(apps: AppService) -> None:
    assert await apps.find("board-00000000") is None
    assert await apps.of_link(uuid4()) is None


async def test_a_public_link_opens_its_app_until_it_is_taken_back(house: House, apps: AppService) -> None:
    await house.publishing.publish(house.principal, house.workspace_id, BOARD_REF)
    view = await house.jobs.get(house.workspace_id, BOARD_REF)
    assert view.public_secret is not None
    assert await apps.of_link(view.public_secret) == await app_of(house, apps)
    await house.publishing.unpublish(house.principal, house.workspace_id, BOARD_REF)
    assert await apps.of_link(view.public_secret) is None


async def test_a_visit_starts_a_run_and_the_next_one_finds_it(house: House, apps: AppService) -> None:
    """Semantics S4."""
    app = await app_of(house, apps)
    run = await apps.wake(app, house.principal.user.id)
    assert (run.status, run.trigger, run.triggered_by) == ("pending", "http:", house.principal.user.id)
    assert await apps.wake(app, None) == run
    assert await apps.latest(app) == run
    assert await apps.version_of(run) == 1
    assert await apps.backend(app) is None


async def test_serving_a_running_app_answers_with_its_run(house: House, apps: AppService) -> None:
    """Semantics D5."""
    run = await apps.wake(await app_of(house, apps), None)
    (by_name,) = await house.jobs.trigger(house.principal, house.workspace_id, TriggerInput(job_refs=[BOARD_REF]))
    assert (by_name.outcome, by_name.run) == ("triggered", run)
    everything = await house.jobs.trigger(house.principal, house.workspace_id, TriggerInput(selectors=["interactive"]))
    assert {one.run.number for one in everything if one.run} == {1}
    assert len(everything) == 2
    one = await house.jobs.start(house.principal, house.workspace_id, BOARD_REF, "http:", TriggerInput())
    assert one.run == run


async def test_an_archived_job_is_not_woken(house: House, apps: AppService) -> None:
    app = await app_of(house, apps)
    await house.jobs.archive(house.principal, house.workspace_id, BOARD_REF)
    with pytest.raises(ConflictError, match="archived"):
        await apps.wake(app, None)


async def test_a_visit_to_an_app_whose_gate_never_opens_says_why(house: House, apps: AppService) -> None:
    """Semantics F2."""
    await house.deploy({**BOARD, "freshness": ["job.is_fresh:jobs.apps.other"]}, OTHER)
    with pytest.raises(ConflictError, match="does not start"):
        await apps.wake(await app_of(house, apps), None)


async def test_newer_code_lets_a_run_that_has_not_begun_go(house: House, apps: AppService) -> None:
    app = await app_of(house, apps)
    run = await apps.wake(app, None)
    await house.upload_code({"apps.py": b"# newer\n"})
    await house.deploy(BOARD, OTHER)
    ended = (await house.runs.get(run.workspace_id, run.id)).run
    assert (ended.status, ended.reason) == ("cancelled", "replaced by version 2 of the code")
    assert (await apps.wake(app, None)).number == 2


async def test_a_deploy_that_changes_nothing_leaves_apps_alone(house: House, apps: AppService) -> None:
    run = await apps.wake(await app_of(house, apps), None)
    await house.deploy(BOARD, OTHER)
    assert (await house.runs.get(run.workspace_id, run.id)).run.status == "pending"


async def test_an_app_that_never_answered_is_held_back_until_something_newer_is_deployed(
    house: House, apps: AppService
) -> None:
    """Semantics S4: newer settings and a newer definition may be the cure, as newer code may."""
    app = await app_of(house, apps)

    async def fail() -> None:
        await house.end(await apps.wake(app, None), "failed", reason="exit code 1")
        failure = await apps.failure(app)
        assert failure is not None
        assert failure.reason == "exit code 1"

    assert await apps.failure(app) is None
    await fail()
    await house.upload_settings({"config.toml": b"[jobs]\n"})
    assert await apps.failure(app) is None
    await fail()
    await house.deploy({**BOARD, "description": "better"}, OTHER)
    assert await apps.failure(app) is None
    await fail()
    await house.upload_code({"apps.py": b"# newer\n"})
    assert await apps.failure(app) is None
    await fail()
    house.clock.pass_seconds(601)
    assert await apps.failure(app) is None


async def test_what_somebody_cancelled_is_told_from_what_newer_code_has_replaced(
    house: House, apps: AppService
) -> None:
    app = await app_of(house, apps)
    run = await apps.wake(app, None)
    assert await apps.cancelled(app) is None
    await house.runs.cancel(house.principal, run.workspace_id, run.id)
    cancelled = await apps.cancelled(app)
    assert cancelled is not None
    assert cancelled.id == run.id
    await house.upload_code({"apps.py": b"# newer\n"})
    assert await apps.cancelled(app) is None


async def test_newer_settings_and_a_newer_definition_replace_an_app_too(house: House, apps: AppService) -> None:
    app = await app_of(house, apps)
    first = await apps.wake(app, None)
    await house.upload_settings({"config.toml": b"[jobs]\n"})
    await house.deploy(BOARD, OTHER)
    assert await _reason(house, first) == "replaced: there are newer settings, version 2"
    second = await apps.wake(app, None)
    await house.deploy({**BOARD, "description": "better"}, OTHER)
    assert await _reason(house, second) == "replaced by version 2 of the job"


async def test_a_deploy_of_one_file_leaves_the_apps_of_others_alone(house: House, apps: AppService) -> None:
    """Semantics J3: an ad-hoc deploy concerns the jobs it names."""
    run = await apps.wake(await app_of(house, apps), None)
    await house.upload_code({"apps.py": b"# newer\n"})
    await house.deploy(OTHER, module=None)
    assert (await house.runs.get(run.workspace_id, run.id)).run.status == "pending"


async def _reason(house: House, run: Run) -> str | None:
    return (await house.runs.get(run.workspace_id, run.id)).run.reason


@asynccontextmanager
async def answering(stage: Stage, run: Run) -> AsyncIterator[None]:
    """Takes the app's part: answers on the port that its launcher was told."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with asyncio.timeout(SECONDS):
        while run.id not in stage.runner.processes or stage.runner.processes[run.id].order is None:
            event = stage.house.changes.event(run.id)
            stage.runner.released.clear()
            waiting = [asyncio.create_task(event.wait()), asyncio.create_task(stage.runner.released.wait())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
    arguments = stage.runner.processes[run.id].order.entry_point["run_args"]
    assert arguments["host"] == "127.0.0.1"
    async with await asyncio.start_server(answer, arguments["host"], arguments["port"]):
        yield


async def until(stage: Stage, run: Run, status: str) -> Run:
    async with asyncio.timeout(SECONDS):
        while True:
            event = stage.house.changes.event(run.workspace_id)
            current = (await stage.house.runs.get(run.workspace_id, run.id)).run
            if current.status == status:
                return current
            await event.wait()


async def test_apps_take_no_room_from_other_runs_nor_these_from_apps(stage: Stage) -> None:
    """Semantics D6."""
    stage.runner.exit_at_release = None
    await stage.house.deploy(BOARD, OTHER, make_raw_definition(), make_raw_definition("jobs.shop.slow"))
    executor = stage.executor(max_running=1, max_apps=1)
    await executor.start()
    try:
        board = await stage.house.launch(BOARD_REF)
        other = await stage.house.launch("jobs.apps.other")
        load = await stage.house.launch()
        slow = await stage.house.launch("jobs.shop.slow")
        await until(stage, load, "running")
        await until(stage, board, "starting")
        for waiting in (other, slow):
            assert (await stage.house.runs.get(waiting.workspace_id, waiting.id)).run.status == "pending"
        await stage.house.runs.cancel(stage.house.principal, board.workspace_id, board.id)
        await until(stage, other, "starting")
    finally:
        await executor.close()


async def test_an_app_that_nobody_uses_makes_room_for_one_that_waits(stage: Stage) -> None:
    """Semantics D6."""
    stage.runner.exit_at_release = None
    await stage.house.deploy(BOARD, OTHER)
    executor = stage.executor(max_apps=1)
    await executor.start()
    board = await stage.house.launch(BOARD_REF)
    async with answering(stage, board):
        await until(stage, board, "running")
        stage.house.clock.pass_seconds(31)
        other = await stage.house.launch("jobs.apps.other")
        ended = await until(stage, board, "completed")
        assert ended.reason == "idle for 30 s while others waited for room"
        await until(stage, other, "starting")
    await executor.close()


async def test_an_app_in_use_that_newer_code_replaces_goes_first_where_there_is_no_room_for_both(stage: Stage) -> None:
    """Semantics D6."""
    stage.runner.exit_at_release = None
    await stage.house.deploy(BOARD)
    executor = stage.executor(max_apps=1)
    await executor.start()
    board = await stage.house.launch(BOARD_REF)
    async with answering(stage, board):
        await until(stage, board, "running")
        with stage.apps.using(board.id):
            await stage.house.upload_code({"shop.py": b"# newer\n"})
            await stage.house.deploy(BOARD)
            assert (await stage.until_final(board)).reason == "replaced by version 2 of the code"
    successor = await stage.apps.latest(await app_of(stage.house, stage.apps))
    assert successor is not None
    await until(stage, successor, "starting")
    await executor.close()


async def _ends_within_its_grace(stage: Stage, run: Run) -> None:
    """It takes its time after the signal, and is not killed."""
    process = stage.runner.processes[run.id]
    async with asyncio.timeout(SECONDS):
        while not process.signals:  # noqa: ASYNC110 - a list announces nothing
            await asyncio.sleep(0.01)
    process.exit_code.set_result(0)
    await stage.until_final(run)
    assert process.signals == ["TERM"]


@asynccontextmanager
async def _waiting_for_a_successor(stage: Stage) -> AsyncIterator[tuple[Executor, Run]]:
    """An app in use that newer code replaces, whose successor takes longer than the app's grace."""
    stage.runner.exit_at_release, stage.runner.exit_on_term = None, None
    await stage.house.deploy(BOARD)
    executor = stage.executor()
    await executor.start()
    board = await stage.house.launch(BOARD_REF)
    async with answering(stage, board):
        await until(stage, board, "running")
        with stage.apps.using(board.id):
            stage.preparation.hold.clear()
            await stage.house.upload_code({"shop.py": b"# newer\n"})
            await stage.house.deploy(BOARD)
            stage.house.clock.pass_seconds(60)
            yield executor, board
    stage.preparation.hold.set()


async def test_an_app_that_is_cancelled_while_it_waits_for_its_successor_has_its_grace(stage: Stage) -> None:
    """Semantics S2."""
    async with _waiting_for_a_successor(stage) as (executor, board):
        await stage.house.runs.cancel(stage.house.principal, board.workspace_id, board.id)
        await _ends_within_its_grace(stage, board)
        await executor.close()


async def test_an_app_that_a_daemon_finds_waiting_for_its_successor_has_its_grace(stage: Stage) -> None:
    """Semantics S2."""
    async with _waiting_for_a_successor(stage) as (first, board):
        await first.close()
        second = stage.executor()
        await second.start()
        await _ends_within_its_grace(stage, board)
        await second.close()


async def test_any_status_makes_an_app_ready_on_the_machines_network_too(stage: Stage, executor: Executor) -> None:
    """Semantics S4."""
    stage.runner.exit_at_release = None
    await stage.house.deploy(BOARD)
    run = await stage.house.launch(BOARD_REF)
    async with answering(stage, run):
        await until(stage, run, "running")
        app = await app_of(stage.house, stage.apps)
        backend = await stage.apps.backend(app)
        assert backend is not None
        (await backend.connect()).close()
        await stage.house.runs.cancel(stage.house.principal, run.workspace_id, run.id)
        assert (await stage.until_final(run)).status == "cancelled"
        assert await stage.apps.backend(app) is None


async def test_an_app_has_no_time_limit_but_an_idle_one(stage: Stage, executor: Executor) -> None:
    """Semantics S2, S4: what the SDK writes as its timeout is its `idle_timeout`."""
    stage.runner.exit_at_release = None
    await stage.house.deploy(app_job("board", execute={"timeout": {"timeout": 77.0}}))
    run = await stage.house.launch(BOARD_REF)
    async with answering(stage, run):
        await until(stage, run, "running")
        async with stage.house.database.read() as connection:
            row = await find_live(connection, run.id)
        assert row is not None
        assert row.app_prefix == f"/apps/{(await app_of(stage.house, stage.apps)).slug}"
        assert stage.runner.processes[run.id].signals == []


async def test_an_app_that_was_to_end_when_the_daemon_died_ends_with_the_next_as_it_was_to(stage: Stage) -> None:
    """Design decision 4."""
    stage.runner.exit_at_release, stage.runner.exit_on_term = None, None
    stage.app_settings = stage.app_settings.model_copy(update={"idle_seconds": 0})
    await stage.house.deploy(BOARD)
    first = stage.executor()
    await first.start()
    run = await stage.house.launch(BOARD_REF)
    async with answering(stage, run):
        await until(stage, run, "cancelling")
    await first.close()
    stage.runner.exit_on_term = 143
    second = stage.executor()
    await second.start()
    ended = await stage.until_final(run)
    await second.close()
    assert (ended.status, ended.exit_code, ended.reason) == ("completed", 143, "idle for 0 s")


async def test_an_app_that_has_answered_is_woken_by_a_visit_whatever_ended_it(stage: Stage, executor: Executor) -> None:
    """Semantics S4: killed for memory, crashed, ended with the machine."""
    stage.runner.exit_at_release = None
    await stage.house.deploy(BOARD)
    run = await stage.house.launch(BOARD_REF)
    async with answering(stage, run):
        await until(stage, run, "running")
        stage.runner.processes[run.id].exit_code.set_result(137)
        assert (await stage.until_final(run)).status == "failed"
    app = await app_of(stage.house, stage.apps)
    assert await stage.apps.failure(app) is None
    assert (await stage.apps.wake(app, None)).number == 2


async def test_a_visit_after_a_restart_of_the_machine_wakes_the_app(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics S4, design decision 4."""
    stage.runner.exit_at_release = None
    await stage.house.deploy(BOARD)
    first = stage.executor()
    await first.start()
    run = await stage.house.launch(BOARD_REF)
    async with answering(stage, run):
        await until(stage, run, "running")
    await first.close()
    stage.runner.processes.clear()
    monkeypatch.setattr("runtime.dispatch.lifecycle.boot_id", lambda: "another")
    second = stage.executor()
    await second.start()
    ended = await stage.until_final(run)
    assert (ended.status, ended.reason) == ("failed", "machine restarted while the job was running")
    app = await app_of(stage.house, stage.apps)
    assert await stage.apps.failure(app) is None
    assert (await stage.apps.wake(app, None)).number == 2
    await second.close()
