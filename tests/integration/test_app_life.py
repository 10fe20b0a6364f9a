"""Apps as real processes in networks of their own: reached by nobody but through their door (semantics S4, S6, D5)."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime.dispatch.apps import App
from runtime.dispatch.workspaces import WorkspaceService
from runtime.domain.runs import Run
from runtime.errors import UnavailableError
from runtime.sandbox.addresses import local_addresses
from runtime.sandbox.detached import kill_and_wait
from runtime.sandbox.identity import is_alive
from runtime.sandbox.listening import listening_ports
from runtime.store import workspaces
from tests.app_machine import SECONDS, SETTINGS, AppMachine, app_job, get
from tests.factories import NOW, make_workspace
from tests.house import House
from tests.processes import needs_jobs
from tests.tenants import as_tenant

pytest_plugins = ("tests.job_fixtures",)
pytestmark = needs_jobs

FUNCTIONS = ("everywhere", "loopback", "six", "elsewhere", "silent", "mute", "floods", "leaves", "fails", "stubborn")


@pytest.fixture
async def apps(house: House, bubblewrap: None, job_venv: Path) -> AsyncIterator[AppMachine]:
    """A machine on which every app of the tests is deployed."""
    definitions = [app_job(name) for name in FUNCTIONS]
    grace = {"timeout": {"timeout": 600, "grace_period": 1}}
    definitions[-1] = app_job("stubborn", execute=grace)
    await house.ready(*definitions, app_job("intruder", "batch"))
    machine = AppMachine(house, job_venv, SETTINGS)
    yield machine
    async with machine.daemon():
        for run in await house.all_runs():
            if not run.is_final:
                if run.status != "cancelling":
                    await house.runs.cancel(house.principal, run.workspace_id, run.id)
                await machine.until_final(run)
    await machine.network.sweep(())


@pytest.mark.parametrize("function", ["everywhere", "loopback", "six"])
async def test_an_app_is_reached_through_its_door_whatever_address_it_binds(apps: AppMachine, function: str) -> None:
    async with apps.daemon():
        _, backend = await apps.until_ready(function)
        assert await get(backend, "/page?x=1") == "one /page?x=1"


async def test_an_app_is_told_its_port_and_its_prefix_and_runs_once_it_answers(apps: AppMachine) -> None:
    """Semantics S4."""
    async with apps.daemon():
        run, backend = await apps.until_ready("everywhere")
        app = await apps.app("everywhere")
        told = await apps.until_line(run, "arguments")
        assert "'port': 8080" in told
        assert f"'base_path': '/apps/{app.slug}'" in told
        assert (backend.base_path, backend.run_number, backend.deployment_version) == ("", 1, 1)


def machine_addresses() -> tuple[str, ...]:
    """Every address of this machine."""
    return ("127.0.0.1", "::1", *sorted(local_addresses()))


KNOCKING = """
import socket, sys
for address in sys.argv[1:]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as trying:
        trying.settimeout(2)
        print("closed" if trying.connect_ex((address, 8080)) else "reached", address)
"""
ANOTHER_ACCOUNT = ("unshare", "--user", "--map-root-user", "--map-auto", "setpriv", "--reuid", "1000", "--clear-groups")
"""Runs a command as another user: one of the subordinate ones that this user has."""


def knock(*before: str) -> list[str]:
    """What comes of trying the apps' port at every address of this machine."""
    command = [*before, sys.executable, "-c", KNOCKING, *machine_addresses()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()


async def test_nothing_of_the_machine_reaches_an_app(apps: AppMachine) -> None:
    async with apps.daemon():
        await apps.until_ready("everywhere")
        assert await asyncio.to_thread(knock) == [f"closed {address}" for address in machine_addresses()]


@pytest.fixture
def another_account() -> None:
    """For tests of what other users of the machine may do: its user has others, and may be them."""
    if shutil.which("newuidmap") is None:
        pytest.skip("without uidmap nobody can be anybody else")
    tried = subprocess.run([*ANOTHER_ACCOUNT, "true"], capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this user can be nobody else: {tried.stderr.strip()}; see subuid(5)")


@pytest.mark.usefixtures("another_account")
async def test_no_other_account_of_the_machine_reaches_an_app(apps: AppMachine) -> None:
    async with apps.daemon():
        await apps.until_ready("everywhere")
        closed = [f"closed {address}" for address in machine_addresses()]
        assert await asyncio.to_thread(knock, *ANOTHER_ACCOUNT) == closed


async def test_no_other_job_reaches_an_app_be_it_of_its_workspace_or_of_another(apps: AppMachine) -> None:
    """Not on its own loopback, nor by its own addresses or any of the machine's."""
    apps.preparation.addresses = machine_addresses()
    stranger = await _another_workspace(apps)
    async with apps.daemon():
        await apps.until_ready("everywhere")
        here = await apps.serve("intruder")
        elsewhere = await stranger.launch("jobs.apps.intruder")
        for run in (here, elsewhere):
            assert (await apps.until_final(run)).status == "completed"
            lines = await apps.lines(run)
            assert len(lines) == len(machine_addresses()) + 3
            assert all(line.startswith("closed") for line in lines), lines


async def _another_workspace(apps: AppMachine) -> House:
    """One of the same owner, with the job that looks for apps."""
    house = apps.house
    workspace = make_workspace("stranger")
    async with house.database.transaction() as connection:
        await workspaces.add_workspace(connection, workspace)
        await workspaces.add_member(connection, workspace.id, house.principal.user.id, "owner", NOW)
    stranger = as_tenant(house, house.principal, workspace.id)
    await stranger.ready(app_job("intruder", "batch"))
    return stranger


async def test_two_apps_of_one_workspace_have_the_same_port_and_do_not_meet(apps: AppMachine) -> None:
    async with apps.daemon():
        first, _ = await apps.until_ready("everywhere")
        second, _ = await apps.until_ready("loopback")
        rows = [await apps.process(run) for run in (first, second)]
        assert [listening_ports(row.pid or 0) for row in rows] == [frozenset({8080})] * 2


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("leaves", "ended with exit code 0 before it answered: nothing to do"),
        ("fails", "ended with exit code 1 before it answered: ValueError: no such notebook"),
    ],
)
async def test_an_app_that_ends_before_it_answers_has_failed(apps: AppMachine, function: str, reason: str) -> None:
    """Semantics S6."""
    async with apps.daemon():
        done = await apps.until_final(await apps.serve(function))
    assert (done.status, done.reason) == ("failed", reason)


@pytest.mark.parametrize(
    ("function", "said", "reason"),
    [
        ("silent", "thinking", "nothing answered on port 8080 within 60 s"),
        ("elsewhere", "listening", "it listens on port 5000, not on the port it was given, 8080 (`run_args.port`)"),
    ],
)
async def test_an_app_that_never_answers_is_ended_and_says_why(
    apps: AppMachine, function: str, said: str, reason: str
) -> None:
    """Semantics S4, S6."""
    async with apps.daemon():
        run = await apps.serve(function)
        await apps.until_line(run, said)
        apps.clock.pass_seconds(61)
        done = await apps.until_final(run)
        assert await apps.apps.backend(await apps.app(function)) is None
    assert (done.status, done.reason) == ("failed", reason)


async def test_an_app_that_takes_connections_and_does_not_answer_is_ended_too(apps: AppMachine) -> None:
    """Semantics S4, S6."""
    apps.settings = SETTINGS.model_copy(update={"ready_seconds": 12})
    async with apps.daemon():
        done = await apps.until_final(await apps.serve("mute"))
    assert done.status == "failed"
    assert done.reason == "it listens on port 8080, but did not answer an HTTP request within 12 s"


async def test_an_app_whose_answers_nobody_could_be_given_never_runs_and_says_why(apps: AppMachine) -> None:
    """Semantics S4, S6: what is `running` has answers that the proxy passes on."""
    apps.settings = SETTINGS.model_copy(update={"ready_seconds": 12})
    reason = (
        "what it answers on port 8080 cannot be passed on to visitors: the headers of the app's answer are too large"
    )
    async with apps.daemon():
        run = await apps.until_final(await apps.serve("floods"))
        assert f"{reason}; waiting for it" in await apps.lines(run, "setup")
    assert (run.status, run.reason, run.answered_at) == ("failed", reason, None)


async def test_what_visitors_get_instead_of_an_answer_is_in_the_apps_log_once_a_minute(apps: AppMachine) -> None:
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        for kind in ("502", "502", "504", "502"):
            apps.apps.tell(run.id, kind, f"visitors get {kind}")
        apps.clock.pass_seconds(61)
        apps.apps.tell(run.id, "502", "visitors get 502")
        await apps.house.runs.cancel(apps.house.principal, run.workspace_id, run.id)
        await apps.until_final(run)
        apps.apps.tell(run.id, "502", "visitors get 502 of what has ended")
        told = [line for line in await apps.lines(run, "setup") if line.startswith("visitors")]
    assert told == ["visitors get 502", "visitors get 504", "visitors get 502"]


async def test_an_app_that_crashes_under_its_visitors_has_failed_and_is_gone(apps: AppMachine) -> None:
    """Semantics S6."""
    async with apps.daemon():
        run, backend = await apps.until_ready("everywhere")
        with apps.apps.using(run.id), pytest.raises(AssertionError):
            await get(backend, "/exit")
        done = await apps.until_final(run)
        assert (done.status, done.reason) == ("failed", "exit code 3: told to crash")
        assert await apps.apps.backend(await apps.app("everywhere")) is None
        with pytest.raises(UnavailableError):
            await backend.connect()


async def test_two_serves_at_once_and_two_visits_are_one_run(apps: AppMachine) -> None:
    """Semantics D5, S4."""
    async with apps.daemon():
        app = await apps.app("everywhere")
        user = apps.house.principal.user.id
        started = await asyncio.gather(
            apps.serve("everywhere"), apps.apps.wake(app, user), apps.serve("everywhere"), apps.apps.wake(app, None)
        )
        assert len({run.id for run in started}) == 1
        run, _ = await apps.until_ready("everywhere")
        assert run.id == started[0].id


async def test_an_app_that_nobody_uses_is_ended_and_the_next_visit_wakes_it(apps: AppMachine) -> None:
    """Semantics S4."""
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        apps.clock.pass_seconds(601)
        done = await apps.until_final(run)
        assert (done.status, done.exit_code, done.reason) == ("completed", 0, "idle for 10 min")
        app = await apps.app("everywhere")
        again = await apps.apps.wake(app, None)
        assert (again.number, again.trigger) == (2, "http:")
        assert (await apps.until(again, "running")).number == 2


async def test_an_app_in_use_outlives_its_idle_time(apps: AppMachine) -> None:
    """Semantics S4."""
    async with apps.daemon():
        run, backend = await apps.until_ready("everywhere")
        with apps.apps.using(run.id):
            for _ in range(3):
                apps.clock.pass_seconds(3600)
                assert await get(backend, "/") == "one /"
            assert await apps.apps.backend(await apps.app("everywhere")) is backend
        apps.clock.pass_seconds(599)
        assert await get(backend, "/") == "one /"
        apps.clock.pass_seconds(2)
        assert (await apps.until_final(run)).reason == "idle for 10 min"


async def test_an_app_that_will_not_end_is_killed_after_its_grace(apps: AppMachine) -> None:
    """Semantics S2, S4."""
    async with apps.daemon():
        run, _ = await apps.until_ready("stubborn")
        await apps.house.runs.cancel(apps.house.principal, run.workspace_id, run.id)
        done = await apps.until_final(run)
    assert (done.status, done.exit_code, done.reason) == ("cancelled", 137, "cancelled on request")


async def test_the_next_daemon_finds_the_app_where_it_was(apps: AppMachine) -> None:
    """Design decision 4: readiness is not asked for again, the door is another."""
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        slug = (await apps.app("everywhere")).slug
    async with apps.daemon():
        app = await apps.apps.find(slug)
        assert app is not None
        backend = await apps.until_backend(app)
        assert backend.run_id == run.id
        assert await get(backend, "/again") == "one /again"
        await apps.until_line(run, "listening")
        assert [line.split()[0] for line in await apps.lines(run)] == ["arguments", "listening"]
        assert (await apps.apps.wake(app, None)).id == run.id


async def test_an_app_whose_network_went_while_no_daemon_was_there_has_failed(apps: AppMachine) -> None:
    """Semantics S6: nobody could reach it any more."""
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
    holder = apps.holder(run)
    assert holder is not None
    await kill_and_wait(holder.sleeper)
    async with apps.daemon():
        done = await apps.until_final(run)
    assert (done.status, done.reason) == ("failed", "the app's network is gone")


async def test_an_app_that_was_starting_when_its_daemon_died_becomes_ready(apps: AppMachine) -> None:
    async with apps.daemon():
        run = await apps.until(await apps.serve("everywhere"), "starting", "running")
    async with apps.daemon():
        assert (await apps.until(run, "running")).id == run.id


async def test_newer_code_takes_the_place_of_an_app_in_use_once_it_answers(apps: AppMachine) -> None:
    """Nobody waits: until then the older one does."""
    async with apps.daemon():
        run, backend = await apps.until_ready("everywhere")
        app = await apps.app("everywhere")
        apps.preparation.hold.clear()
        with apps.apps.using(run.id):
            await _deploy_newer(apps)
            following = await apps.until(await _follower(apps, app), "starting")
            assert await apps.apps.backend(app) is backend
            assert await get(backend, "/") == "one /"
            apps.preparation.hold.set()
            done = await apps.until_final(run)
            assert (done.status, done.exit_code, done.reason) == ("completed", 0, "replaced by version 2 of the code")
            assert (await apps.until(following, "running")).number == 2
            newer = await apps.apps.backend(app)
        assert newer is not None
        assert newer.deployment_version == 2
        assert await get(newer, "/") == "two /"


async def test_newer_code_that_does_not_come_up_leaves_no_older_one_behind(apps: AppMachine) -> None:
    broken = {**app_job("everywhere"), "entry_point": app_job("fails")["entry_point"]}
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        app = await apps.app("everywhere")
        with apps.apps.using(run.id):
            await _deploy_newer(apps, broken)
            failed = await apps.until_final(await _follower(apps, app))
            assert failed.reason == "ended with exit code 1 before it answered: ValueError: no such notebook"
            assert (await apps.until_final(run)).reason == "replaced by version 2 of the code"


async def test_where_apps_share_their_data_the_older_one_goes_first(apps: AppMachine) -> None:
    """Both at once would want the same locks."""
    workspaces = WorkspaceService(apps.house.database, apps.clock)
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        await workspaces.update(apps.house.principal, run.workspace_id, {"access_data": "separate"})
        apps.preparation.hold.clear()
        with apps.apps.using(run.id):
            await _deploy_newer(apps)
            assert (await apps.until_final(run)).status == "completed"
        apps.preparation.hold.set()
        await apps.until(await _follower(apps, await apps.app("everywhere")), "running")


async def _deploy_newer(apps: AppMachine, everywhere: dict[str, Any] | None = None) -> None:
    apps.preparation.version = "two"
    await apps.house.upload_code({"apps.py": b"# newer\n"})
    others = [app_job(name) for name in FUNCTIONS[1:]]
    await apps.house.deploy(everywhere or app_job("everywhere"), *others, app_job("intruder", "batch"))


async def _follower(apps: AppMachine, app: App) -> Run:
    """The run that follows the first, once it is there."""
    async with asyncio.timeout(SECONDS):
        while True:
            changed = apps.house.changes.event(app.workspace_id)
            newest = await apps.apps.latest(app)
            if newest is not None and newest.number > 1:
                return newest
            await changed.wait()


async def test_newer_code_ends_an_app_that_nobody_uses_and_a_serve_starts_it(apps: AppMachine) -> None:
    """Semantics D5: what is being replaced is not the running app."""
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        await _deploy_newer(apps)
        served = await apps.serve("everywhere")
        assert served.id != run.id
        await apps.until_final(run)
        await apps.until(served, "running")


async def test_an_archived_jobs_app_is_ended_and_keeps_its_name(apps: AppMachine) -> None:
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        before = await apps.app("everywhere")
        await apps.house.jobs.archive(apps.house.principal, run.workspace_id, "jobs.apps.everywhere")
        done = await apps.until_final(run)
        assert (done.status, done.reason) == ("completed", "its job was archived")
        assert await apps.apps.find(before.slug) == before


async def test_when_an_app_has_ended_nothing_of_its_network_is_left(apps: AppMachine) -> None:
    async with apps.daemon():
        run, _ = await apps.until_ready("everywhere")
        holder = apps.holder(run)
        assert holder is not None
        await apps.house.runs.cancel(apps.house.principal, run.workspace_id, run.id)
        await apps.until_final(run)
    assert apps.holder(run) is None
    assert not is_alive(holder.sleeper)
    assert not is_alive(holder.relay)
