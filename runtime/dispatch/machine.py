"""What the runtime's machine has and has left: memory, disk, and the sizes that jobs may ask for.

Every user may know it: jobs are refused, wait or are ended for want of these, whoever's they are. Nothing here names a
path, a process or another workspace.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.dispatch.space import Space
from runtime.domain.machines import Machine


@dataclass(frozen=True)
class MachineView:
    """All in bytes.

    Attributes:
        memory_available: What programs can still get without anything being swapped out.
        disk: The file system of the state directory; `disk_free` is what the daemon can still write, and
            `disk_reserved` what it keeps of that for the ends of runs.
        daemon_memory: What the daemon's own process takes.
    """

    memory: int
    memory_available: int
    disk: int
    disk_free: int
    disk_reserved: int
    daemon_memory: int
    processors: int
    sizes: Sequence[Machine]


class MachineService:
    """Asks the kernel.

    Args:
        sizes: Machine sizes by name.
    """

    def __init__(self, space: Space, sizes: Mapping[str, Machine]) -> None:
        self._space = space
        self._sizes = [sizes[name] for name in sorted(sizes)]

    async def look(self) -> MachineView:
        """The machine at this moment."""
        return await asyncio.to_thread(self._look)  # a file system may be slow to answer

    def _look(self) -> MachineView:
        memory = _meminfo()
        return MachineView(
            memory=memory["MemTotal"],
            memory_available=memory["MemAvailable"],
            disk=self._space.total_bytes,
            disk_free=self._space.free_bytes,
            disk_reserved=self._space.reserve_bytes,
            daemon_memory=_own_memory(),
            processors=len(os.sched_getaffinity(0)),
            sizes=self._sizes,
        )


def _meminfo() -> dict[str, int]:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}


def _own_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
