"""One virtualenv for every job that asks for the same packages and Python: found, or built once and kept.

A request (the specs of a job, the exact Python) is resolved once per workspace and remembered, so that runs do not
drift with the index. Requests that resolve to the same set share one environment. Environments are disposable: one
that is missing is built again from what was remembered.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog

from runtime.domain.requirements import EnvironmentSpec
from runtime.environments.building import BuildSandbox, NetworkEntry
from runtime.environments.collecting import Collector, Usage
from runtime.environments.directories import EnvironmentDirectories
from runtime.environments.keys import environment_key, request_digest
from runtime.environments.pythons import Interpreter, Pythons
from runtime.environments.sharing import Report, SharedWork
from runtime.environments.sources import package_sources
from runtime.sandbox.confinement import Confinement
from runtime.settings import EnvironmentSettings
from runtime.store.database import Database
from runtime.store.environments import EnvironmentRecord, add_environment, find_environment, touch_environment

log = structlog.get_logger()

_USE_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Environment:
    """A whole virtualenv, to be mounted read-only at `/venv`.

    Attributes:
        path: The directory on this machine.
        interpreter: The binary `/venv/bin/python` leads to.
        base_prefix: The interpreter's installation; a sandbox has to show it where it lies.
    """

    key: str
    path: Path
    interpreter: Path
    base_prefix: Path


class EnvironmentBuilder:
    """Hands out environments."""

    def __init__(
        self,
        state_dir: Path,
        settings: EnvironmentSettings,
        database: Database,
        *,
        system_files: Path,
        network_entry: NetworkEntry,
        confinement: Confinement,
        pythons: Pythons | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Look at nothing yet.

        Args:
            system_files: The directory that `runtime.sandbox.system_mounts.write_system_files` filled.
            network_entry: `NetworkHolders.entry`.
            confinement: What each command of a build may use.
        """
        self.pythons = pythons or Pythons(settings.python_search_paths)
        self._database = database
        self._directories = EnvironmentDirectories(state_dir)
        self._sandbox = BuildSandbox(
            directories=self._directories,
            sources=package_sources(settings, os.environ),
            system_files=system_files,
            network_entry=network_entry,
            timeout_seconds=settings.build_timeout_seconds,
            confinement=confinement,
        )
        self._groups = confinement.groups
        self._now = now
        self._usage = Usage()
        self.collector = Collector(self._directories, self._usage)
        self._requests: SharedWork[tuple[UUID, str], str] = SharedWork()
        self._builds: SharedWork[str, None] = SharedWork()

    async def sweep(self) -> None:
        """Remove what builds left behind that an earlier daemon did not finish; call before the first `ensure`."""
        removed = await asyncio.to_thread(self._directories.sweep)
        if self._groups is not None:
            await asyncio.to_thread(self._groups.remove_builds)
        if removed:
            log.info("removed unfinished environments", action="environments.sweep", count=removed)

    async def ensure(self, workspace_id: UUID, spec: EnvironmentSpec, report: Report) -> Environment:
        """The environment for `spec` (semantics J7), built if it is not there.

        However many ask for it meanwhile, it is built once, and `report` of each of them gets the lines of the build.
        A caller that is cancelled leaves the others waiting; when none is left the build stops. A build that fails or
        stops leaves nothing.

        Args:
            report: Called on the event loop with each line of a build's output, free of credentials; not called when
                the environment is there.

        Raises:
            InvalidError: this machine lacks the Python (the message lists those it has), or a spec is malformed.
            UnavailableError: it cannot be resolved or built; the message gives the reason in one line (semantics S6).
        """
        interpreter = await self.pythons.choose(spec.python_version)
        digest = request_digest(spec, interpreter)
        record = await self._remembered(workspace_id, digest)
        if record is not None:
            self._usage.note(record.key)  # before it is looked at: from here on nobody takes it away
        if record is not None and await asyncio.to_thread(self._directories.is_whole, record.key):
            key = record.key
        else:
            key = await self._requests.run(
                (workspace_id, digest),
                lambda tell: self._provide(workspace_id, digest, spec, interpreter, tell),
                report,
            )
            self._usage.note(key)
        return Environment(key, self._directories.environment(key), interpreter.path, interpreter.base_prefix)

    async def _remembered(self, workspace_id: UUID, digest: str) -> EnvironmentRecord | None:
        async with self._database.read() as reader:
            record = await find_environment(reader, workspace_id, digest)
        now = self._now()
        # For collecting what is long unused an hour is exact enough, and most starts are spared a write.
        if record is not None and now - record.last_used_at >= _USE_NOTED_EVERY:
            async with self._database.transaction() as writer:
                await touch_environment(writer, workspace_id, digest, now)
        return record

    async def _provide(
        self, workspace_id: UUID, digest: str, spec: EnvironmentSpec, interpreter: Interpreter, tell: Report
    ) -> str:
        with self._usage.building(workspace_id):
            return await self._make(workspace_id, digest, spec, interpreter, tell)

    async def _make(
        self, workspace_id: UUID, digest: str, spec: EnvironmentSpec, interpreter: Interpreter, tell: Report
    ) -> str:
        record = await self._remembered(workspace_id, digest)
        if record is None:
            tell(f"Resolving {_counted(len(spec.requirements), 'requirement')} for Python {interpreter.version}")
            resolved = await self._sandbox.resolve(workspace_id, spec.requirements, interpreter, tell)
        else:
            resolved = record.resolved
        key = environment_key(workspace_id, resolved, interpreter)
        self._usage.note(key)
        await self._builds.run(key, lambda say: self._build(workspace_id, key, resolved, interpreter, say), tell)
        if record is None:
            await self._remember(workspace_id, digest, key, resolved, interpreter)
        return key

    async def _build(
        self, workspace_id: UUID, key: str, resolved: tuple[str, ...], interpreter: Interpreter, tell: Report
    ) -> None:
        if await asyncio.to_thread(self._directories.is_whole, key):
            return
        started = time.monotonic()
        tell(f"Building an environment of {_counted(len(resolved), 'package')} for Python {interpreter.version}")
        built = self._directories.begin(workspace_id, key)
        try:
            await self._sandbox.install(workspace_id, built, resolved, interpreter, tell)
            description = {"resolved": resolved, "python": interpreter.version, "platform": interpreter.platform}
            await asyncio.to_thread(self._directories.finish, built, key, description)
        finally:
            await asyncio.to_thread(self._directories.discard, built)
        seconds = time.monotonic() - started
        tell(f"Environment ready after {seconds:.1f} s")
        log.info(
            "built an environment",
            action="environments.build",
            workspace_id=str(workspace_id),
            key=key,
            packages=len(resolved),
            seconds=round(seconds, 3),
        )

    async def _remember(
        self, workspace_id: UUID, digest: str, key: str, resolved: tuple[str, ...], interpreter: Interpreter
    ) -> None:
        now = self._now()
        record = EnvironmentRecord(
            workspace_id=workspace_id,
            request_digest=digest,
            key=key,
            resolved=resolved,
            python=interpreter.version,
            created_at=now,
            last_used_at=now,
        )
        async with self._database.transaction() as writer:
            await add_environment(writer, record)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
