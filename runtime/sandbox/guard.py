"""Watches what a sandbox uses, where the kernel does not: memory if no control group counts it, and disk in any case.

It looks more often the closer it is to its limit. Disk is walked only when the file system has become fuller by so much
that the limit may have been passed; until then one question to the file system is all it costs.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from runtime.domain.machines import Machine, Overuse
from runtime.sandbox.identity import ProcessIdentity, is_alive
from runtime.sandbox.ledger import DiskAccount
from runtime.sandbox.memory import used_memory
from runtime.sandbox.quota import free_bytes

_FASTEST_FILLING = 4 * 1024**3  # bytes a second that a job may take at most, as we reckon
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 0.5
_DISK_SECONDS = 0.5
_AGAIN_SECONDS = 5.0

log = structlog.get_logger()


class MemoryGuard:
    """Looks at the memory of one sandbox.

    Args:
        in_memory: Its directories that are kept in memory.
    """

    def __init__(self, init: ProcessIdentity, machine: Machine, in_memory: Sequence[str]) -> None:
        self._init = init
        self._machine = machine
        self._in_memory = tuple(in_memory)

    async def overuse(self) -> Overuse:
        """Return when the sandbox uses more than its machine has; never, where it does not."""
        limit = self._machine.memory
        while limit is not None and is_alive(self._init):
            used = await asyncio.to_thread(used_memory, self._init.pid, self._in_memory, limit)
            if used > limit:
                return Overuse(cause="memory", used=used, limit=limit, machine=self._machine.name)
            await asyncio.sleep(min(max((limit - used) / _FASTEST_FILLING, _SHORTEST_SECONDS), _LONGEST_SECONDS))
        return await _never()


class DiskGuard:
    """Looks at the files of one sandbox.

    Args:
        account: What it takes.
        baseline: What the shared places among them held when it began; None: it begins now.
    """

    def __init__(self, account: DiskAccount, machine: Machine, baseline: int | None = None) -> None:
        self._account = account
        self._machine = machine
        self._baseline = baseline
        self._is_open = False
        self._free_at_first: int | None = None
        self._opening = asyncio.Lock()

    async def begin(self) -> int:
        """Look at what is there, once, and count from then on; returns the baseline."""
        async with self._opening:
            if not self._is_open:
                self._baseline = await asyncio.to_thread(self._account.open, self._baseline)
                self._is_open = True
        return self._baseline or 0

    def end(self) -> None:
        """The sandbox has ended, or is not watched any more; what is being looked at to begin is not counted then."""
        self._account.close()

    async def overuse(self) -> Overuse:
        """Return when the files take more than the machine has; never, where they do not."""
        limit, place = self._machine.disk, self._account.place
        if limit is None or place is None:
            return await _never()
        await self.begin()
        room = 0  # at once: nobody knows what has happened so far
        free = await asyncio.to_thread(_free, place)
        if self._free_at_first is None:  # once, also where a look fails and this begins again
            self._free_at_first = free
        while is_alive(self._account.init):
            now = await asyncio.to_thread(_free, place)
            room -= max(free - now, 0)
            free = now
            if room <= 0:
                used = await asyncio.to_thread(self._used, self._free_at_first - now)
                if used > limit:
                    return Overuse(cause="disk", used=used, limit=limit, machine=self._machine.name)
                room = limit - used
            await asyncio.sleep(_DISK_SECONDS)
        return await _never()

    def _used(self, filled: int) -> int:
        return self._account.suspected_use(self._account.use(), filled)


async def until_overuse(guard: MemoryGuard | DiskGuard, **whose: str) -> Overuse:
    """What a guard finds; where it cannot look, it tries again, and the log says so with `whose`."""
    while True:
        try:
            return await guard.overuse()
        except OSError:
            log.exception("The use of the machine cannot be measured", action="guard.measure", **whose)
            await asyncio.sleep(_AGAIN_SECONDS)


def _free(place: Path) -> int:
    try:
        return free_bytes(place)
    except FileNotFoundError:  # it is being cleared away
        return 0


async def _never() -> Overuse:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")
