"""Starts processes that outlive the daemon, and waits for processes that may not be its children."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence

from runtime.errors import UnavailableError


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
    return process.pid


def reap(pid: int) -> None:
    """Take the exit status of an ended child so that no zombie stays; harmless for other processes."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


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
