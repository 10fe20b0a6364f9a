"""A house whose runs are real processes in real networks: apps that listen, and their doors, without a daemon."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runtime.dispatch.app_usage import Backend, RunningApps
from runtime.dispatch.apps import App, AppService
from runtime.dispatch.clock import system_clock
from runtime.dispatch.jobs import TriggerInput
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.preparation import PreparedFiles, Report
from runtime.domain.jobs import JobDefinition
from runtime.domain.masking import Masker
from runtime.domain.runs import Run, RunStatus
from runtime.environments.builder import Environment
from runtime.packages.removal import remove_tree
from runtime.runner.launch import KeptData
from runtime.runner.runner import Runner
from runtime.sandbox.network import HolderRecord, NetworkHolders
from runtime.settings import AppSettings
from runtime.store.runs import LiveRun, find_live
from tests.factories import make_raw_definition
from tests.house import House
from tests.job_machine import LAUNCHERS
from tests.stage import Stage

SOURCE = Path(__file__).parent / "resources" / "workspaces" / "apps" / "apps.py"
SECONDS = 60.0
SETTINGS = AppSettings(ready_seconds=60, idle_seconds=600)


def app_job(function: str, job_type: str = "interactive", **fields: Any) -> dict[str, Any]:
    """The definition of one of the functions in `resources/workspaces/apps`."""
    entry_point = {"module": "apps", "function": function, "job_type": job_type, "launcher": f"{LAUNCHERS}.job"}
    triggers = ["http:"] if job_type == "interactive" else []
    return make_raw_definition(f"jobs.apps.{function}", entry_point=entry_point, triggers=triggers, **fields)


class GivenEnvironment:
    """Takes the preparation's part: one virtualenv for all, and the code as it is deployed, while `hold` is set."""

    def __init__(self, house: House, state: Path, venv: Path) -> None:
        self.house = house
        self.state = state
        self.venv = venv
        self.version = "one"
        self.addresses: tuple[str, ...] = ()
        self.hold = asyncio.Event()
        self.hold.set()

    async def definition(self, run: Run) -> JobDefinition:
        return (await self.house.runs.get(run.workspace_id, run.id)).version.definition

    async def masker(self, run: Run) -> Masker:
        return await self.house.settings_files.masker(run)

    async def prepare(self, run: Run, report: Report) -> PreparedFiles:
        report("the environment is there")
        await self.hold.wait()
        place = self.state / "runs" / str(run.id)
        self.clear(run.id)
        directories = [place / name for name in ("workspace/.dlt", "tmp", "var", "local")]
        for directory in directories:
            directory.mkdir(parents=True)
        (place / "workspace" / ".dlt" / ".workspace").touch()
        code = SOURCE.read_text().replace('VERSION = "one"', f"VERSION = {self.version!r}")
        code = code.replace("ADDRESSES: tuple[str, ...] = ()", f"ADDRESSES = {self.addresses!r}")
        (place / "workspace" / "apps.py").write_text(code)
        environment = Environment("key", self.venv, self.venv / "bin" / "python", Path(sys.base_prefix))
        data = KeptData(var=place / "var", local=place / "local")
        return PreparedFiles(environment, place / "workspace", place / "tmp", data)

    def clear(self, run_id: object) -> None:
        remove_tree(self.state / "runs" / str(run_id))


class MovedClock:
    """The machine's clock, which can be put forward; who pauses by it notices."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._moved = asyncio.Event()

    def __call__(self) -> datetime:
        return system_clock() + self._ahead

    def pass_seconds(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
        self._moved.set()
        self._moved = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        until = self() + timedelta(seconds=seconds)
        while (left := (until - self()).total_seconds()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._moved.wait()


class AppMachine:
    """What a daemon is made of, as far as apps go; `running` for as long as that daemon lives."""

    def __init__(self, house: House, venv: Path, settings: AppSettings) -> None:
        self.house = house
        self.settings = settings
        self.clock = MovedClock()
        self.network = NetworkHolders(house.folder, "isolated")
        self.runner = Runner(house.folder, self.network)
        self.preparation = GivenEnvironment(house, house.folder, venv)
        self.running = RunningApps(self.clock)
        self.apps = self._service()

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[None]:
        """Looks after the runs meanwhile; they go on afterwards."""
        stage = Stage(self.house)
        stage.clock = self.clock
        stage.runner, stage.preparation, stage.network = self.runner, self.preparation, self.network
        self.running = stage.running_apps = RunningApps(self.clock, self.clock.pause)
        self.apps = self._service()
        stage.app_settings = self.settings
        async with stage.tail:
            executor = stage.executor()
            await executor.start()
            try:
                yield
            finally:
                await executor.close()

    def _service(self) -> AppService:
        writer = LogWriter(self.house.database, self.house.changes, self.clock)
        return AppService(self.house.database, self.house.changes, self.running, writer, self.clock)

    async def serve(self, function: str) -> Run:
        """Serve an app; the run that does."""
        wanted = TriggerInput(job_refs=[f"jobs.apps.{function}"])
        (started,) = await self.house.jobs.trigger(self.house.principal, self.house.workspace_id, wanted)
        assert started.run is not None, started.reason
        return started.run

    async def app(self, function: str) -> App:
        """The app of one of the functions."""
        view = await self.house.jobs.get(self.house.workspace_id, f"jobs.apps.{function}")
        app = await self.apps.find(view.slug or "")
        assert app is not None
        return app

    async def until(self, run: Run, *statuses: RunStatus) -> Run:
        """The run, once it has one of these statuses."""
        async with asyncio.timeout(SECONDS):
            while True:
                event = self.house.changes.event(run.id)
                current = (await self.house.runs.get(run.workspace_id, run.id)).run
                if current.status in statuses:
                    return current
                assert not current.is_final, (current.status, current.reason, await self.lines(run))
                await event.wait()

    async def until_ready(self, function: str) -> tuple[Run, Backend]:
        """Serve an app and wait until it answers."""
        run = await self.until(await self.serve(function), "running")
        backend = await self.apps.backend(await self.app(function))
        assert backend is not None
        return run, backend

    async def until_final(self, run: Run) -> Run:
        """The run, once it has ended."""
        return await self.until(run, "completed", "failed", "cancelled")

    async def lines(self, run: Run, phase: str = "program") -> list[str]:
        """What the run's log says."""
        return [line.content for line in await self.house.lines(run.id) if line.phase == phase]

    async def until_line(self, run: Run, start: str) -> str:
        """The first line of the app that begins so, once it is there."""
        async with asyncio.timeout(SECONDS):
            while True:
                event = self.house.changes.event(run.id)
                if found := [line for line in await self.lines(run) if line.startswith(start)]:
                    return found[0]
                await event.wait()

    async def until_backend(self, app: App) -> Backend:
        """What answers for the app, once something does: a daemon that finds it again takes a moment."""
        async with asyncio.timeout(SECONDS):
            while True:
                event = self.house.changes.event(app.workspace_id)
                if (backend := await self.apps.backend(app)) is not None:
                    return backend
                await event.wait()

    async def process(self, run: Run) -> LiveRun:
        """How the run's process is known."""
        async with self.house.database.read() as connection:
            row = await find_live(connection, run.id)
        assert row is not None
        return row

    def holder(self, run: Run) -> HolderRecord | None:
        """What is noted of the run's network."""
        record = self.house.folder / "network" / f"{run.id}.json"
        return HolderRecord.model_validate_json(record.read_bytes()) if record.exists() else None


async def get(backend: Backend, path: str) -> str:
    """The body of an app's answer."""
    connected = await backend.connect()
    reader, writer = await asyncio.open_connection(sock=connected)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return body.decode()
    finally:
        writer.close()
