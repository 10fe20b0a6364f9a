"""The use cases over a real store, without a daemon around them: what the dispatch tests live in."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.dispatch.changes import Changes
from runtime.dispatch.configurations import ConfigurationService
from runtime.dispatch.deployments import DeploymentService
from runtime.dispatch.feed import FeedService
from runtime.dispatch.hooks import HookService
from runtime.dispatch.insight import InsightService
from runtime.dispatch.intervals import IntervalService
from runtime.dispatch.jobs import JobService, TriggerInput
from runtime.dispatch.manifests import Deployed, ManifestInput, ManifestService
from runtime.dispatch.members import MemberService
from runtime.dispatch.publishing import PublishingService
from runtime.dispatch.redeploying import Redeployment
from runtime.dispatch.runs import RunService
from runtime.dispatch.schedules import ScheduleService
from runtime.dispatch.settings_files import SettingsFiles
from runtime.dispatch.settling import settle
from runtime.dispatch.statistics import StatisticsService
from runtime.dispatch.summaries import SummaryService
from runtime.dispatch.ticking import Ticker
from runtime.domain.identities import Principal
from runtime.domain.logs import LogLine
from runtime.domain.machines import DEFAULT_MACHINE, Machine
from runtime.domain.runs import Run, RunEnd
from runtime.packages.sealing import Sealer
from runtime.settings import LimitSettings
from runtime.store import identities, runs, workspaces
from runtime.store.database import Database
from runtime.store.runs import RunFilter
from tests.factories import NOW, make_raw_definition, make_user, make_workspace
from tests.package_factory import Tree, package

REQUIREMENTS = {"engine_version": 1, "python_version": "3.11", "default_groups": ["main"], "groups": {"main": []}}


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class StopRequests:
    """Takes the executor's part: remembers which runs were asked to stop."""

    run_ids: list[UUID] = field(default_factory=list)

    def stop(self, run_id: UUID) -> None:
        self.run_ids.append(run_id)


class House:
    """One workspace with one owner, and every use case that touches it."""

    def __init__(self, database: Database, folder: Path, principal: Principal, workspace_id: UUID) -> None:
        self.database = database
        self.folder = folder
        self.principal = principal
        self.workspace_id = workspace_id
        self.clock = Clock()
        self.changes = Changes()
        self.stops = StopRequests()
        scratch = folder / "scratch"
        scratch.mkdir()
        limits = LimitSettings()
        self.sealer = Sealer(bytes(32))
        self.deployments = DeploymentService(database, scratch, limits, self.clock)
        self.configurations = ConfigurationService(database, scratch, limits, self.sealer, self.clock)
        self.settings_files = SettingsFiles(database, self.sealer)
        self.manifests = ManifestService(database, self.changes, {DEFAULT_MACHINE: Machine()}, self.clock)
        self.redeployment = Redeployment(database, self.manifests, self.deployments.contents, self.clock)
        self.jobs = JobService(database, self.changes, self.clock)
        self.runs = RunService(database, self.changes, self.stops, self.clock)
        self.schedules = ScheduleService(database, self.changes, self.clock)
        self.intervals = IntervalService(database, self.changes, self.clock)
        self.hooks = HookService(database, self.changes, self.clock)
        self.ticker = Ticker(database, self.changes, self.clock)
        self.members = MemberService(database, self.clock)
        self.publishing = PublishingService(database, self.changes, self.clock)
        self.summaries = SummaryService(database, self.changes)
        self.insight = InsightService(database, self.changes, folder, self.clock)
        self.statistics = StatisticsService(database)
        self.feed = FeedService(database, self.changes, self.jobs, self.runs, self.clock)

    async def upload_code(self, tree: Tree, requirements: Mapping[str, Any] = REQUIREMENTS) -> int:
        """Upload a tree; returns the version it has become."""
        archive = self._archive(tree)
        deployed = await self.deployments.upload(
            self.principal, self.workspace_id, archive, json.dumps(requirements).encode()
        )
        return deployed.version

    async def upload_settings(self, tree: Tree) -> int:
        """Upload `.dlt` files; returns the version they have become."""
        uploaded = await self.configurations.upload(self.principal, self.workspace_id, self._archive(tree))
        return uploaded.version

    async def deploy(
        self,
        *definitions: dict[str, Any],
        module: str | None = "__deployment__",
        dry_run: bool = False,
        description: str | None = None,
    ) -> Deployed:
        """Deploy a manifest of engine 1 with these definitions."""
        manifest = ManifestInput(1, definitions, module, description)
        return await self.manifests.deploy(self.principal, self.workspace_id, manifest, dry_run=dry_run)

    async def ready(self, *definitions: dict[str, Any]) -> None:
        """Code, settings and these jobs, so that runs can start."""
        await self.upload_code({"shop.py": b"print('apples')\n"})
        await self.upload_settings({"config.toml": b"", "prod.secrets.toml": b"token = 'apple'\n"})
        await self.deploy(*definitions or (make_raw_definition(),))

    async def launch(self, job_ref: str = "jobs.shop.load") -> Run:
        """Start a job by hand; it must start."""
        (started,) = await self.jobs.trigger(self.principal, self.workspace_id, TriggerInput(job_refs=[job_ref]))
        assert started.run is not None, started.reason
        return started.run

    async def end(self, run: Run, status: str = "completed", **fields: Any) -> Run:
        """Let a run begin and end without a process, at this very moment."""
        async with self.database.transaction() as connection:
            started = run.model_copy(update={"status": "running", "started_at": self.clock()})
            await runs.save_run(connection, started)
            return await settle(connection, started, RunEnd.model_validate({"status": status, **fields}), self.clock())

    async def tick(self) -> int:
        """Have the clock look at every timed trigger; returns how many ticks it took."""
        due = await self.ticker.next_ticks()
        return await self.ticker.look([one for one, at in due.items() if at <= self.clock()])

    async def lines(self, run_id: UUID) -> list[LogLine]:
        """What a run has printed, and what was said of it."""
        return [line async for batch in await self.runs.logs(run_id) for line in batch]

    async def all_runs(self) -> list[Run]:
        """Every run of the workspace, newest first."""
        async with self.database.read() as connection:
            page = await runs.list_runs(connection, self.workspace_id, RunFilter(include_system=True), 1000, 0)
        return page.items

    def _archive(self, tree: Tree) -> Path:
        path = self.folder / "upload.tar.gz"
        path.write_bytes(package(tree))
        return path


async def build_house(database: Database, folder: Path) -> House:
    """A workspace and its owner in an otherwise empty store."""
    owner, workspace = make_user(), make_workspace()
    async with database.transaction() as connection:
        await identities.add_user(connection, owner)
        await workspaces.add_workspace(connection, workspace)
        await workspaces.add_member(connection, workspace.id, owner.id, "owner", NOW)
    return House(database, folder, Principal(user=owner), workspace.id)


async def eventually(event: asyncio.Event, seconds: float = 10) -> None:
    """Wait for an event that must come."""
    async with asyncio.timeout(seconds):
        await event.wait()
