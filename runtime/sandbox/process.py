"""Runs a command in a sandbox to its end, line by line: for builds, which end with the daemon.

Builds run strangers' code as jobs do, so they are kept within a machine size by the same means.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runtime.domain.machines import Overuse, overuse_reason
from runtime.errors import UnavailableError
from runtime.sandbox.confinement import Confinement, in_memory_bytes, inside
from runtime.sandbox.detached import end_with_children
from runtime.sandbox.guard import DiskGuard, MemoryGuard, until_overuse
from runtime.sandbox.identity import ProcessIdentity, children_of, identify
from runtime.sandbox.ledger import DiskAccount
from runtime.sandbox.policy import SHARED_MEMORY, SandboxPolicy, bwrap_argv
from runtime.sandbox.precedence import behind_the_daemon
from runtime.sandbox.quota import taken_bytes
from runtime.sandbox.seccomp import passed_filter
from runtime.sandbox.tools import find_tools

_BLOCK_BYTES = 64 * 1024
_LONGEST_LINE_BYTES = 64 * 1024
_LOOK_SECONDS = 0.02


class OveruseError(UnavailableError):
    """A command was ended because it used more than its machine size has; the message says what and how much."""


async def run_in_sandbox(
    policy: SandboxPolicy,
    command: Sequence[str],
    *,
    network_entry: Sequence[str] = (),
    confinement: Confinement | None = None,
    writes_to: Sequence[Path] = (),
    pass_fds: Sequence[int] = (),
    on_line: Callable[[str], None],
    timeout_seconds: float | None,
) -> int:
    """Run `command` under `policy`; whatever happens, nothing of it is left running.

    On timeout, on overuse and on cancellation everything inside is killed at once, and so it is if the daemon dies.

    Args:
        network_entry: From `NetworkHolders.entry`.
        confinement: What it may use; None is no limit.
        writes_to: Directories on one file system whose growth counts as the disk it uses.
        pass_fds: Descriptors that are open inside, under the same numbers.
        on_line: Called with each line of stdout and stderr, as written, without its end.
        timeout_seconds: For the whole command; None is without end.

    Returns:
        The exit code: the command's, or 128 + N if signal N ended it.

    Raises:
        TimeoutError: the time is over.
        OveruseError: it used more than it may.
        UnavailableError: the sandbox cannot be made.
    """
    tools = await asyncio.to_thread(find_tools)
    in_memory = in_memory_bytes(confinement.machine) if confinement else None
    policy = policy.model_copy(update={"dies_with_parent": True, "in_memory_bytes": in_memory})
    first = next(iter(network_entry), tools.bwrap)
    if shutil.which(first) is None:
        raise UnavailableError(f"the sandbox could not be started: there is no `{first}`", code="sandbox_unavailable")
    is_counted = confinement is None or confinement.limits.memory == "control group"
    async with _group_for(confinement) as group:
        # Started from the loop's own thread: "with parent" means with the thread that started it.
        try:
            with passed_filter(memory_is_counted=is_counted) as filters:
                sandbox = bwrap_argv(
                    policy,
                    [*_inside(confinement, writes_to), *command],
                    seccomp_fd=next(iter(filters), None),
                    tools=tools,
                )
                process = await _start(
                    [*behind_the_daemon(group), *network_entry, *sandbox], policy.environment, (*filters, *pass_fds)
                )
        except OSError as error:
            raise UnavailableError(
                f"the sandbox could not be started: {error.strerror}", code="sandbox_unavailable"
            ) from error
        try:
            async with asyncio.timeout(timeout_seconds):
                guards = _guards(process, policy, confinement, writes_to) if confinement else []
                exit_code = await _unless_overused(_to_end(process, on_line), guards)
        finally:
            if process.returncode is None:
                await _end(process)
        if exit_code != 0 and confinement is not None and group is not None:
            _raise_if_killed_for_memory(confinement, group)
        return exit_code


async def _start(
    argv: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int]
) -> asyncio.subprocess.Process:
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            env=environment,
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # asyncio itself would kill bubblewrap alone, and what that has made would go on.
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise


def _inside(confinement: Confinement | None, writes_to: Sequence[Path]) -> list[str]:
    if confinement is None:
        return []
    disk = confinement.machine.disk
    largest = disk + taken_bytes(writes_to[0]) if disk is not None and writes_to else None
    return inside(confinement.machine, confinement.limits, largest)


@asynccontextmanager
async def _group_for(confinement: Confinement | None) -> AsyncIterator[Path | None]:
    """A control group with the machine's limits, for as long as this is open; None where there are none."""
    groups = confinement.groups if confinement else None
    if confinement is None or groups is None:
        yield None
        return
    try:
        group = groups.create_for_build(confinement.machine)
    except OSError as error:
        raise UnavailableError(
            f"the sandbox's control group cannot be made: {error.strerror}", code="sandbox_unavailable"
        ) from error
    try:
        yield group
    finally:
        await asyncio.to_thread(groups.remove, group.name)


def _raise_if_killed_for_memory(confinement: Confinement, group: Path) -> None:
    machine, groups = confinement.machine, confinement.groups
    usage = groups.usage(group.name) if groups else None
    if usage is None or not usage.memory_kills or machine.memory is None:
        return
    used = usage.peak_memory or machine.memory
    raise _overused(Overuse(cause="memory", used=used, limit=machine.memory, machine=machine.name))


def _overused(overuse: Overuse) -> OveruseError:
    return OveruseError(overuse_reason(overuse), code="overuse")


def _guards(
    process: asyncio.subprocess.Process, policy: SandboxPolicy, confinement: Confinement, writes_to: Sequence[Path]
) -> list[Coroutine[Any, Any, Overuse]]:
    machine = confinement.machine

    async def watch_memory() -> Overuse:
        places = (*policy.empty_directories, SHARED_MEMORY)
        return await until_overuse(MemoryGuard(await _init_of(process), machine, places), pid=str(process.pid))

    async def watch_disk() -> Overuse:
        account = DiskAccount(confinement.ledger, await _init_of(process), (), [(place,) for place in writes_to])
        guard = DiskGuard(account, machine)
        try:
            return await until_overuse(guard, pid=str(process.pid))
        finally:
            guard.end()

    return [watch_disk(), *([watch_memory()] if confinement.limits.memory == "watched" else [])]


async def _init_of(process: asyncio.subprocess.Process) -> ProcessIdentity:
    """The sandbox's init, bubblewrap's only child, as soon as it is there."""
    while True:
        for pid in children_of(process.pid):
            if (init := identify(pid)) is not None:
                return init
        await asyncio.sleep(_LOOK_SECONDS)


async def _unless_overused(work: Coroutine[Any, Any, int], guards: Sequence[Coroutine[Any, Any, Overuse]]) -> int:
    """The result of `work`, unless a guard finds something before.

    Raises:
        OveruseError: one has.
    """
    working = asyncio.create_task(work)
    watching = [asyncio.create_task(each) for each in guards]
    try:
        done, _ = await asyncio.wait({working, *watching}, return_when=asyncio.FIRST_COMPLETED)
        for guard in watching:
            if guard in done and working not in done:
                raise _overused(guard.result())
        return await working
    finally:
        working.cancel()
        for guard in watching:
            guard.cancel()
        await asyncio.gather(working, *watching, return_exceptions=True)


async def _to_end(process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> int:
    assert process.stdout is not None  # noqa: S101 - asked for by whoever started it
    await _pass_lines(process.stdout, on_line)
    return await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill bubblewrap and the sandbox's init, its only child, and wait until these and so all inside have died."""
    await end_with_children(process.pid)
    await process.wait()


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
