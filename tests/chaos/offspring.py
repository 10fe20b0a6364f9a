"""Every process that a daemon has left behind, known by descent: orphans become children of whoever asked for that."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """While this is open, this process is the parent of all its descendants whose own parent has died."""
    _set_subreaper(True)
    try:
        yield
    finally:
        _set_subreaper(False)
        bury(set())


def bury(own: Set[int]) -> None:
    """Take the status of adopted children that have ended; `own` are those somebody else waits for."""
    for pid, parent, state, _ in _processes():
        if parent == os.getpid() and state == "Z" and pid not in own:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def descendants(of: int) -> dict[int, str]:
    """The living descendants of a process, each with the words that started it."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for pid, parent, state, words in _processes():
        if state not in ("Z", "X"):
            children.setdefault(parent, []).append(pid)
            names[pid] = words
    found: dict[int, str] = {}
    waiting = [of]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            found[pid] = names[pid]
            waiting.append(pid)
    return found


def end_offspring(but: Set[int] = frozenset()) -> None:
    """Kill every descendant of this process, and those they leave; `but` are spared."""
    while found := descendants(os.getpid()).keys() - but:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        bury(but)


def _set_subreaper(value: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _processes() -> Iterator[tuple[int, int, str, str]]:
    """Pid, parent, state and words of every process."""
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
            words = (directory / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
            yield int(directory.name), int(fields[1]), fields[0], words
