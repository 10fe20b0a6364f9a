"""The last whole copy of each profile's data, for apps that are first opened while a run writes to it.

A database that is written all the time cannot be copied, so an app that starts just then would have none. Nobody
writes to these copies, so one has the files in common with the one before it that have not changed.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

from runtime.packages.removal import remove_tree
from runtime.packages.snapshot import Earlier, LeftOut, Signatures, follow_snapshot, take_snapshot
from runtime.sandbox.quota import disk_use, free_bytes

_PATIENCE_SECONDS = 3.0
_QUICK_SECONDS = 1.0
_RESTS = 20
"""A copy that took longer than that is not taken again for so many times as long: large data must not keep the disk
busy after every one of many short runs."""
_PART = ".new"
"""Ends the name of what is to become a copy, which begins with a dot as no profile's does."""
_TAKEN = "taken"
"""Holds when a copy was taken; what is without it is a part of one."""


class Part(NamedTuple):
    """One directory of a profile's data, and its name in the copies."""

    name: str
    source: Path


class LastWhole:
    """Keeps the copies; one instance for all workspaces."""

    def __init__(self, state_dir: Path, most_bytes: int, spare_bytes: int) -> None:
        """Know where they are.

        Args:
            most_bytes: That all copies together may take; 0 keeps none.
            spare_bytes: Room on the disk that is left to others.
        """
        self._place = state_dir / "whole"
        self._most_bytes = most_bytes
        self._spare_bytes = spare_bytes
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._rests_until: dict[tuple[UUID, str], float] = {}

    def rest_seconds(self, workspace_id: UUID, profile: str) -> float:
        """How long to wait before the next copy is taken."""
        return max(0.0, self._rests_until.get((workspace_id, profile), 0.0) - time.monotonic())

    @property
    def is_kept(self) -> bool:
        """Whether any are."""
        return self._most_bytes > 0

    async def keep(self, workspace_id: UUID, profile: str, parts: Sequence[Part], now: datetime) -> bool:
        """Take a copy, in the place of the last one; whether it has become one.

        It does not where something is written all the time, or where there is no room for it.

        Raises:
            UnavailableError: the disk did not take it.
        """
        copy = self._copy(workspace_id, profile)
        async with self._alone(copy):
            began = time.monotonic()
            try:
                return await asyncio.to_thread(self._keep, copy, parts, now)
            finally:
                took = (ended := time.monotonic()) - began
                self._rests_until.pop((workspace_id, profile), None)
                if took > _QUICK_SECONDS:
                    self._rests_until[workspace_id, profile] = ended + took * _RESTS

    async def lend(self, workspace_id: UUID, profile: str, parts: Sequence[str], into: Path) -> datetime | None:
        """Copy it into a directory, part by part; when it was taken, or None if there is none.

        Raises:
            UnavailableError: the disk did not take it.
        """
        copy = self._copy(workspace_id, profile)
        async with self._alone(copy):
            return await asyncio.to_thread(self._lend, copy, parts, into)

    async def sweep(self, before: datetime) -> int:
        """Remove those that are older, and parts of some that a crash has left; how many there were."""
        removed = 0
        for found in await asyncio.to_thread(self._all):
            async with self._alone(_made_of(found)):  # then no part is one that is being made
                removed += await asyncio.to_thread(_remove_old, found, before)
        return removed

    def _copy(self, workspace_id: UUID, profile: str) -> Path:
        return self._place / str(workspace_id) / profile

    def _all(self) -> list[Path]:
        """Copies, and parts of some."""
        return list(self._place.glob("*/*"))

    def _alone(self, copy: Path) -> asyncio.Lock:
        return self._locks.setdefault(copy, asyncio.Lock())

    def _keep(self, copy: Path, parts: Sequence[Part], now: datetime) -> bool:
        scratch = copy.with_name(f".{copy.name}{_PART}")
        remove_tree(scratch)
        if not self._has_room(copy, parts):
            _remove(copy)  # it would go on getting older
            return False
        scratch.mkdir(mode=0o700, parents=True)
        try:
            for part in parts:
                if not _follow(part, copy, scratch).is_whole:
                    return False
            (scratch / _TAKEN).write_text(now.isoformat(), encoding="utf-8")
            _remove(copy)
            scratch.rename(copy)
        finally:
            remove_tree(scratch)
        return True

    def _has_room(self, copy: Path, parts: Sequence[Part]) -> bool:
        needed = disk_use([part.source for part in parts]).bytes
        others = disk_use([other for other in self._all() if other != copy]).bytes
        self._place.mkdir(mode=0o700, exist_ok=True)
        return needed + others <= self._most_bytes and needed + self._spare_bytes <= free_bytes(self._place)

    def _lend(self, copy: Path, parts: Sequence[str], into: Path) -> datetime | None:
        taken = _taken_at(copy)
        if taken is not None:
            for part in parts:
                (into / part).mkdir(mode=0o700)
                take_snapshot(copy / part, into / part, patience_seconds=0)
        return taken


def _follow(part: Part, copy: Path, scratch: Path) -> LeftOut:
    signatures = f"{part.name}.json"
    into = scratch / part.name
    into.mkdir(mode=0o700)
    earlier = Earlier(copy / part.name, Signatures.load(copy / signatures))
    left_out, copied = follow_snapshot(part.source, into, earlier, patience_seconds=_PATIENCE_SECONDS)
    copied.save(scratch / signatures)
    return left_out


def _made_of(found: Path) -> Path:
    """The copy that this is, or is to become."""
    is_part = found.name.startswith(".") and found.name.endswith(_PART)
    return found.with_name(found.name[1 : -len(_PART)]) if is_part else found


def _remove_old(found: Path, before: datetime) -> bool:
    taken = _taken_at(found)
    if not found.is_dir() or (taken is not None and taken >= before and _made_of(found) == found):
        return False
    _remove(found)
    return True


def _remove(copy: Path) -> None:
    (copy / _TAKEN).unlink(missing_ok=True)  # first: half of it must not be lent, should the daemon die meanwhile
    remove_tree(copy)


def _taken_at(copy: Path) -> datetime | None:
    try:
        return datetime.fromisoformat((copy / _TAKEN).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
