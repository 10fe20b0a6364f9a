"""Follows the log files of live runs, all in one flat directory with one watcher."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from watchfiles import awatch

BLOCK_BYTES = 1024 * 1024
"""Most that is handed out at once."""

_STEP_MS = 10
_DEBOUNCE_MS = 20
_SWEEP_MS = 1000


class LogTail:
    """Hands out what runs write within some 30 ms. Use it as an asynchronous context manager.

    The watcher works only while something is followed. File events can be lost (a full queue, a file system without
    them): every second all files are looked at anyway.
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
        await self._stop_watching()

    async def follow(self, run_id: UUID, *, ended: asyncio.Event, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """What was appended since `offset`, block by block, at most `BLOCK_BYTES` each.

        Once `ended` is set, what is left is handed out and the iteration stops; set it when nothing can write any
        more, that is when `Runner.wait` has returned. A file that a job has truncated is read from its start again.
        """
        wake = asyncio.Event()
        self._wakes[run_id].add(wake)
        self._watch()
        waiting = asyncio.create_task(ended.wait())
        reader = _Reader(self._directory / f"{run_id}.log", offset)
        try:
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

    def _watch(self) -> None:
        if self._watcher is None or self._watcher.done():
            self._stop = asyncio.Event()
            self._watcher = asyncio.create_task(self._pass_events(self._stop))

    async def _stop_watching(self) -> None:
        self._stop.set()
        if self._watcher is not None:
            await self._watcher
            self._watcher = None

    async def _pass_events(self, stop: asyncio.Event) -> None:
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
        async for changed in changes:
            if not self._wakes:
                return
            names = {Path(path).stem for _, path in changed if path.endswith(".log")}
            for run_id, wakes in self._wakes.items():
                if not changed or str(run_id) in names:
                    for wake in wakes:
                        wake.set()


class _Reader:
    """Reads one file on from an offset; a file that is not there (yet) is empty."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self._offset = offset
        self._descriptor = -1

    def read(self) -> bytes:
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                return b""
        block = os.pread(self._descriptor, BLOCK_BYTES, self._offset)
        if not block and os.fstat(self._descriptor).st_size < self._offset:
            self._offset = 0
            block = os.pread(self._descriptor, BLOCK_BYTES, 0)
        self._offset += len(block)
        return block

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


async def _either(wake: asyncio.Event, ended: "asyncio.Task[bool]") -> None:
    woken = asyncio.create_task(wake.wait())
    try:
        await asyncio.wait({woken, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
