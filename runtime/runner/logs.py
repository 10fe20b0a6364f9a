"""Follows the log files of live runs, all in one flat directory with one watcher."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from watchfiles import awatch

from runtime.runner.holes import free_range

BLOCK_BYTES = 128 * 1024
"""Most that is handed out at once: what follows is done in one go, and others wait meanwhile."""

_OURS = 0o600
_DISK_BLOCK_BYTES = 512
_STEP_MS = 3
_DEBOUNCE_MS = 6
_SWEEP_MS = 1000

log = structlog.get_logger()


class LogTail:
    """Hands out what runs write within some 30 ms. Use it as an asynchronous context manager.

    The watcher works only while something is followed, since it looks for events a hundred times a second. Events can
    be lost (a full queue, a file system without them): every second all files are looked at anyway.
    """

    def __init__(self, live_dir: Path) -> None:
        self._directory = live_dir
        self._wakes: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._stop = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        watcher, self._watcher = self._watcher, None
        self._stop.set()
        if watcher is not None:
            await watcher

    async def follow(
        self, run_id: UUID, *, ended: asyncio.Event, offset: int = 0, may_shrink: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """What was appended since `offset`, block by block, at most `BLOCK_BYTES` each.

        Once `ended` is set, what is left is handed out and the iteration stops; set it when nothing can write any
        more, that is when `Runner.wait` has returned. A file that a job has truncated is read from its start again.

        Args:
            may_shrink: False where the file may be shorter for another reason, a power cut: what was read stays read.
        """
        wake = asyncio.Event()
        waiting = asyncio.create_task(ended.wait())
        reader = _Reader(self._file(run_id), offset, may_shrink=may_shrink)
        self._wakes[run_id].add(wake)
        try:
            self._watch()
            # The watcher's first step is to ask for events; what is written before that is read below.
            await asyncio.sleep(0)
            while True:
                wake.clear()
                is_last = ended.is_set()
                if block := reader.read():
                    yield block
                    await asyncio.sleep(0)
                elif is_last:
                    return
                else:
                    await _either(wake, waiting)
        finally:
            reader.close()
            waiting.cancel()
            self._wakes[run_id].discard(wake)
            if not self._wakes[run_id]:
                del self._wakes[run_id]

    def size(self, run_id: UUID) -> int:
        """Bytes the run has written so far."""
        with suppress(FileNotFoundError):
            return self._file(run_id).stat().st_size
        return 0

    def taken(self, run_id: UUID) -> int:
        """Bytes the file takes on the disk: fewer than its size where it has holes, more where room is set aside."""
        with suppress(FileNotFoundError):
            return self._file(run_id).stat().st_blocks * _DISK_BLOCK_BYTES
        return 0

    def part(self, run_id: UUID, begin: int, end: int) -> bytes:
        """What it has written from one place up to another."""
        with suppress(FileNotFoundError), os.fdopen(_open(self._file(run_id), os.O_RDONLY), "rb") as file:
            file.seek(begin)
            return file.read(end - begin)
        return b""

    def free(self, run_id: UUID, begin: int, end: int) -> None:
        """Give the disk back what lies between two places; reading it gives zeros, all other places stay. Blocks."""
        with suppress(FileNotFoundError):
            descriptor = _open(self._file(run_id), os.O_WRONLY)
            try:
                free_range(descriptor, begin, end)
            finally:
                os.close(descriptor)

    def _file(self, run_id: UUID) -> Path:
        return self._directory / f"{run_id}.log"

    def _watch(self) -> None:
        if self._watcher is None:
            self._stop = asyncio.Event()
            self._watcher = asyncio.create_task(self._work(self._stop))

    async def _work(self, stop: asyncio.Event) -> None:
        try:
            await self._pass_events(stop)
        except (OSError, RuntimeError) as error:
            # The machine's inotify instances are few and others use them too.
            log.warning("File events do not work, logs are looked at every second", error=str(error))
            while self._wakes and not stop.is_set():
                self._wake(None)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _SWEEP_MS / 1000)
            self._watcher = None

    async def _pass_events(self, stop: asyncio.Event) -> None:
        """Wake followers until stopped, or until there are none."""
        changes = awatch(
            self._directory,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            rust_timeout=_SWEEP_MS,
            yield_on_timeout=True,
            stop_event=stop,
            recursive=False,
        )
        async with aclosing(changes):
            async for changed in changes:
                if not self._wakes:
                    # From here on `_watch` starts another; this one only ends.
                    self._watcher = None
                    return
                self._wake({Path(path).stem for _, path in changed if path.endswith(".log")} if changed else None)

    def _wake(self, names: set[str] | None) -> None:
        """Wake those who follow one of `names`; everybody if it is None."""
        for run_id, wakes in self._wakes.items():
            if names is None or str(run_id) in names:
                for wake in wakes:
                    wake.set()


class _Reader:
    """Reads one file on from an offset; a file that is not there (yet) is empty."""

    def __init__(self, path: Path, offset: int, *, may_shrink: bool) -> None:
        self._path = path
        self._may_shrink = may_shrink
        self._offset = offset
        self._descriptor = -1

    def read(self) -> bytes:
        if self._descriptor < 0:
            try:
                self._descriptor = _open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                return b""
        block = os.pread(self._descriptor, BLOCK_BYTES, self._offset)
        if not block and self._may_shrink and os.fstat(self._descriptor).st_size < self._offset:
            self._offset = 0
            block = os.pread(self._descriptor, BLOCK_BYTES, 0)
        self._offset += len(block)
        return block

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _open(path: Path, flags: int) -> int:
    """Open a log also where its job, which holds it, has taken our rights to it away."""
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except PermissionError:
        path.chmod(_OURS)
        return os.open(path, flags | os.O_CLOEXEC)


async def _either(wake: asyncio.Event, ended: "asyncio.Task[bool]") -> None:
    woken = asyncio.create_task(wake.wait())
    try:
        await asyncio.wait({woken, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
