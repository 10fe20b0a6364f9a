"""How much memory a sandbox uses, where no control group counts it: its processes and its files in memory, added up.

Pages that several of its processes share count once, and what the kernel may take back at any time, pages of files on
disk, not at all. Reading is cheap as long as a rough sum, which counts shared pages for each process, is below the
limit; only beyond it is the exact one asked for.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from runtime.sandbox.identity import children_of

MOST_PROCESSES = 4096
"""Of one sandbox that are looked at."""


def total_memory() -> int:
    """Bytes of memory this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def processes_of(init_pid: int) -> list[int]:
    """The sandbox's init and all its descendants: whoever loses a parent inside becomes a child of the init."""
    found, waiting = [init_pid], [init_pid]
    while waiting and len(found) < MOST_PROCESSES:
        children = children_of(waiting.pop())
        found += children
        waiting += children
    return found


def used_memory(init_pid: int, in_memory: Sequence[str], limit: int) -> int:
    """Bytes in use; exact where it matters, beyond the limit, and no less than the truth below it.

    Args:
        init_pid: The sandbox's init.
        in_memory: Directories of the sandbox whose files are kept in memory.
        limit: Above it the sum is made exactly.
    """
    files = sum(_files_bytes(init_pid, place) for place in in_memory)
    pids = processes_of(init_pid)
    rough = files + sum(_resident_bytes(pid) for pid in pids)
    if rough <= limit:
        return rough
    private, shared = 0, 0
    for pid in pids:
        own, common = _proportional_bytes(pid)
        private += own
        shared += common
    # A file in memory that is mapped is counted both ways.
    return private + max(shared, files)


def _files_bytes(init_pid: int, place: str) -> int:
    root = Path(f"/proc/{init_pid}/root")
    with contextlib.suppress(OSError):
        if root.samefile("/"):
            return 0  # it is still being made, and would answer for the machine's own directory
        # Not below the root by a path of ours: this one leads through the process into its own tree of mounts.
        there = os.statvfs(f"{root}{place}")
        return (there.f_blocks - there.f_bfree) * there.f_frsize
    return 0


def _resident_bytes(pid: int) -> int:
    """Anonymous and shared memory; not the pages of files, which the kernel takes back when it must."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return 0


def _proportional_bytes(pid: int) -> tuple[int, int]:
    """The process's share of anonymous memory, and of shared memory."""
    fields: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, amount, *_ = line.split()
            fields[name] = int(amount) * 1024
    if not fields:  # it has just ended, or its memory is not to be looked at
        return _resident_bytes(pid), 0
    return fields.get("Pss_Anon:", 0), fields.get("Pss_Shmem:", 0)
