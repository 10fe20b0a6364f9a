"""What apps see of the data that batch runs wrote: copies, renewed after every run that may have changed them.

A run's copies are generations: directories in the run's own place, of which the link `current` names the newest. A new
one is made out of sight, moved in and named by a rename, so an app sees the old data or the new, and who has a file of
the old open keeps it. The app may write to its copy; nobody else reads that, and the next generation is without it.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import structlog

from runtime.dispatch.clock import Clock
from runtime.dispatch.last_whole import LastWhole, Part
from runtime.dispatch.lookup import require
from runtime.domain.access_data import DataPlace, data_place
from runtime.domain.jobs import JobType
from runtime.domain.profiles import PROD
from runtime.domain.runs import Run
from runtime.errors import JobRuntimeError
from runtime.packages.removal import remove_tree
from runtime.packages.snapshot import LeftOut, take_snapshot
from runtime.sandbox.quota import disk_use, laid_bytes, note_laid
from runtime.store import jobs, runs, workspaces
from runtime.store.database import Connection, Database

log = structlog.get_logger()

CURRENT = "current"
PARTS = ("var", "local")
"""What a profile's data consists of: dlt's own files, and those that pipelines write to local destinations."""

_APART = ".apps"
"""Below it is what apps keep for themselves; no name of a profile begins like that."""

_LACKING = "data.lacks"
_PATIENCE_SECONDS = 3.0
_KEPT_GENERATIONS = 2
_MOST_NAMED = 3

_Copied = UUID | tuple[UUID, str]
"""What a copy is made for: an app's run, or a workspace's profile."""


class AccessData:
    """Gives each run its data, and keeps the copies of apps fresh."""

    def __init__(self, database: Database, state_dir: Path, whole: LastWhole, clock: Clock) -> None:
        self._whole = whole
        self._clock = clock
        self._database = database
        self._runs = state_dir / "runs"
        self._data = state_dir / "data"
        self._locks: WeakValueDictionary[_Copied, asyncio.Lock] = WeakValueDictionary()
        self._renewing: set[asyncio.Task[None]] = set()
        self._waiting: set[_Copied] = set()
        self._is_closing = asyncio.Event()

    async def place_of(self, run: Run, job_type: JobType) -> DataPlace:
        """Where the run's data is, by the will of its workspace."""
        async with self._database.read() as connection:
            return await _place(connection, run, job_type)

    def directories(self, workspace_id: UUID, place: DataPlace) -> tuple[Path, Path]:
        """The two parts of the data at a place, of a copy its original's, made where they are missing; blocks."""
        base = self._data / str(workspace_id)
        base = base / _APART if place.kind == "apart" else base
        var, local = (base / place.profile / part for part in PARTS)
        for directory in (var, local):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return var, local

    @asynccontextmanager
    async def undisturbed(self, run_id: UUID) -> AsyncIterator[None]:
        """Nothing is copied into the run's place meanwhile."""
        async with self._lock(run_id):
            yield

    async def lay(self, run: Run, place: DataPlace, report: Callable[[str], None]) -> Path:
        """Make the first generation for an app; returns the directory that holds its generations.

        Raises:
            UnavailableError: the disk did not take it.
        """
        into = self._copies(run.id)
        async with self.undisturbed(run.id):
            await asyncio.to_thread(into.mkdir, mode=0o700, parents=True, exist_ok=True)
            left_out, _ = await asyncio.to_thread(self._renew, into, run.workspace_id, place)
            since = await self._begin_whole(into, run.workspace_id, place) if left_out.busy else None
        if since is not None:
            report(
                f"the data is shown as it was at {since:%Y-%m-%d %H:%M:%S} UTC, since a run writes right now to "
                f"{_named(left_out.busy)}; what is newer comes once that run is over"
            )
        elif left_out.busy:
            report(
                "left out of the data, since a run writes to it right now: "
                f"{_named(left_out.busy)}; it comes once that run is over"
            )
        if since is None and not left_out.is_of_one_moment:
            report(
                "the data is not of one moment, since a run writes to it right now: files may be missing beside others "
                "that belong to them; it is whole once that run is over"
            )
        if left_out.unreadable:
            report(f"left out of the data, since nobody may read it: {_named(left_out.unreadable)}")
        return into

    async def _begin_whole(self, into: Path, workspace_id: UUID, place: DataPlace) -> datetime | None:
        """Show an app that begins the last whole copy, instead of one without what is being written; when that was."""
        if not self._whole.is_kept:
            return None
        scratch = into.with_name("data.new")
        await asyncio.to_thread(_clear, scratch)
        try:
            since = await self._whole.lend(workspace_id, place.profile, PARTS, scratch)
            if since is not None:
                await asyncio.to_thread(_show, scratch, into)
                await asyncio.to_thread(_note_lacking, into, [])
        finally:
            await asyncio.to_thread(remove_tree, scratch)
        return since

    def settled(self, run: Run) -> "asyncio.Task[None]":
        """A run has ended: in the background, renew the copies of all apps that show what it may have written."""
        return self._in_background(self._renew_showing(run))

    def taken_up(self, run: Run) -> None:
        """An app of an earlier daemon goes on: in the background, renew its copy; a renewal may have been left out."""
        self._in_background(self._renew_taken_up(run))

    async def close(self) -> None:
        """Begin no more copies, and return when none is being made; the next daemon renews those of apps."""
        self._is_closing.set()
        await asyncio.gather(*self._renewing, return_exceptions=True)

    def _in_background(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)
        return task

    def _lock(self, copied: _Copied) -> asyncio.Lock:
        return self._locks.setdefault(copied, asyncio.Lock())

    @contextmanager
    def _waiting_for(self, copied: _Copied) -> Iterator[bool]:
        """Wait meanwhile to make a copy; False where another waits already, whose copy will do for both."""
        if copied in self._waiting:
            yield False
            return
        self._waiting.add(copied)
        try:
            yield True
        finally:
            self._waiting.discard(copied)

    def _copies(self, run_id: UUID) -> Path:
        return self._runs / str(run_id) / "data"

    async def _renew_showing(self, ended: Run) -> None:
        try:
            showing = await self._showing(ended)
        except JobRuntimeError as error:
            log.warning("apps' data could not be renewed", **_which(ended), error=str(error))
            return
        for run, place in showing:
            await self._renew_one(run, place)
        await self._keep_whole(ended)

    async def _keep_whole(self, ended: Run) -> None:
        """After a batch run, keep a copy for apps that begin while the next one writes; if there may be any."""
        place, key = DataPlace(profile=ended.profile), (ended.workspace_id, ended.profile)
        try:
            if not self._whole.is_kept or not await self._may_be_shown(ended):
                return
            async with AsyncExitStack() as turn:
                with self._waiting_for(key) as is_first:
                    if not is_first:
                        return
                    await turn.enter_async_context(self._lock(key))
                    await self._rest(key)
                if self._is_closing.is_set():
                    return
                directories = await asyncio.to_thread(self.directories, ended.workspace_id, place)
                parts = [Part(name, source) for name, source in zip(PARTS, directories, strict=True)]
                await self._whole.keep(ended.workspace_id, ended.profile, parts, self._clock())
        except (JobRuntimeError, OSError) as error:
            log.warning("no whole copy of the data was kept", **_which(ended), error=str(error))

    async def _rest(self, key: tuple[UUID, str]) -> None:
        """Wait until the next whole copy may be taken, or the daemon ends."""
        while not self._is_closing.is_set() and (seconds := self._whole.rest_seconds(*key)):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_closing.wait(), seconds)

    async def _may_be_shown(self, ended: Run) -> bool:
        """Whether the workspace has an app that shows copies of the data of a run's profile."""
        async with self._database.read() as connection:
            if await _job_type(connection, ended) == "interactive":
                return False
            workspace = require(await workspaces.find_workspace(connection, ended.workspace_id), "workspace is gone")
            definitions = [
                job.version.definition
                for job in await jobs.all_jobs(connection, ended.workspace_id)
                if job.archived_at is None and job.version.definition.entry_point.job_type == "interactive"
            ]
        places = [
            data_place("interactive", definition.required_profile or PROD, workspace.access_data)
            for definition in definitions
        ]
        return any(place.kind == "copy" and place.profile == ended.profile for place in places)

    async def _renew_taken_up(self, run: Run) -> None:
        try:
            place = await self.place_of(run, "interactive")
        except JobRuntimeError as error:
            log.warning("an app's data could not be renewed", **_which(run), error=str(error))
            return
        await self._renew_one(run, place)

    async def _showing(self, ended: Run) -> list[tuple[Run, DataPlace]]:
        """The live apps that show the data of the run's profile, and where that is."""
        async with self._database.read() as connection:
            if (await _job_type(connection, ended)) == "interactive":
                return []
            showing = []
            for run in await runs.active_runs(connection):
                if run.workspace_id != ended.workspace_id:
                    continue
                place = await _place(connection, run, await _job_type(connection, run))
                if place.kind == "copy" and place.profile == ended.profile:
                    showing.append((run, place))
            return showing

    async def _renew_one(self, run: Run, place: DataPlace) -> None:
        """Renew an app's copy if it has one; what goes wrong is logged, and keeps no other app from its data."""
        into = self._copies(run.id)
        if place.kind != "copy":
            return
        try:
            async with AsyncExitStack() as turn:
                with self._waiting_for(run.id) as is_first:
                    if not is_first:
                        return
                    await turn.enter_async_context(self.undisturbed(run.id))
                if self._is_closing.is_set() or not (into / CURRENT).is_symlink():
                    return  # the latter has not begun, and will have all there is then
                _, lost = await asyncio.to_thread(self._renew, into, run.workspace_id, place)
        except (JobRuntimeError, OSError) as error:
            log.warning("an app's data could not be renewed", **_which(run), error=str(error))
            return
        if lost:
            log.warning(
                "an app's data stays as it is: a run writes all the time to what the new copy would lack",
                **_which(run),
                lacking=_named(lost),
            )

    def _renew(self, into: Path, workspace_id: UUID, place: DataPlace) -> tuple[LeftOut, Sequence[str]]:
        """Make the next generation; dropped again where it would lack what the one before it has.

        Returns:
            What had to be left out, and what of that the last generation has: if anything, that one stays.
        """
        scratch = into.with_name("data.new")
        _clear(scratch)
        try:
            left_out = self._copy(workspace_id, place, scratch)
            lacking = into.with_name(_LACKING)
            lost = sorted(set(left_out.busy) - set(json.loads(lacking.read_bytes()))) if lacking.exists() else []
            if not lost:
                _note_lacking(into, left_out.busy)
                _show(scratch, into)
        finally:
            remove_tree(scratch)  # what has not become a generation would hold the disk
        return left_out, lost

    def _copy(self, workspace_id: UUID, place: DataPlace, into: Path) -> LeftOut:
        found: list[tuple[str, LeftOut]] = []
        for part, source in zip(PARTS, self.directories(workspace_id, place), strict=True):
            (into / part).mkdir(mode=0o700)
            found.append((part, take_snapshot(source, into / part, patience_seconds=_PATIENCE_SECONDS)))
        return LeftOut(
            [f"{part}/{path}" for part, left_out in found for path in left_out.busy],
            [f"{part}/{path}" for part, left_out in found for path in left_out.unreadable],
            all(left_out.is_of_one_moment for _, left_out in found),
        )


def _clear(scratch: Path) -> None:
    """An empty directory in the place of what may be left; without its parents: a run's place may have been cleared."""
    remove_tree(scratch)
    scratch.mkdir(mode=0o700)


def _note_lacking(into: Path, paths: Sequence[str]) -> None:
    """Note beside the generations what the newest of them lacks."""
    noted = into.with_name(f"{_LACKING}.new")
    noted.write_text(json.dumps(paths), encoding="utf-8")
    noted.replace(into.with_name(_LACKING))


def _show(scratch: Path, into: Path) -> None:
    """Make a copy the current generation."""
    # The app can write beside its generations; names it cannot guess are not in its way, nor it in ours.
    generation = into / f"{_next_number(into)}-{uuid4().hex}"
    # Said before it is there: whoever measures what the app takes must not take the copy for it (semantics S6).
    laid = {**laid_bytes(into), generation.name: disk_use((scratch,)).bytes}
    note_laid(into, laid)
    scratch.rename(generation)
    link = into / f"{CURRENT}.{uuid4().hex}"
    link.symlink_to(generation.name)
    link.replace(into / CURRENT)
    _remove_old(into)
    left = {path.name for _, path in _generations(into)}
    note_laid(into, {name: size for name, size in laid.items() if name in left})


async def _place(connection: Connection, run: Run, job_type: JobType) -> DataPlace:
    workspace = require(await workspaces.find_workspace(connection, run.workspace_id), "workspace is gone")
    return data_place(job_type, run.profile, workspace.access_data)


async def _job_type(connection: Connection, run: Run) -> JobType:
    version = require(await jobs.find_version(connection, run.job_id, run.job_version_id), "job version is gone")
    return version.definition.entry_point.job_type


def _generations(place: Path) -> list[tuple[int, Path]]:
    """Directories by number, oldest first; anything else an app has put there is left alone."""
    found = []
    for path in place.iterdir():
        number, _, _ = path.name.partition("-")
        if number.isdecimal() and number.isascii() and len(number) < 10 and path.is_dir() and not path.is_symlink():
            found.append((int(number), path))
    return sorted(found)


def _next_number(place: Path) -> int:
    return max(itertools.chain([0], (number for number, _ in _generations(place)))) + 1


def _remove_old(place: Path) -> None:
    for _, path in _generations(place)[:-_KEPT_GENERATIONS]:
        with suppress(OSError):  # the app is at work in it; it goes with the run
            remove_tree(path)


def _named(paths: Sequence[str]) -> str:
    """Some of them; names that are no text included."""
    text = ", ".join(paths[:_MOST_NAMED]) + (", ..." if len(paths) > _MOST_NAMED else "")
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _which(run: Run) -> dict[str, str]:
    return {"action": "data.renew", "workspace_id": str(run.workspace_id), "run_id": str(run.id)}
