"""The jobs of the example workspace run for real: one at a time, on a port of this machine, until its test is over."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from runtime.dispatch.insight import REPORT_PLACE
from runtime.runner.launch import Launch, LiveProcess
from runtime.sandbox.policy import Mount
from tests.job_machine import JobMachine
from tests.official_client import copy_workspace

EXAMPLE = Path(__file__).parents[1] / "examples" / "apps"
SECONDS = 60

_MANIFEST = """
import json, sys
sys.path.insert(0, ".")
from dlt._workspace.deployment.manifest import import_deployment_module, generate_manifest
manifest, _ = generate_manifest(import_deployment_module("__deployment__"))
print(json.dumps(manifest, default=str))
"""


@dataclass(frozen=True)
class Served:
    """An application that answers."""

    url: str
    machine: JobMachine
    launch: Launch
    process: LiveProcess

    @property
    def log(self) -> str:
        return self.machine.log(self.launch.run_id)

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http://", "ws://")


@dataclass
class ExampleApps:
    """Runs the jobs of one workspace, whose files are `files`."""

    jobs: JobMachine
    files: dict[str, str]
    definitions: dict[str, dict[str, Any]]

    @classmethod
    def on(cls, jobs: JobMachine, manifest: dict[str, Any]) -> "ExampleApps":
        """With the jobs of this manifest."""
        found = [path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        files = {path.relative_to(EXAMPLE).as_posix(): path.read_text() for path in found}
        return cls(jobs, files, {job["job_ref"]: job for job in manifest["jobs"]})

    async def load(self) -> None:
        """Run the job that loads the warehouse."""
        job_ref = "jobs.sales_pipeline.load_sales"
        launch = self.launch(job_ref)
        code = await self.jobs.runner.wait(await self.start(launch, job_ref, {}))
        assert code == 0, self.jobs.log(launch.run_id)

    @asynccontextmanager
    async def serve(self, job_ref: str, *, base_path: str = "", **files: str) -> AsyncIterator[Served]:
        """One application, from its first answer on.

        Args:
            files: Text of settings files, e.g. `config` for `.dlt/config.toml`.
        """
        port = _free_port()
        launch = self.launch(job_ref, files)
        process = await self.start(launch, job_ref, {"port": port, "base_path": base_path})
        served = Served(f"http://127.0.0.1:{port}", self.jobs, launch, process)
        try:
            await self._until_it_answers(served)
            yield served
        finally:
            self.jobs.runner.kill(process)
            await self.jobs.runner.wait(process)

    async def last_words(self, job_ref: str, **files: str) -> str:
        """The last line of an application that must not come up."""
        launch = self.launch(job_ref, files)
        code = await self.jobs.runner.wait(await self.start(launch, job_ref, {"port": 1, "base_path": ""}))
        assert code == 1
        return self.jobs.log(launch.run_id).splitlines()[-1]

    def launch(self, job_ref: str, settings: dict[str, str] | None = None) -> Launch:
        launcher = self.definitions[job_ref]["entry_point"]["launcher"].rpartition(".")[2]
        files = {f".dlt/{name}.toml": text for name, text in (settings or {}).items()}
        launch = self.jobs.launch({**self.files, **files}, launcher=launcher)
        place = launch.working_copy.with_name("report")
        place.mkdir()
        return launch.model_copy(update={"extra_mounts": (Mount(source=place, target=REPORT_PLACE, writable=True),)})

    async def start(self, launch: Launch, job_ref: str, run_args: dict[str, Any]) -> LiveProcess:
        entry_point = self.definitions[job_ref]["entry_point"]
        return await self.jobs.start(launch, **{**entry_point, "job_ref": job_ref, "run_args": run_args})

    async def _until_it_answers(self, served: Served) -> None:
        ending = asyncio.ensure_future(self.jobs.runner.wait(served.process))
        async with asyncio.timeout(SECONDS), httpx.AsyncClient() as client:
            while True:
                assert not ending.done(), served.log
                try:
                    await client.get(served.url)
                except httpx.TransportError:
                    await asyncio.wait({ending}, timeout=0.1)
                else:
                    return


def example_manifest(venv: Path, scratch: Path) -> dict[str, Any]:
    """What the SDK in this environment makes of the example; it leaves files in the copy that it is shown."""
    directory = copy_workspace(EXAMPLE, scratch / "apps")
    command = [f"{venv}/bin/python", "-B", "-c", _MANIFEST]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return manifest


def reports(launch: Launch) -> list[dict[str, Any]]:
    """What the pipelines of a run left."""
    return [json.loads(path.read_text()) for path in sorted(launch.working_copy.with_name("report").glob("*.json"))]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
