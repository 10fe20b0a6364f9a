"""Runs from prepare to their end, with dlt's launchers in a real virtualenv."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.errors import UnavailableError
from runtime.runner.launch import UNRELEASED_EXIT_CODE, Launch, LiveProcess
from runtime.sandbox.detached import kill_and_wait
from runtime.sandbox.identity import ProcessIdentity, children_of, identify, is_alive, parent_of
from runtime.sandbox.tools import SandboxTools
from tests.job_machine import JobMachine
from tests.processes import pids_with, wait_for

pytest_plugins = ("tests.job_fixtures",)

ROOT = Path(__file__).parents[2]

JOB = """
from dlt._workspace.deployment import job

@job
def greet(run_context=None, name: str = "nobody"):
    print("hello", name)
    print(sorted(run_context), run_context["trigger"], run_context["refresh"], run_context.get("interval_start"))
    return "the end"
"""

GATE = """
import os, sys
print("waiting", flush=True)
open("/workspace/gate").read()
print("passed", flush=True)
sys.exit(5)
"""

FAMILY = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "1000"])
subprocess.Popen(["sleep", "1000"], start_new_session=True)
print("started", flush=True)
"""


async def test_a_decorated_job_runs_with_its_context_and_its_result_is_printed(machine: JobMachine) -> None:
    code, log = await machine.run(
        {"job.py": JOB},
        launcher="job",
        function="greet",
        config={"name": "shop"},
        refresh=True,
        interval_start="2025-01-01T00:00:00+00:00",
        interval_end="2025-01-02T00:00:00+00:00",
        interval_timezone="Europe/Berlin",
    )
    assert code == 0
    greeting, context, result = log.splitlines()
    assert greeting == "hello shop"
    assert context == (
        "['interval_end', 'interval_start', 'refresh', 'run_id', 'trigger']"
        " manual:jobs.job True 2025-01-01 01:00:00+01:00"
    )
    assert result == "the end"


async def test_a_plain_module_runs_as_main_as_python_m_would_run_it(machine: JobMachine) -> None:
    script = """
import sys, os
print(__name__, __spec__.name, sys.argv, sys.path[0], os.getcwd(), sys.stdin.read() == "")
import helper
"""
    code, log = await machine.run({"job.py": script, "helper.py": "print('helped')"})
    assert (code, log) == (0, "__main__ job ['/workspace/job.py'] /workspace /workspace True\nhelped\n")


async def test_stdout_and_stderr_are_interleaved_as_written(machine: JobMachine) -> None:
    script = "import sys\nfor n in range(50): print(n, file=(sys.stdout, sys.stderr)[n % 2])"
    _, log = await machine.run_script(script)
    assert log.split() == [str(n) for n in range(50)]


async def test_a_failing_job_ends_with_its_traceback_and_exit_code_1(machine: JobMachine) -> None:
    code, log = await machine.run({"job.py": "raise ValueError('no apples')"})
    assert code == 1
    assert log.splitlines()[-1] == "ValueError: no apples"


@pytest.mark.parametrize(
    ("files", "launcher", "function", "last"),
    [
        ({}, "module", None, "error: module `job` is not in the deployment"),
        ({}, "job", "greet", "error: module `job` is not in the deployment"),
        ({"job.py": "import absent_module"}, "module", None, "ModuleNotFoundError: No module named 'absent_module'"),
        ({"job.py": "import absent_module"}, "job", "greet", "ModuleNotFoundError: No module named 'absent_module'"),
        ({"job.py": ""}, "job", "greet", "error: Cannot resolve job 'job.greet': AttrNotFound"),
        ({"job.py": "greet = 1"}, "job", "greet", "error: Cannot resolve job 'job.greet': TypeCheck"),
    ],
)
async def test_what_cannot_be_found_is_said_in_the_last_line(
    machine: JobMachine, files: dict[str, str], launcher: str, function: str | None, last: str
) -> None:
    """Semantics S6."""
    code, log = await machine.run(files, launcher=launcher, function=function)
    assert code == 1
    assert log.splitlines()[-1].startswith(last)


async def test_exit_codes_are_reported_and_signals_as_128_and_their_number(machine: JobMachine) -> None:
    assert await machine.run_script("import sys; sys.exit(7)") == (7, "")
    assert await machine.run_script("import os; os.kill(os.getpid(), 11)") == (139, "")


async def test_a_run_is_over_when_its_own_process_is_and_what_it_left_is_ended(machine: JobMachine) -> None:
    launch = machine.launch({"job.py": FAMILY + "open('/workspace/gate').read()"})
    gate = make_gate(launch.working_copy)
    live = await machine.start(launch)
    open_gate(gate)
    left = [identify(pid) for pid in children_of(live.pid)]
    assert await machine.runner.wait(live) == 0
    assert len(left) > 0
    assert not any(is_alive(process) for process in left if process)
    assert not is_alive(live.identity)


async def test_sigterm_goes_to_the_jobs_own_process_which_may_end_in_peace(machine: JobMachine) -> None:
    """Semantics S2."""
    script = """
import signal, sys
def stop(number, frame):
    print("stopping", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open("/workspace/gate").read()
signal.pause()
"""
    launch = machine.launch({"job.py": script})
    gate = make_gate(launch.working_copy)
    live = await machine.start(launch)
    open_gate(gate)
    assert machine.runner.terminate(live)
    assert await machine.runner.wait(live) == 0
    assert machine.log(launch.run_id) == "stopping\n"
    assert not machine.runner.terminate(live)


async def test_kill_ends_everything_inside_even_what_ignores_sigterm(machine: JobMachine) -> None:
    """Semantics S2."""
    script = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY
    launch = machine.launch({"job.py": script + "open('/workspace/gate').read()\nsignal.pause()"})
    gate = make_gate(launch.working_copy)
    live = await machine.start(launch)
    open_gate(gate)
    family = [identify(pid) for pid in descendants(live.pid)]
    assert len(family) == 3
    machine.runner.terminate(live)
    assert is_alive(live.identity)
    machine.runner.kill(live)
    assert await machine.runner.wait(live) == 137
    assert not any(is_alive(process) for process in family if process)


async def test_a_sandbox_whose_monitor_was_killed_reports_nothing_and_leaves_nothing(machine: JobMachine) -> None:
    """Semantics S6: the run is judged by None, not by a guess."""
    launch = machine.launch({"job.py": GATE})
    make_gate(launch.working_copy)
    live = await machine.start(launch)
    monitor = identify(parent_of(live.pid) or 0)
    assert monitor is not None
    await kill_and_wait(monitor)
    assert await machine.runner.wait(live) is None
    assert not is_alive(live.identity)


async def test_a_discarded_sandbox_leaves_no_process_and_no_file(machine: JobMachine) -> None:
    launch = machine.launch({"job.py": GATE})
    prepared = await machine.runner.prepare(launch)
    await machine.runner.discard(prepared)
    assert not is_alive(prepared.live.identity)
    assert list(machine.runner.live_dir.iterdir()) == []


async def test_nothing_of_the_job_runs_before_it_is_released(machine: JobMachine) -> None:
    launch = machine.launch({"job.py": "print('ran')"})
    prepared = await machine.runner.prepare(launch)
    os.close(prepared.order_fd)  # as if the daemon had died
    assert await machine.runner.wait(prepared.live) == UNRELEASED_EXIT_CODE
    assert machine.log(launch.run_id) == ""
    assert not machine.runner.was_released(prepared.live, UNRELEASED_EXIT_CODE)


async def test_a_job_may_end_with_any_exit_code_without_a_word(machine: JobMachine) -> None:
    """Also with the one of a sandbox that got no order, which would be begun again."""
    live = await machine.start(machine.launch({"job.py": f"raise SystemExit({UNRELEASED_EXIT_CODE})"}))
    assert await machine.runner.wait(live) == UNRELEASED_EXIT_CODE
    assert machine.runner.was_released(live, UNRELEASED_EXIT_CODE)


@pytest.mark.parametrize("says", ["", "echo bwrap: no"])
async def test_a_sandbox_that_is_given_up_before_it_has_begun_leaves_no_process(
    machine: JobMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """Not even a zombie: cancelled while bubblewrap still works at it, or after it took too long."""
    stuck = tmp_path / "stuck"
    stuck.write_text(f"#!/bin/sh\n{says}\nsleep 1000\n")
    stuck.chmod(0o755)
    monkeypatch.setattr("runtime.runner.runner.find_tools", lambda: SandboxTools(bwrap=str(stuck)))
    before = set(children_of(os.getpid()))
    if says:
        monkeypatch.setattr("runtime.runner.runner._START_SECONDS", 0.5)
        with pytest.raises(UnavailableError, match="bwrap: no"):
            await machine.runner.prepare(machine.launch({}))
    else:
        preparing = asyncio.create_task(machine.runner.prepare(machine.launch({})))
        async with asyncio.timeout(10):
            while not any(children_of(pid) for pid in set(children_of(os.getpid())) - before):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        preparing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await preparing
    assert set(children_of(os.getpid())) <= before


async def test_an_order_larger_than_a_pipe_arrives_whole(machine: JobMachine) -> None:
    value = "x" * 300_000
    code, log = await machine.run({"job.py": JOB}, launcher="job", function="greet", config={"name": value})
    assert code == 0
    assert log.startswith(f"hello {value}\n")


async def test_a_launcher_that_cannot_be_imported_fails_the_run_with_the_reason(machine: JobMachine) -> None:
    """Semantics S6."""
    code, log = await machine.run({"job.py": ""}, launcher="absent")
    assert code == 1
    assert log.splitlines()[-1].startswith("ModuleNotFoundError: No module named 'dlt._workspace.deployment.launchers")


async def test_processes_started_afresh_by_multiprocessing_find_the_job(machine: JobMachine) -> None:
    script = """
import multiprocessing
def double(n):
    return 2 * n
def work():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(double, [1, 2]))
if __name__ == "__main__":
    work()
"""
    assert await machine.run_script(script) == (0, "[2, 4]\n")
    decorated = script.partition("if __name__")[0] + "from dlt._workspace.deployment import job\nwork = job(work)\n"
    assert await machine.run({"job.py": decorated}, launcher="job", function="work") == (0, "[2, 4]\n")


async def test_pipelines_load_and_their_data_and_state_are_there_for_the_next_run(machine: JobMachine) -> None:
    script = """
import dlt
@dlt.resource
def numbers(cursor=dlt.sources.incremental("n", initial_value=0)):
    yield [{"n": n} for n in range(cursor.last_value + 1, cursor.last_value + 4)]
pipeline = dlt.pipeline("shop", destination="duckdb", dataset_name="data")
pipeline.run(numbers())
with pipeline.sql_client() as client:
    print([row[0] for row in client.execute_sql("SELECT n FROM numbers ORDER BY n")])
"""
    assert await machine.run_script(script) == (0, "[1, 2, 3]\n")
    assert await machine.run_script(script) == (0, "[1, 2, 3, 4, 5, 6]\n")
    var = machine.state / "data" / "var"
    assert (var / "pipelines" / "shop" / "state.json").exists()
    assert (var / "artifacts" / "shop" / "trace.pickle").exists()
    assert (machine.state / "data" / "local" / "shop.duckdb").exists()


DAEMON = """
import asyncio, json, os, pathlib, signal, sys, uuid
from runtime.runner import runner
from runtime.runner.launch import Launch
from runtime.sandbox.tools import SandboxTools
from tests.job_machine import JobMachine

async def main():
    state, venv, workspace_id, launch, release = sys.argv[1:]
    machine = JobMachine.on(pathlib.Path(state), pathlib.Path(venv), uuid.UUID(workspace_id))
    launch = Launch.model_validate_json(launch)
    if release == "early":
        slow = pathlib.Path(state) / "slow-bwrap"
        slow.write_text('#!/bin/sh\\nsleep 0.5\\nexec bwrap "$@"\\n')
        slow.chmod(0o755)
        runner.find_tools = lambda: SandboxTools(bwrap=str(slow))
        runner._init_of = lambda spawned: os.kill(os.getpid(), signal.SIGKILL)
    prepared = await machine.runner.prepare(launch)
    print(prepared.live.model_dump_json(), flush=True)
    if release == "release":
        await machine.release(prepared, launch)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def killed_daemon(machine: JobMachine, script: str, *, release: bool) -> LiveProcess:
    """A daemon that starts a run, releases it or not, and is killed at once."""
    launch = machine.launch({"job.py": script})
    make_gate(launch.working_copy)
    said = await daemon_killed(machine, launch, "release" if release else "keep")
    return LiveProcess.model_validate_json(next(line for line in said.splitlines() if line.startswith(b"{")))


async def daemon_killed(machine: JobMachine, launch: Launch, when: str) -> bytes:
    """What a daemon has said that was killed after it had released a run, before that, or before it knew its init."""
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DAEMON, str(machine.state), str(machine.venv), str(machine.workspace_id)),
        *(launch.model_dump_json(), when),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout is not None
    said = await daemon.stdout.read()
    assert await daemon.wait() == -signal.SIGKILL
    return said


async def test_a_released_run_outlives_a_killed_daemon_and_is_adopted(machine: JobMachine) -> None:
    """Design decision 4."""
    live = await killed_daemon(machine, GATE, release=True)
    assert machine.runner.adopt(live)
    open_gate(machine.state / "runs" / str(live.run_id) / "workspace" / "gate")
    assert await machine.runner.wait(live) == 5
    assert machine.log(live.run_id) == "waiting\npassed\n"


async def test_an_unreleased_run_ends_with_its_daemon_and_says_so(machine: JobMachine) -> None:
    """Design decision 5."""
    live = await killed_daemon(machine, GATE, release=False)
    machine.runner.adopt(live)
    assert await machine.runner.wait(live) == UNRELEASED_EXIT_CODE
    assert machine.log(live.run_id) == ""


async def test_a_sandbox_ends_whose_daemon_died_before_bubblewrap_could_tell_it_of_the_init(
    machine: JobMachine,
) -> None:
    """Design decision 5; bubblewrap's child waits for a word of its parent, which dies where a pipe is broken."""
    launch = machine.launch({"job.py": GATE})
    await daemon_killed(machine, launch, "early")
    await asyncio.to_thread(wait_for, lambda: not pids_with(str(launch.run_id)), "nothing of the run is left", 15)


async def test_an_unreleased_sandbox_that_ends_late_does_not_report_for_the_run_prepared_after_it(
    machine: JobMachine,
) -> None:
    """Design decision 5: the next daemon may have prepared the run again before the first sandbox is gone."""
    launch = machine.launch({"job.py": "print('hello')\n"})
    abandoned = await machine.runner.prepare(launch)
    monitor = parent_of(abandoned.live.pid) or 0
    os.kill(monitor, signal.SIGSTOP)
    os.close(abandoned.order_fd)  # as the end of its daemon does
    machine.runner = JobMachine.on(machine.state, machine.venv).runner

    live = await machine.start(launch)
    os.kill(monitor, signal.SIGCONT)

    assert await machine.runner.wait(live) == 0
    assert machine.log(launch.run_id) == "hello\n"


async def test_a_run_that_ended_while_there_was_no_daemon_is_not_adopted_but_known(machine: JobMachine) -> None:
    live = await machine.start(launch := machine.launch({"job.py": "raise SystemExit(9)"}))
    assert await machine.runner.wait(live) == 9
    later = JobMachine.on(machine.state, machine.venv)
    assert not later.runner.adopt(live)
    assert await later.runner.wait(live) == 9
    later.runner.forget(launch.run_id)
    assert await later.runner.wait(live) is None


async def test_another_process_with_the_pid_of_a_run_is_neither_adopted_nor_signalled(machine: JobMachine) -> None:
    """Design decision 4: pid and start time and boot."""
    own = identify(os.getpid())
    assert own is not None
    for stranger in (
        ProcessIdentity(pid=own.pid, started=own.started - 1, boot_id=own.boot_id),
        ProcessIdentity(pid=own.pid, started=own.started, boot_id="another boot"),
    ):
        live = LiveProcess.of(uuid4(), stranger)
        assert not machine.runner.adopt(live)
        assert not machine.runner.terminate(live)
        assert not machine.runner.kill(live)
        assert await machine.runner.wait(live) is None


async def test_a_mount_point_that_is_a_link_is_refused(machine: JobMachine, tmp_path: Path) -> None:
    launch = machine.launch({"job.py": ""})
    (launch.working_copy / "_local").symlink_to(tmp_path)
    with pytest.raises(UnavailableError, match="must not be a link"):
        await machine.runner.prepare(launch)


async def test_a_directory_that_is_gone_is_named_by_what_it_is_for(machine: JobMachine, tmp_path: Path) -> None:
    launch = machine.launch({"job.py": ""}, environment=tmp_path / "absent")
    with pytest.raises(UnavailableError, match="`/venv`"):
        await machine.runner.prepare(launch)


def make_gate(working_copy: Path) -> Path:
    """A FIFO at which a job waits until the test opens it."""
    gate = working_copy / "gate"
    os.mkfifo(gate)
    return gate


def open_gate(gate: Path) -> None:
    """Wait until the job is there, then let it pass."""
    with gate.open("w"):
        pass


def descendants(pid: int) -> list[int]:
    return [found for child in children_of(pid) for found in (child, *descendants(child))]
