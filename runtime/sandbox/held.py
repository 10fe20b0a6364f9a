"""What processes hold on to: files without a name that take room all the same, and files that they write to.

A file that is open can be measured at its descriptor. One that is only mapped, or on its way from process to process in
a socket, can be seen but not measured without privileges; so can it be seen that a process keeps its descriptors to
itself. Whoever has any of these is said to hide something.
"""

import contextlib
import ctypes
import os
import platform
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from runtime.domain.model import Frozen
from runtime.sandbox.memory import MOST_PROCESSES
from runtime.sandbox.quota import BLOCK_BYTES, DiskUse

MOST_DESCRIPTORS = 50_000
"""Of one sandbox that are looked at, its threads among them; whoever has more hides something."""

_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272}.get(platform.machine(), -1)  # -1: the kernel knows it not
_KCMP_FILES = 2
_libc = ctypes.CDLL(None)


class HeldFiles(Frozen):
    """The nameless files of some processes, and the numbers of the files on that disk which they have open to write."""

    nameless: DiskUse = DiskUse()
    written: frozenset[int] = frozenset()


class _Found:
    """What has been seen so far on a device."""

    def __init__(self, device: int) -> None:
        self.device = device
        self.nameless: dict[int, int] = {}
        self.mapped: set[int] = set()
        self.written: set[int] = set()
        self.hides = False
        self.entries = 0


def held_files(pids: Sequence[int], device: int) -> HeldFiles:
    """What these processes hold of a device's files; blocks while it looks.

    Args:
        pids: Without the sandbox's init, which holds nothing of its job's.
    """
    found = _Found(device)
    found.hides = len(pids) + 1 >= MOST_PROCESSES  # there may be more than could be listed
    looked_at = 0
    for pid in pids:
        # Each thread may have descriptors of its own, and go on when the first has ended.
        for thread in _entries(f"/proc/{pid}/task", found, pid):
            if not _share_descriptors(looked_at, int(thread.name)):
                _look_at_descriptors(Path(thread.path), found)
                looked_at = int(thread.name)
        _look_at_mappings(pid, found)
    return HeldFiles(
        nameless=DiskUse(
            bytes=sum(found.nameless.values()), hides=found.hides or not found.mapped <= found.nameless.keys()
        ),
        written=frozenset(found.written),
    )


def written_bytes(pids: Sequence[int]) -> int:
    """What processes, and those they have waited for, have written to disks up to now; of some it cannot be known."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{pid}/io").read_text().splitlines():
                if line.startswith("write_bytes:"):
                    total += int(line.split()[1])
    return total


def _share_descriptors(one: int, other: int) -> bool:
    """Whether two threads are known to have the same descriptors; where we may not ask, they are not."""
    return bool(_libc.syscall(_KCMP, one, other, _KCMP_FILES, 0, 0) == 0)


def _look_at_descriptors(thread: Path, found: _Found) -> None:
    for entry in _entries(f"{thread}/fd", found, thread):
        with contextlib.suppress(OSError):  # closed
            status = Path(entry.path).stat()
            if stat.S_ISSOCK(status.st_mode):
                found.hides |= _carries_descriptors(thread / "fdinfo" / entry.name)
            if not stat.S_ISREG(status.st_mode) or status.st_dev != found.device:
                continue
            if status.st_nlink == 0:
                found.nameless[status.st_ino] = status.st_blocks * BLOCK_BYTES
            elif entry.stat(follow_symlinks=False).st_mode & stat.S_IWUSR:  # how it is open
                found.written.add(status.st_ino)


def _carries_descriptors(socket_info: Path) -> bool:
    """Whether descriptors that were sent wait in a socket; the kernel says since 5.11."""
    lines = socket_info.read_text().splitlines()
    return any(line.startswith("scm_fds:") and line.split()[1] != "0" for line in lines)


def _look_at_mappings(pid: int, found: _Found) -> None:
    try:
        with Path(f"/proc/{pid}/maps").open("rb") as lines:
            for line in lines:
                if not line.endswith(b" (deleted)\n"):
                    continue
                _, _, _, device, inode, *_ = line.split(maxsplit=5)
                major, _, minor = device.partition(b":")
                if os.makedev(int(major, 16), int(minor, 16)) == found.device:
                    found.mapped.add(int(inode))
    except PermissionError:
        found.hides |= _has_memory(f"/proc/{pid}")
    except OSError:
        return


def _entries(directory: str, found: _Found, process: Path | int) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                found.entries += 1
                if found.entries > MOST_DESCRIPTORS:
                    found.hides = True
                    return
                yield entry
    except PermissionError:
        # So it is with whoever keeps its descriptors from us, and with whoever is just ending, who has none any more.
        found.hides |= _has_memory(f"/proc/{process}" if isinstance(process, int) else str(process))
    except OSError:
        return


def _has_memory(process: str) -> bool:
    with contextlib.suppress(OSError):
        return "\nVmSize:" in Path(f"{process}/status").read_text(errors="replace")
    return False
