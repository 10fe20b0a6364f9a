"""Everything a run needs before its sandbox can start: environment, working copy, settings, a place for its data."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runtime.dispatch.access_data import AccessData
from runtime.dispatch.insight import REPORT_DIRECTORY
from runtime.dispatch.lookup import require
from runtime.dispatch.settings_files import SettingsFile, SettingsFiles
from runtime.domain.jobs import JobDefinition, JobVersion
from runtime.domain.masking import NO_SECRETS, Masker
from runtime.domain.packages import Configuration, Deployment
from runtime.domain.requirements import environment_spec
from runtime.domain.runs import Run
from runtime.environments.builder import Environment, EnvironmentBuilder
from runtime.packages.materialise import PackageCache, lay_links, working_copy, write_settings, write_tree
from runtime.packages.removal import remove_tree
from runtime.runner.job_sandbox import data_links
from runtime.runner.launch import CopiedData, KeptData
from runtime.store import hooks, jobs, packages
from runtime.store.database import Database

Report = Callable[[str], None]


@dataclass(frozen=True)
class PreparedFiles:
    """Where a run's files lie on this machine.

    `report` is where its launcher writes what pipelines did, None where nobody reads that.
    `payload` holds `body` and `headers.json` of the call that started the run, None if none did (semantics T7).
    """

    environment: Environment
    working_copy: Path
    scratch: Path
    data: KeptData | CopiedData
    payload: Path | None = None
    report: Path | None = None


class Preparation:
    """Prepares and clears away the files of runs."""

    def __init__(
        self,
        database: Database,
        state_dir: Path,
        environments: EnvironmentBuilder,
        settings_files: SettingsFiles,
        access_data: AccessData,
        *,
        masks_secrets: bool = True,
    ) -> None:
        self._database = database
        self._runs = state_dir / "runs"
        self._access_data = access_data
        self._environments = environments
        self.trees = PackageCache(state_dir / "cache" / "packages")
        self._settings_files = settings_files
        self._masks_secrets = masks_secrets

    async def definition(self, run: Run) -> JobDefinition:
        """The definition a run pinned (semantics J4)."""
        return (await self._pinned(run))[0].definition

    async def masker(self, run: Run) -> Masker:
        """What masks secrets in the run's log.

        Raises:
            StoreError: the secrets cannot be opened.
        """
        return await self._settings_files.masker(run) if self._masks_secrets else NO_SECRETS

    async def prepare(self, run: Run, report: Report) -> PreparedFiles:
        """Find or build the environment and lay the run's directories.

        Args:
            report: Takes lines for the run's `setup` log (semantics S5).

        Raises:
            JobRuntimeError: the environment cannot be built, or the files cannot be written; the message is the
                run's reason (semantics S6).
        """
        version, deployment, _ = await self._pinned(run)
        definition = version.definition
        spec = environment_spec(deployment.requirements, definition.dependency_groups, definition.entry_point.launcher)
        environment = await self._environments.ensure(run.workspace_id, spec, report)
        copy, scratch = await self._lay_files(run, deployment)
        data = await self._lay_data(run, definition, copy, report)
        payload = await self._lay_payload(run)
        return PreparedFiles(environment, copy, scratch, data, payload, copy.with_name(REPORT_DIRECTORY))

    def clear(self, run_id: UUID) -> None:
        """Remove the run's working copy; blocks, so call it in a thread."""
        remove_tree(self._runs / str(run_id))

    async def _pinned(self, run: Run) -> tuple[JobVersion, Deployment, Configuration]:
        async with self._database.read() as connection:
            return (
                require(await jobs.find_version(connection, run.job_id, run.job_version_id), "job version is gone"),
                require(
                    await packages.find_deployment(connection, run.workspace_id, run.deployment_id),
                    "deployment is gone",
                ),
                require(
                    await packages.find_configuration(connection, run.workspace_id, run.configuration_id),
                    "configuration is gone",
                ),
            )

    async def _lay_data(self, run: Run, definition: JobDefinition, copy: Path, report: Report) -> KeptData | CopiedData:
        place = await self._access_data.place_of(run, definition.entry_point.job_type)
        if place.kind == "copy":
            # Pipelines keep the paths of local files in their state: those of the profile that wrote them.
            links = data_links(place.profile) | data_links(run.profile)
            await asyncio.to_thread(lay_links, links, copy)
            return CopiedData(place=await self._access_data.lay(run, place, report))
        var, local = await asyncio.to_thread(self._access_data.directories, run.workspace_id, place)
        return KeptData(var=var, local=local)

    async def _lay_files(self, run: Run, deployment: Deployment) -> tuple[Path, Path]:
        tree = await self.trees.ensure(deployment.id, lambda into: self._write_deployment(deployment.id, into))
        settings = await self._settings_files.visible_to(run)
        async with self._access_data.undisturbed(run.id):
            return await asyncio.to_thread(self._write, run, tree, settings)

    def _write(self, run: Run, tree: Path, settings: list[SettingsFile]) -> tuple[Path, Path]:
        self.clear(run.id)  # what a daemon that died left half-made
        place = self._runs / str(run.id)
        place.mkdir(mode=0o700, parents=True)
        copy = place / "workspace"
        working_copy(tree, copy)
        write_settings(settings, copy / ".dlt")
        for directory in ("tmp", REPORT_DIRECTORY):
            (place / directory).mkdir(mode=0o700)
        return copy, place / "tmp"

    async def _lay_payload(self, run: Run) -> Path | None:
        """What a webhook was called with, beside the working copy."""
        if not run.trigger.startswith("webhook:"):
            return None
        async with self._database.read() as connection:
            payload = await hooks.find_payload(connection, run.id)
        if payload is None:
            return None  # somebody else started it by this trigger
        place = self._runs / str(run.id) / "payload"
        place.mkdir(mode=0o700)
        (place / "body").write_bytes(payload.body)
        (place / "headers.json").write_text(json.dumps(payload.headers, indent=2, sort_keys=True), encoding="utf-8")
        return place

    async def _write_deployment(self, deployment_id: UUID, into: Path) -> None:
        async with self._database.read() as connection:
            await write_tree(packages.deployment_contents(connection, deployment_id), into)
