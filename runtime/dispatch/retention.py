"""Keeping what is kept within its bounds: runs, logs, packages, environments, downloads, and the file itself.

It goes on behind everything else. Each step is one short transaction, sized by how long the last one took, and is
followed by a pause in which others write. Whatever it finds is looked at again inside the transaction that removes it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from runtime.dispatch.clock import Clock
from runtime.dispatch.contents import ContentGate
from runtime.dispatch.last_whole import LastWhole
from runtime.environments.collecting import Collector
from runtime.errors import DiskFullError, StoreError
from runtime.packages.materialise import PackageCache
from runtime.settings import RetentionSettings
from runtime.store import environments
from runtime.store import retention as store
from runtime.store.database import Connection, Database
from runtime.store.manifests import forget_manifests
from runtime.store.retention import EndedRun

log = structlog.get_logger()

_FIRST_SECONDS = 60.0
"""A start has more urgent things to do."""
_STEP_SECONDS = 0.01
"""How long a step should hold the writer; others have four times as long before the next."""
_PAUSES = 4
_MOST_ROWS = 2000
_NEWS_DAYS = 7
_COPY_DAYS = 7
"""So old data is no help to an app that begins while newer is written."""
_SPARE_PAGES = 4096
"""Free pages that stay for what is written next: 16 MiB."""


@dataclass
class Removed:
    """What a sweep has removed."""

    runs: int = 0
    logs: int = 0
    deployments: int = 0
    configurations: int = 0
    environments: int = 0
    downloads: int = 0
    trees: int = 0
    copies: int = 0
    audit_entries: int = 0
    pages: int = 0

    @property
    def anything(self) -> dict[str, int]:
        """What is not nothing, by name."""
        return {field.name: number for field in fields(self) if (number := getattr(self, field.name))}


Step = Callable[[Connection, int], Awaitable[int]]
"""Removes at most so many rows and says how many it has removed."""


class Retention:
    """Removes what the settings no longer want."""

    def __init__(
        self,
        database: Database,
        settings: RetentionSettings,
        gate: ContentGate,
        collector: Collector,
        trees: PackageCache,
        whole: LastWhole,
        clock: Clock,
    ) -> None:
        self._database = database
        self._settings = settings
        self._gate = gate
        self._collector = collector
        self._trees = trees
        self._whole = whole
        self._clock = clock
        self._rows = 50
        self.longest_step_seconds = 0.0
        """How long a step has held the writer at most."""

    async def run(self) -> None:
        """Sweep now and then, for ever; what goes wrong is tried again the next time."""
        await asyncio.sleep(min(_FIRST_SECONDS, self._settings.every_seconds))
        while True:
            try:
                removed = (await self.sweep()).anything
                if removed:
                    log.info("removed what need not be kept", action="retention.sweep", **removed)
            except Exception:
                log.exception("what need not be kept could not be removed", action="retention.error")
            await asyncio.sleep(self._settings.every_seconds)

    async def sweep(self) -> Removed:
        """Remove all that has been kept long enough."""
        removed = Removed()
        await self._old_logs(removed)
        await self._large_logs(removed)
        await self._old_runs(removed)
        await self._packages(removed)
        await self._minor(removed)
        await self._files(removed)
        await self._give_back(removed)
        return removed

    async def _old_logs(self, removed: Removed) -> None:
        if days := self._settings.log_days:
            reason = f"this log was removed {_days(days)} after the run had ended"
            removed.logs += await self._logs(self._ago(days), reason, _always)

    async def _large_logs(self, removed: Removed) -> None:
        if limit := self._settings.log_bytes:

            async def is_too_much() -> bool:
                async with self._database.read() as connection:
                    return await store.log_bytes(connection) > limit

            reason = "this log was removed to make room for newer ones"
            removed.logs += await self._logs(self._clock(), reason, is_too_much)

    async def _logs(self, before: datetime, reason: str, goes_on: Callable[[], Awaitable[bool]]) -> int:
        count, after = 0, None
        while await goes_on():
            async with self._database.read() as connection:
                page = await store.old_logs(connection, before, after)
            for run in page:
                if not await goes_on():
                    return count
                count += await self._remove_log(run.run_id, reason)
            after = store.place_after(page)
            if after is None:
                break
        return count

    async def _remove_log(self, run_id: UUID, reason: str | None) -> bool:
        """Remove a log in steps; `reason` is the line that says so, None if the run goes as well."""

        async def remove(connection: Connection, most: int) -> int:
            return await store.remove_lines(connection, run_id, most)

        async def note(connection: Connection, _: int) -> int:
            if reason is not None:
                await store.note_removed_log(connection, run_id, self._clock(), reason)
            return 0

        return await self._try(remove, note)

    async def _old_runs(self, removed: Removed) -> None:
        if not (days := self._settings.run_days):
            return
        after: EndedRun | None = None
        while True:
            async with self._database.read() as connection:
                page = await store.old_runs(connection, self._ago(days), self._settings.keep_runs, after)
            for run in page:
                removed.runs += await self._remove_run(run.run_id)
            after = store.place_after(page)
            if after is None:
                return

    async def _remove_run(self, run_id: UUID) -> bool:
        async def remove(connection: Connection, _: int) -> int:
            await store.remove_run(connection, run_id)
            return 0

        return await self._remove_log(run_id, None) and await self._try(remove)

    async def _packages(self, removed: Removed) -> None:
        keep = self._settings.package_versions
        async with self._database.read() as connection:
            deployments = await store.old_deployments(connection, keep)
            configurations = await store.old_configurations(connection, keep)
        for deployment_id in deployments:
            removed.deployments += await self._remove_deployment(deployment_id)
        for configuration_id in configurations:

            async def remove(connection: Connection, _: int, which: UUID = configuration_id) -> int:
                await store.remove_configuration(connection, which)
                return 0

            removed.configurations += await self._try(remove)

    async def _remove_deployment(self, deployment_id: UUID) -> bool:
        async def remove_files(connection: Connection, most: int) -> int:
            return await store.remove_deployment_files(connection, deployment_id, most)

        async def remove(connection: Connection, _: int) -> int:
            await store.remove_deployment(connection, deployment_id)
            await forget_manifests(connection)
            return 0

        return await self._try(remove_files, remove, shares_contents=True)

    async def _minor(self, removed: Removed) -> None:
        if days := self._settings.audit_days:
            before = self._ago(days)

            async def remove_audit(connection: Connection, most: int) -> int:
                count = await store.remove_audit(connection, before, most)
                removed.audit_entries += count
                return count

            await self._try(remove_audit)
        news = self._ago(_NEWS_DAYS)
        await self._try(lambda connection, most: store.remove_news(connection, news, most))

    async def _files(self, removed: Removed) -> None:
        settings = self._settings
        async with self._database.read() as connection:
            used, mounted = (
                await environments.last_used(connection),
                await environments.mounted_environments(connection),
            )
        since = self._ago(settings.environment_days).timestamp() if settings.environment_days else 0.0
        removed.environments += await self._collector.collect_environments(
            used, mounted, since, settings.environment_bytes or None
        )
        if settings.cache_bytes:
            removed.downloads += await self._collector.collect_downloads(settings.cache_bytes)
        removed.trees += await self._trees.prune(self._used_deployments)
        removed.copies += await self._whole.sweep(self._ago(_COPY_DAYS))

    async def _used_deployments(self) -> set[UUID]:
        async with self._database.read() as connection:
            return await store.used_deployments(connection)

    async def _give_back(self, removed: Removed) -> None:
        """Free pages go back to the disk, but for a few that the next lines will want."""
        async with self._database.read() as connection:
            free, _ = await store.free_pages(connection)

        async def give_back(connection: Connection, most: int) -> int:
            nonlocal free
            wanted = min(most, free - _SPARE_PAGES)
            if wanted <= 0:
                return 0
            left = await store.give_back(connection, wanted)
            removed.pages += max(0, free - left)
            given, free = free - left, left
            return given

        await self._try(give_back)

    async def _try(self, *steps: Step, shares_contents: bool = False) -> bool:
        """Repeat each step until it finds nothing more, then go on with the next; False if it cannot be done now.

        Args:
            shares_contents: Each step is kept apart from uploads, up to its commit.
        """
        try:
            for step in steps:
                count = 1
                while count > 0:
                    with self._gate.removing() if shares_contents else nullcontext(True) as may_go_on:
                        if not may_go_on:
                            return False
                        count = await self._do(step)
        except (StoreError, DiskFullError) as error:
            log.warning("something could not be removed", action="retention.skip", error=error.message)
            return False
        return True

    async def _do(self, step: Step) -> int:
        async with self._database.transaction() as connection:
            began = time.monotonic()
            count = await step(connection, self._rows)
            took = time.monotonic() - began
        self.longest_step_seconds = max(self.longest_step_seconds, took)
        if took > _STEP_SECONDS:
            self._rows = max(1, self._rows // 2)
        elif took < _STEP_SECONDS / 4 and count >= self._rows:
            self._rows = min(_MOST_ROWS, self._rows * 2)
        await asyncio.sleep(took * _PAUSES)
        return count

    def _ago(self, days: float) -> datetime:
        return self._clock() - timedelta(days=days)


async def _always() -> bool:
    return True


def _days(number: float) -> str:
    return "a day" if number == 1 else f"{number:g} days"
