"""Commands in build sandboxes: their lines, their exit, and that nothing of them is left running."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.errors import UnavailableError
from runtime.sandbox.detached import wait_readable
from runtime.sandbox.identity import ProcessIdentity, children_of, identify, is_alive, open_pidfd
from runtime.sandbox.policy import Mount, SandboxPolicy
from runtime.sandbox.process import run_in_sandbox
from runtime.sandbox.system_mounts import system_view, write_system_files
from tests.processes import pids_with

pytest_plugins = ("tests.job_fixtures",)
pytestmark = pytest.mark.usefixtures("bubblewrap")

ROOT = Path(__file__).parents[2]


def policy_in(directory: Path, *mounts: Mount, base_prefix: Path | None = None) -> SandboxPolicy:
    write_system_files(directory / "etc", isolated_network=False)
    view = system_view(directory / "etc", base_prefix)
    return SandboxPolicy(
        mounts=(*view.mounts, *mounts),
        links=view.links,
        environment={"PATH": "/usr/bin:/bin"},
        working_directory="/tmp",
        share_network=False,
    )


async def run(policy: SandboxPolicy, *command: str, seconds: float = 30) -> tuple[int, list[str]]:
    lines: list[str] = []
    return await run_in_sandbox(policy, command, on_line=lines.append, timeout_seconds=seconds), lines


async def test_lines_of_stdout_and_stderr_come_as_written_and_the_exit_code_after_them(tmp_path: Path) -> None:
    script = "echo one; echo two >&2; printf 'thr\\303\\244e\\r\\n'; printf four; exit 3"
    assert await run(policy_in(tmp_path), "sh", "-c", script) == (3, ["one", "two", "thräe", "four"])


async def test_a_line_without_end_is_cut_and_nothing_is_lost(tmp_path: Path) -> None:
    code, lines = await run(policy_in(tmp_path), "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x")
    assert code == 0
    assert len(lines) > 1
    assert "".join(lines) == "x" * 300_000


async def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path) -> None:
    assert await run(policy_in(tmp_path), "sh", "-c", "sleep 1000 & echo done") == (0, ["done"])


async def test_a_timeout_kills_everything_inside(tmp_path: Path) -> None:
    found = asyncio.Event()
    left: list[ProcessIdentity] = []
    with pytest.raises(TimeoutError):
        await run_in_sandbox(
            policy_in(tmp_path),
            ["sh", "-c", "trap '' TERM; sleep 1000 & echo started; sleep 1000"],
            on_line=lambda _: note_family(left, found),
            timeout_seconds=1,
        )
    assert left
    assert not any(is_alive(process) for process in left)


async def test_a_cancelled_command_leaves_nothing(tmp_path: Path) -> None:
    found = asyncio.Event()
    left: list[ProcessIdentity] = []
    command = run_in_sandbox(
        policy_in(tmp_path),
        ["sh", "-c", "sleep 1000 & echo started; sleep 1000"],
        on_line=lambda _: note_family(left, found),
        timeout_seconds=60,
    )
    task = asyncio.create_task(command)
    await found.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left
    assert not any(is_alive(process) for process in left)


async def test_however_early_a_command_is_cancelled_nothing_of_it_is_left(tmp_path: Path) -> None:
    """bubblewrap that is killed while it starts does not take with it what it has made."""
    policy, mark = policy_in(tmp_path), f"{1000 + os.getpid() / 1e8:.8f}"
    try:
        for attempt in range(250):
            command = asyncio.create_task(
                run_in_sandbox(policy, ["sleep", mark], on_line=lambda _: None, timeout_seconds=60)
            )
            await asyncio.sleep(0.003 + attempt % 13 / 1000)
            command.cancel()
            await asyncio.wait({command}, timeout=10)
            assert command.cancelled()
        assert pids_with(mark) == []
    finally:
        for pid in pids_with(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_a_build_dies_with_a_killed_daemon(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from runtime.sandbox.policy import SandboxPolicy
from runtime.sandbox.process import run_in_sandbox
asyncio.run(run_in_sandbox(SandboxPolicy.model_validate_json(sys.argv[1]), ["sh", "-c", "echo started; sleep 1000"],
    on_line=lambda line: print(line, flush=True), timeout_seconds=60))
"""
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, policy_in(tmp_path).model_dump_json()),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout is not None
    assert await daemon.stdout.readline() == b"started\n"
    left = [process for pid in descendants(daemon.pid) if (process := identify(pid))]
    daemon.send_signal(signal.SIGKILL)
    await daemon.wait()
    assert left
    async with asyncio.timeout(10):
        for process in left:
            if (descriptor := open_pidfd(process)) is not None:
                await wait_readable(descriptor)
                os.close(descriptor)


async def test_of_the_place_where_an_interpreter_is_installed_only_the_installation_is_shown(tmp_path: Path) -> None:
    installation = tmp_path / "owner" / "versions" / "3.12.1"
    (installation / "bin").mkdir(parents=True)
    (installation / "bin" / "python").write_text("")
    (installation.parent / "3.12").symlink_to("3.12.1")
    (tmp_path / "owner" / "secret").write_text("")
    for base_prefix in (installation, installation.parent / "3.12"):
        policy = policy_in(tmp_path, base_prefix=base_prefix)
        code, lines = await run(policy, "sh", "-c", f"ls {tmp_path} {tmp_path}/owner; cat {base_prefix}/bin/python")
        assert code == 0, lines
        assert "secret" not in lines
        assert lines[:2] == [f"{tmp_path}:", "owner"]
        code, _ = await run(policy, "touch", f"{base_prefix}/bin/python")
        assert code != 0


async def test_without_the_network_there_is_only_a_loopback(tmp_path: Path) -> None:
    _, lines = await run(policy_in(tmp_path), "cat", "/proc/net/dev")
    assert [line.split(":")[0].strip() for line in lines if ":" in line] == ["lo"]


async def test_a_sandbox_that_cannot_be_entered_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="could not be started"):
        await run_in_sandbox(
            policy_in(tmp_path),
            ["true"],
            network_entry=["/absent/nsenter"],
            on_line=print,
            timeout_seconds=5,
        )


def note_family(into: list[ProcessIdentity], found: asyncio.Event) -> None:
    """Remember bubblewrap and all below it, children of this process."""
    into.extend(process for pid in descendants(os.getpid()) if (process := identify(pid)))
    found.set()


def descendants(pid: int) -> Sequence[int]:
    return [found for child in children_of(pid) for found in (child, *descendants(child))]
