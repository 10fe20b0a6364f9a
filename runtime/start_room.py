"""Room on the disk that is kept for the start of a daemon, and for nothing else.

A daemon has to write a little before it serves: the database's log and index, small files of its own. Where the disk is
full it could not, and as long as there is no daemon nobody ends the run that has filled it. So a few MiB are set aside
while there is room, a start that finds none gives them up, and they are set aside again when there is.
"""

import asyncio
import os
from pathlib import Path

import structlog

from runtime.sandbox.quota import BLOCK_BYTES, free_bytes

START_BYTES = 8 * 1024 * 1024
"""More than a start writes; a new schema over a large database may need more."""
NAME = "start-room"

_AGAIN_SECONDS = 10.0

log = structlog.get_logger()


class StartRoom:
    """A file in the state directory that takes room and holds nothing.

    Args:
        reserve_bytes: What is kept free for runs that end; only what is left beyond that is set aside.
    """

    def __init__(self, state_dir: Path, reserve_bytes: int) -> None:
        self._file = state_dir / NAME
        self._reserve_bytes = reserve_bytes

    def use_if_full(self) -> None:
        """To be called once by a daemon that starts: give the room up if there is no other."""
        if free_bytes(self._file.parent) < START_BYTES and self._file.exists():
            log.warning("the disk is full: the room kept for a start is used up", action="start.room")
            self._file.unlink()

    async def keep(self) -> None:
        """Set the room aside as soon as there is enough, and see that it stays so, until cancelled."""
        while True:
            await asyncio.to_thread(self.set_aside)
            await asyncio.sleep(_AGAIN_SECONDS)

    def set_aside(self) -> bool:
        """Whether the room is there now; blocks."""
        try:
            if self._taken() >= START_BYTES:
                return True
            if free_bytes(self._file.parent) < self._reserve_bytes + 2 * START_BYTES:
                return False
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, START_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.debug("no room could be set aside for the next start", action="start.room", error=error.strerror)
            return False
        return True

    def _taken(self) -> int:
        try:
            return self._file.stat().st_blocks * BLOCK_BYTES
        except FileNotFoundError:
            return 0
