"""Removing what builds can make again: virtualenvs long unused, and downloads beyond their share of the disk.

What a request resolved to is remembered for ever, so an environment that is missed is built again as it was.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from runtime.environments.directories import EnvironmentDirectories, remove_tree

_WANTED_SECONDS = 3600.0
"""How long an environment that was handed out is left alone: by then it is mounted, which the store knows."""


class Usage:
    """What of the environments is in somebody's hands at this moment."""

    def __init__(self) -> None:
        self._wanted: dict[str, float] = {}
        self._building: dict[UUID, int] = {}

    def note(self, key: str) -> None:
        """Somebody is about to be given this environment, if it is there."""
        self._wanted[key] = time.monotonic()

    def is_wanted(self, key: str) -> bool:
        """Whether somebody has been given it of late."""
        at = self._wanted.get(key)
        return at is not None and time.monotonic() - at < _WANTED_SECONDS

    @contextmanager
    def building(self, workspace_id: UUID) -> Iterator[None]:
        """A build of this workspace uses its downloads."""
        self._building[workspace_id] = self._building.get(workspace_id, 0) + 1
        try:
            yield
        finally:
            self._building[workspace_id] -= 1

    def is_building(self, workspace_id: UUID) -> bool:
        """Whether one does."""
        return self._building.get(workspace_id, 0) > 0


class Collector:
    """Takes away environments and downloads.

    Whether something is in use is asked, and it is renamed, without anything in between; the files go in a thread.
    """

    def __init__(self, directories: EnvironmentDirectories, usage: Usage) -> None:
        self._directories = directories
        self._usage = usage

    async def collect_environments(
        self, last_used: dict[str, float], in_use: Container[str], unused_since: float, most_bytes: int | None
    ) -> int:
        """Remove environments unused since then, and those longest unused while all are larger than `most_bytes`.

        Args:
            last_used: Seconds since the epoch by key, of those that are known.
            in_use: Keys that live runs have mounted.
            most_bytes: None for no limit.

        Returns:
            How many were removed.
        """
        present = await asyncio.to_thread(self._directories.environments)
        sizes = await asyncio.to_thread(_sizes, [path for _, path, _ in present]) if most_bytes is not None else {}
        total = sum(sizes.values())
        removed = 0
        for key, path, made_at in sorted(present, key=lambda one: last_used.get(one[0], one[2])):
            is_old = last_used.get(key, made_at) < unused_since
            if not is_old and (most_bytes is None or total <= most_bytes):
                continue
            if key not in in_use and not self._usage.is_wanted(key):
                removed += await self._remove(path)
                total -= sizes.get(path, 0)
        return removed

    async def collect_downloads(self, most_bytes: int) -> int:
        """Remove the downloads of workspaces, longest unused first, while all are larger; returns of how many."""
        caches = await asyncio.to_thread(self._directories.caches)
        sizes = await asyncio.to_thread(_sizes, [path for _, path, _ in caches])
        total = sum(sizes.values())
        removed = 0
        for workspace_id, path, _ in sorted(caches, key=lambda one: one[2]):
            if total > most_bytes and not self._usage.is_building(workspace_id):
                removed += await self._remove(path)
                total -= sizes[path]
        return removed

    async def _remove(self, path: Path) -> bool:
        try:
            away = self._directories.take_away(path)
        except FileNotFoundError:
            return False
        await asyncio.to_thread(remove_tree, away)
        return True


def _sizes(paths: list[Path]) -> dict[Path, int]:
    return {path: _size(path) for path in paths}


def _size(top: Path) -> int:
    """What removing a tree would free, about: a file that has other names elsewhere counts for its share."""
    total, waiting = 0, [top]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                is_directory = entry.is_dir(follow_symlinks=False)
                total += status.st_blocks * 512 // (1 if is_directory else status.st_nlink)
                if is_directory:
                    waiting.append(Path(entry.path))
    return total
