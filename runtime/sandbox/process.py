"""Runs a command in a sandbox to its end, line by line: for builds, which end with the daemon."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from runtime.errors import UnavailableError
from runtime.sandbox.detached import kill_and_wait
from runtime.sandbox.identity import children_of, identify
from runtime.sandbox.policy import SandboxPolicy, bwrap_argv
from runtime.sandbox.tools import find_tools

_BLOCK_BYTES = 64 * 1024
_LONGEST_LINE_BYTES = 64 * 1024


async def run_in_sandbox(
    policy: SandboxPolicy,
    command: Sequence[str],
    *,
    network_entry: Sequence[str] = (),
    on_line: Callable[[str], None],
    timeout_seconds: float,
) -> int:
    """Run `command` under `policy`; whatever happens, nothing of it is left running.

    On timeout and on cancellation everything inside is killed at once, and so it is if the daemon dies.

    Args:
        network_entry: From `NetworkHolders.entry`.
        on_line: Called with each line of stdout and stderr, as written, without its end.
        timeout_seconds: For the whole command.

    Returns:
        The exit code: the command's, or 128 + N if signal N ended it.

    Raises:
        TimeoutError: the time is over.
        UnavailableError: the sandbox cannot be made.
    """
    tools = await asyncio.to_thread(find_tools)
    policy = policy.model_copy(update={"dies_with_parent": True})
    # Started from the loop's own thread: "with parent" means with the thread that started it.
    try:
        process = await asyncio.create_subprocess_exec(
            *network_entry,
            *bwrap_argv(policy, command, tools=tools),
            env=policy.environment,
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(
            f"the sandbox could not be started: {error.strerror}", code="sandbox_unavailable"
        ) from error
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        async with asyncio.timeout(timeout_seconds):
            await _pass_lines(process.stdout, on_line)
            return await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill bubblewrap and wait until the sandbox's init, its only child, and so all inside have died with it."""
    inside = [init for pid in children_of(process.pid) if (init := identify(pid)) is not None]
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    for init in inside:
        await kill_and_wait(init)


async def _pass_lines(stream: asyncio.StreamReader, on_line: Callable[[str], None]) -> None:
    rest = b""
    while block := await stream.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            lines.append(rest)
            rest = b""
        for line in lines:
            on_line(line.decode(errors="replace").rstrip("\r"))
    if rest:
        on_line(rest.decode(errors="replace"))
