"""A house with an executor and a runner that plays along: every turn of a run's life without a process."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from runtime.dispatch.access_data import AccessData
from runtime.dispatch.app_life import AppLife
from runtime.dispatch.app_usage import RunningApps
from runtime.dispatch.apps import AppService
from runtime.dispatch.clock import Clock
from runtime.dispatch.executor import Executor
from runtime.dispatch.last_whole import LastWhole
from runtime.dispatch.lifecycle import Lifecycle
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.preparation import Preparation, PreparedFiles, Report
from runtime.dispatch.run_limits import RunLimits
from runtime.domain.jobs import JobDefinition
from runtime.domain.machines import DEFAULT_MACHINE, Machine
from runtime.domain.masking import Masker
from runtime.domain.runs import Run
from runtime.environments.builder import Environment
from runtime.proxy.readiness import ask
from runtime.runner.launch import KeptData, Launch, LiveProcess, ReleaseOrder
from runtime.runner.logs import LogTail
from runtime.runner.runner import PreparedRun, Runner
from runtime.sandbox.cgroups import GroupUsage
from runtime.sandbox.confinement import limits_in_force
from runtime.sandbox.identity import boot_id
from runtime.sandbox.network import NetworkHolders
from runtime.settings import AppSettings, RunSettings
from tests.factories import make_raw_definition
from tests.house import House

SECONDS = 10


@dataclass
class StageProcess:
    """One process of the stage runner: ends when `exit_code` is set."""

    exit_code: "asyncio.Future[int | None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    order: ReleaseOrder | None = None
    signals: list[str] = field(default_factory=list)


class StageRunner:
    """Takes the runner's part. By default a job ends well as soon as it is released."""

    def __init__(self, live_dir: Path) -> None:
        self.live_dir = live_dir
        self.limits = limits_in_force(None, (6, 1))
        self.processes: dict[UUID, StageProcess] = {}
        self.exit_at_release: int | None = 0
        self.exit_on_term: int | None = 143
        self.terms_before_there_is_a_job = 0
        self.unreleased: set[UUID] = set()
        self.prepared = 0
        self.discarded: list[UUID] = []
        self.released = asyncio.Event()

    async def prepare(self, launch: Launch) -> PreparedRun:
        self.prepared += 1
        self.processes[launch.run_id] = StageProcess()
        return PreparedRun(
            launch, LiveProcess(run_id=launch.run_id, pid=1, pid_started=1, boot_id=boot_id()), order_fd=-1
        )

    async def release(self, prepared: PreparedRun, order: ReleaseOrder) -> LiveProcess:
        process = self.processes[prepared.run_id]
        process.order = order
        self.released.set()
        if self.exit_at_release is not None:
            process.exit_code.set_result(self.exit_at_release)
        return prepared.live

    async def discard(self, prepared: PreparedRun) -> None:
        self.discarded.append(prepared.run_id)

    def adopt(self, live: LiveProcess) -> bool:
        return live.run_id in self.processes

    async def wait(self, live: LiveProcess) -> int | None:
        process = self.processes.get(live.run_id)
        return await asyncio.shield(process.exit_code) if process else None

    def was_released(self, live: LiveProcess, exit_code: int | None) -> bool:
        return live.run_id not in self.unreleased

    def terminate(self, live: LiveProcess) -> bool:
        process = self.processes[live.run_id]
        if self.terms_before_there_is_a_job:
            self.terms_before_there_is_a_job -= 1
            return False
        process.signals.append("TERM")
        if self.exit_on_term is not None and not process.exit_code.done():
            process.exit_code.set_result(self.exit_on_term)
        return True

    def kill(self, live: LiveProcess) -> bool:
        process = self.processes[live.run_id]
        process.signals.append("KILL")
        if not process.exit_code.done():
            process.exit_code.set_result(137)
        return True

    def limit_again(self, run_id: UUID, machine: Machine) -> None:
        """Nothing is limited here."""

    def usage(self, run_id: UUID) -> GroupUsage | None:
        return None

    def forget(self, run_id: UUID) -> None:
        (self.live_dir / f"{run_id}.log").unlink(missing_ok=True)


class StagePreparation:
    """Takes the preparation's part; `error` makes it fail."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.error: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.entered = asyncio.Event()

    async def definition(self, run: Run) -> JobDefinition:
        return (await self.house.runs.get(run.workspace_id, run.id)).version.definition

    async def masker(self, run: Run) -> Masker:
        return await self.house.settings_files.masker(run)

    async def prepare(self, run: Run, report: Report) -> PreparedFiles:
        report("environment found")
        self.entered.set()
        await self.hold.wait()
        if self.error:
            raise self.error
        nowhere = self.house.folder
        data = KeptData(var=nowhere, local=nowhere)
        return PreparedFiles(Environment("key", nowhere, nowhere, nowhere), nowhere, nowhere, data)

    def clear(self, run_id: UUID) -> None:
        """Nothing was laid."""


class Stage:
    """A house with an executor over the stage runner."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.live_dir = house.folder / "live"
        self.live_dir.mkdir(exist_ok=True)
        self.runner: Any = StageRunner(self.live_dir)
        self.preparation: Any = StagePreparation(house)
        self.writer = LogWriter(house.database, house.changes, house.clock)
        self.tail = LogTail(self.live_dir)
        self.clock: Clock = house.clock
        self.network = NetworkHolders(house.folder, "host")
        self.app_settings = AppSettings()
        self.running_apps = RunningApps(house.clock)
        self.apps = AppService(house.database, house.changes, self.running_apps, self.writer, house.clock)

    def executor(self, max_running: int = 4, max_apps: int = 4) -> Executor:
        lifecycle = Lifecycle(
            self.house.database,
            self.house.changes,
            self.writer,
            cast(Preparation, self.preparation),
            cast(Runner, self.runner),
            self.tail,
            AppLife(
                self.house.database,
                self.house.changes,
                self.network,
                self.running_apps,
                self.app_settings,
                ask,
                self.clock,
            ),
            self.house.insight,
            RunLimits(
                self.house.database,
                cast(Runner, self.runner),
                {DEFAULT_MACHINE: Machine()},
                RunSettings().log_allowance,
            ),
            AccessData(self.house.database, self.house.folder, LastWhole(self.house.folder, 0, 0), self.clock),
            self.clock,
        )
        executor = Executor(
            self.house.database,
            self.house.changes,
            lifecycle,
            max_running,
            max_apps,
            running_apps=self.running_apps,
        )
        self.house.stops.stop = executor.stop  # type: ignore[method-assign]
        return executor

    async def until_final(self, run: Run) -> Run:
        async with asyncio.timeout(SECONDS):
            async for _ in self.house.runs.follow(run.id):
                pass
        return (await self.house.runs.get(run.workspace_id, run.id)).run


async def launch_and_release(stage: Stage, **fields: Any) -> Run:
    """A run whose job has begun and does not end by itself."""
    stage.runner.exit_at_release = None
    if fields:
        await stage.house.deploy(make_raw_definition(**fields))
    run = await stage.house.launch()
    async with asyncio.timeout(SECONDS):
        await stage.runner.released.wait()
        while True:
            changed = stage.house.changes.event(run.workspace_id)
            if (await stage.house.runs.get(run.workspace_id, run.id)).run.status not in ("pending", "starting"):
                break
            await changed.wait()
    return run
