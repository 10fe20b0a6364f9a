"""Which process is meant: a pid alone is reused, pid, start time and boot together are not."""

import contextlib
import os
import signal
from pathlib import Path

from runtime.domain.model import Frozen

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ProcessIdentity(Frozen):
    """One process of one boot; `started` is in clock ticks since the boot."""

    pid: int
    started: int
    boot_id: str


def boot_id() -> str:
    """The kernel's name for the present boot."""
    return _BOOT_ID.read_text().strip()


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has this pid now; None if there is none, or only its zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return ProcessIdentity(pid=pid, started=int(fields[19]), boot_id=boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still runs."""
    return identify(identity.pid) == identity


def is_running(identity: ProcessIdentity) -> bool:
    """Whether exactly this process is there and is not stopped."""
    fields = _stat(identity.pid)
    return fields is not None and fields[0] not in ("T", "t", "Z", "X") and is_alive(identity)


def parent_of(pid: int) -> int | None:
    """The parent's pid, or None where there is no such process."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def children_of(pid: int) -> list[int]:
    """The pids of the children, of each thread in the order in which they became that."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        # A child belongs to the thread that made it, for as long as that is there.
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                children += [int(word) for word in (thread / "children").read_text().split()]
    return children


def name_of(pid: int) -> str:
    """The program's short name; empty where there is no such process."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def open_pidfd(identity: ProcessIdentity) -> int | None:
    """A descriptor that stands for exactly this process and turns readable at its end; None if it has ended."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return None
    # Looked at after opening: if it is the right one now, the descriptor means the right one for good.
    if is_alive(identity):
        return descriptor
    os.close(descriptor)
    return None


def send_signal(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Signal exactly this process; False if it has ended."""
    descriptor = open_pidfd(identity)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def _stat(pid: int) -> list[str] | None:
    """Fields 3 and following of /proc/<pid>/stat: the state, the parent, ...; the start time is at index 19."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may itself hold spaces and parentheses.
    return text.rpartition(")")[2].split()
