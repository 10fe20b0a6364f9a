"""What runs may use: the machine size of each, watching over it, and why a run was stopped (semantics S6)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from runtime.dispatch.patience import for_a_moment, patiently
from runtime.domain.jobs import JobDefinition
from runtime.domain.logs import LogAllowance
from runtime.domain.machines import Machine, Overuse, choose_machine
from runtime.errors import JobRuntimeError
from runtime.runner.job_sandbox import IN_MEMORY
from runtime.runner.launch import KeptData, Launch, LiveProcess
from runtime.runner.runner import Runner
from runtime.sandbox.guard import DiskGuard, MemoryGuard, until_overuse
from runtime.sandbox.ledger import DiskAccount, DiskLedger
from runtime.store import limits as store
from runtime.store.database import Connection, Database
from runtime.store.runs import active_runs

log = structlog.get_logger()

_UNTIL_STORED_SECONDS = 1.0
"""Most runs are over by then, and cost no transaction."""


class RunLimits:
    """Keeps runs within their machine sizes; one instance serves all."""

    def __init__(
        self,
        database: Database,
        runner: Runner,
        machines: Mapping[str, Machine],
        log_allowance: LogAllowance,
        ledger: DiskLedger | None = None,
    ) -> None:
        self.log_allowance = log_allowance
        self._database = database
        self._runner = runner
        self._machines = machines
        self._ledger = ledger or DiskLedger()
        self._killed_for: dict[UUID, Overuse] = {}

    def machine_of(self, definition: JobDefinition) -> Machine:
        """The size a job asks for.

        Raises:
            InvalidError: there is none of that name here.
        """
        return choose_machine(self._machines, definition.machine)

    async def record(self, connection: Connection, launch: Launch) -> None:
        """Store what a run that is about to begin may use."""
        kept: tuple[Path, ...] = ()
        own = [launch.working_copy, *([launch.scratch_dir] if launch.scratch_dir else [])]
        if isinstance(launch.data, KeptData):
            kept = (launch.data.var, launch.data.local)
        else:
            own.append(launch.data.place)
        own += [mount.source for mount in launch.extra_mounts if mount.writable]
        limit = store.RunLimit(run_id=launch.run_id, machine=launch.machine, own_places=tuple(own), kept_places=kept)
        await store.save_limit(connection, limit)

    async def sweep(self) -> None:
        """Remove what control groups earlier daemons have left to runs that are over."""
        async with self._database.read() as connection:
            live = {str(run.id) for run in await active_runs(connection)}
        await asyncio.to_thread(self._runner.keep_groups, live)

    @contextlib.asynccontextmanager
    async def guarding(self, process: LiveProcess, log_excess: Callable[[], int] | None = None) -> AsyncIterator[None]:
        """Watch over a run while this is open; one that uses too much is killed, and why is stored before.

        Args:
            log_excess: Bytes by which its log takes more of the disk than a log does.
        """
        async with self._database.read() as connection:
            limit = await store.find_limit(connection, process.run_id)
        if limit is None or limit.overuse is not None:
            yield
            return
        with contextlib.suppress(OSError):  # it has just ended
            self._runner.limit_again(process.run_id, limit.machine)
        memory = MemoryGuard(process.identity, limit.machine, IN_MEMORY)
        account = DiskAccount(self._ledger, process.identity, limit.own_places, [limit.kept_places], log_excess)
        disk = DiskGuard(account, limit.machine, limit.kept_bytes)
        tasks = [asyncio.create_task(self._keep_baseline(process, disk, limit.kept_bytes))]
        tasks.append(asyncio.create_task(self._enforce(process, disk)))
        if self._runner.limits.memory == "watched":
            tasks.append(asyncio.create_task(self._enforce(process, memory)))
        try:
            yield
        finally:
            disk.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def verdict(self, run_id: UUID) -> Overuse | None:
        """Why a run that has ended was stopped by the runtime or, for memory, by the kernel; None if by neither."""
        async with self._database.read() as connection:
            limit = await store.find_limit(connection, run_id)
        overuse = self._killed_for.get(run_id)
        if limit is None or overuse is not None:
            return overuse
        usage = self._runner.usage(run_id)
        if limit.overuse is None and usage is not None and usage.memory_kills and limit.machine.memory is not None:
            used = usage.peak_memory or limit.machine.memory
            return Overuse(cause="memory", used=used, limit=limit.machine.memory, machine=limit.machine.name)
        return limit.overuse

    def forget(self, run_id: UUID) -> None:
        """A run is settled: what it was stopped for is in its reason."""
        self._killed_for.pop(run_id, None)

    async def _keep_baseline(self, process: LiveProcess, disk: DiskGuard, known: int | None) -> None:
        """Count what the run writes, limited or not; remember what was there before it, for a daemon after this one."""
        baseline = await disk.begin()
        if known is None:
            await asyncio.sleep(_UNTIL_STORED_SECONDS)
            await patiently(partial(self._save_baseline, process.run_id, baseline), run_id=str(process.run_id))

    async def _save_baseline(self, run_id: UUID, baseline: int) -> None:
        async with self._database.transaction() as connection:
            await store.save_kept_bytes(connection, run_id, baseline)

    async def _enforce(self, process: LiveProcess, guard: MemoryGuard | DiskGuard) -> None:
        overuse = await until_overuse(guard, run_id=str(process.run_id))
        # Who has filled the disk may leave no room to write down that it has.
        self._killed_for[process.run_id] = overuse
        log.warning(
            "a run uses more than its machine has",
            action="run.overuse",
            run_id=str(process.run_id),
            cause=overuse.cause,
            used=overuse.used,
            limit=overuse.limit,
        )
        try:
            await for_a_moment(asyncio.create_task(self._write_down(process.run_id, overuse)))
        finally:
            self._runner.kill(process)

    async def _write_down(self, run_id: UUID, overuse: Overuse) -> None:
        try:
            async with self._database.transaction() as connection:
                await store.save_overuse(connection, run_id, overuse)
        except JobRuntimeError as error:
            log.warning(
                "why a run is stopped was not stored", action="run.overuse", run_id=str(run_id), error=str(error)
            )
