"""The lock on a state directory: one daemon, or one restore, at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import UnavailableError

LOCK = "lock"


@contextmanager
def sole_user(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this process alone; it is made if it is missing.

    Raises:
        UnavailableError: a daemon holds it, or it cannot be made.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state_dir / LOCK).open("w")
        if os.geteuid() == 0:  # a restore by root must leave the daemon its lock
            there = state_dir.stat()
            os.fchown(lock.fileno(), there.st_uid, there.st_gid)
    except OSError as error:
        raise UnavailableError(
            f"the state directory `{state_dir}` cannot be used: {error.strerror}", hint="see --state-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(
                f"another daemon uses the state directory `{state_dir}`", hint="stop it, or use --state-dir"
            ) from None
        yield
