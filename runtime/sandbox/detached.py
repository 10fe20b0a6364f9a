"""Starts processes that outlive the daemon, and waits for processes that may not be its children."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from runtime.errors import UnavailableError
from runtime.sandbox.identity import ProcessIdentity, children_of, identify, is_running, open_pidfd, send_signal

_STOP_LOOKS, _LOOK_SECONDS = 200, 0.0005

_unreaped: set[int] = set()
"""Children whose exit status nobody has taken yet; any other process's is not ours to take."""


def spawn_detached(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    output: int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> int:
    """Start a process in a session of its own that inherits `stdin`, `output` (stdout and stderr) and `pass_fds`.

    Nothing ties it to the daemon: no terminal, no process group, no other descriptor. `reap` it once it has ended.

    Returns:
        Its pid.

    Raises:
        UnavailableError: the program could not be started.
    """
    try:
        process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd="/",
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except OSError as error:
        raise UnavailableError(
            f"`{argv[0]}` could not be started: {error.strerror}", code="sandbox_unavailable"
        ) from error
    # Popen thinks a process it is not told the end of is a leak; ours is followed by pidfd and reaped by `reap`.
    process.returncode = 0
    _unreaped.add(process.pid)
    return process.pid


def unbreakable_pipe() -> tuple[int, int]:
    """A pipe whose writer never finds it broken, since it reads from it as well; close both.

    bubblewrap that could not say who its child is would leave it: the child waits for a word of its parent, for good.

    Returns:
        The reader's end and the writer's.
    """
    reader, writer = os.pipe()
    try:
        return reader, os.open(f"/proc/self/fd/{writer}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)


def reap(pid: int) -> None:
    """Take the exit status of a process from `spawn_detached` that has ended, so that no zombie stays.

    Harmless for a process that still runs or that an earlier daemon started.
    """
    if pid not in _unreaped:
        return
    try:
        has_ended = os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        has_ended = True
    if has_ended:
        _unreaped.discard(pid)


async def kill_and_wait(identity: ProcessIdentity) -> None:
    """Send SIGKILL to exactly this process, if it still runs, and wait until it has ended."""
    descriptor = open_pidfd(identity)
    if descriptor is not None:
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            await wait_readable(descriptor)
        finally:
            os.close(descriptor)
    reap(identity.pid)


async def kill_all(processes: Sequence[ProcessIdentity]) -> None:
    """Send SIGKILL to each before any is waited for, so that a daemon that dies meanwhile leaves none; then wait."""
    for process in processes:
        send_signal(process, signal.SIGKILL)
    for process in processes:
        await kill_and_wait(process)


async def end_with_children(pid: int) -> None:
    """Kill a process and its children, and take its exit status, if it is from `spawn_detached`, once all have ended.

    A sandbox's init is one, and with it goes all inside. bubblewrap that is killed alone while it starts leaves its
    child, which has not asked yet to be killed with it.
    """
    parent = identify(pid)
    if parent is not None:
        _stop(parent)  # so that no child comes to be behind our back
        family = [parent, *(child for each in children_of(pid) if (child := identify(each)) is not None)]
        await kill_all(family)
    reap(pid)


def _stop(process: ProcessIdentity) -> None:
    """Stop a process and see that it has stopped: what it is in the middle of, making a child say, it ends before."""
    send_signal(process, signal.SIGSTOP)
    for _ in range(_STOP_LOOKS):  # blocks, so that nobody is cancelled here and leaves it stopped
        if not is_running(process):
            return
        time.sleep(_LOOK_SECONDS)


async def wait_readable(*descriptors: int) -> None:
    """Wait until one of the descriptors is readable: a pidfd is when its process has ended."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    for descriptor in descriptors:
        loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        for descriptor in descriptors:
            loop.remove_reader(descriptor)


async def wait_writable(descriptor: int) -> None:
    """Wait until a pipe takes more, or has lost its reader."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)
