"""A backup of everything that matters, taken while runs write: the database of one moment, and the keys if wanted.

Not in it: what jobs keep in `data/`, which is theirs, large, and being written; and what is made again by itself
(environments, caches). Keys are left out unless asked for, so that a backup on somebody else's disk opens nothing.
"""

import asyncio
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from runtime.backup_file import DATABASE, FORMAT, KEYS, Description, digest_of, write_backup
from runtime.dispatch.clock import Clock
from runtime.dispatch.space import Space, megabytes
from runtime.domain.identities import Principal
from runtime.errors import ROOM_HINT, ConflictError, DiskFullError, StoreError, is_full
from runtime.store import audit
from runtime.store.backup import copy_database
from runtime.store.database import Database

log = structlog.get_logger()


@dataclass(frozen=True)
class Taken:
    """A backup that has been taken, to be read once."""

    file: IO[bytes]
    size_bytes: int


class _UnwantedError(Exception):
    """Nobody waits for the backup any more."""


class BackupService:
    """Takes backups, one at a time."""

    def __init__(self, database: Database, state_dir: Path, version: str, space: Space, clock: Clock) -> None:
        self._database = database
        self._state_dir = state_dir
        self._version = version
        self._space = space
        self._clock = clock
        self._taking = asyncio.Lock()

    async def take(self, principal: Principal, *, with_keys: bool) -> Taken:
        """A backup as an open file that has no name any more: it is gone when it is closed.

        Raises:
            ConflictError: another one is being taken, or the keys are kept by systemd and not in files.
            DiskFullError: there is no room for a copy.
            DamagedError: the database is not sound.
        """
        if self._taking.locked():
            raise ConflictError("a backup is being taken already", code="backup_busy")
        async with self._taking:
            keys = {name: self._state_dir / name for name in KEYS} if with_keys else {}
            if any(not path.is_file() for path in keys.values()):
                raise ConflictError(
                    "the keys are not in files: systemd keeps them", code="backup_keys", hint="leave out `--with-keys`"
                )
            await self._note(principal, with_keys=with_keys)
            self._require_room()
            with tempfile.TemporaryDirectory(dir=self._state_dir / "tmp", prefix="backup-") as folder:
                archive = await self._in_thread(Path(folder), keys)
                return Taken(archive.open("rb"), archive.stat().st_size)

    def _require_room(self) -> None:
        """The copy holds what is in the log, too, and both are there for a moment, the copy and the archive of it."""
        path = self._database.path
        parts = (path, path.with_name(f"{path.name}-wal"))
        needed = 2 * sum(part.stat().st_size for part in parts if part.exists())
        if self._space.free_bytes < needed + self._space.reserve_bytes:
            raise DiskFullError(
                f"a backup needs {megabytes(needed)} for a while, besides the {megabytes(self._space.reserve_bytes)} "
                "kept in reserve, more than is free on the disk of the state directory",
                hint=ROOM_HINT,
            )

    async def _in_thread(self, folder: Path, keys: dict[str, Path]) -> Path:
        """Take it in a thread; where nobody waits for it any more, return when the thread has let go of the folder."""
        is_unwanted = threading.Event()

        def go_on() -> None:
            if is_unwanted.is_set():
                raise _UnwantedError

        taking = asyncio.create_task(asyncio.to_thread(self._take, folder, keys, go_on))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            is_unwanted.set()
            await asyncio.gather(taking, return_exceptions=True)
            raise

    def _take(self, folder: Path, keys: dict[str, Path], go_on: Callable[[], None]) -> Path:
        copy, archive = folder / DATABASE, folder / "backup.tar"
        try:
            copied = copy_database(self._database.path, copy, go_on)
            files = {DATABASE: copy, **keys}
            description = Description(
                format=FORMAT,
                version=self._version,
                schema_number=copied.schema,
                created_at=self._clock(),
                digests={name: digest_of(path) for name, path in files.items()},
            )
            go_on()
            with archive.open("xb") as file:
                write_backup(file, files, description)
            copy.unlink()
        except sqlite3.Error as error:
            raise StoreError(f"the database could not be copied: {error}") from error
        except OSError as error:
            if not is_full(error):
                raise
            raise DiskFullError("the backup could not be written: no space left") from error
        log.info("took a backup", action="backup.take", bytes=archive.stat().st_size, with_keys=bool(keys))
        return archive

    async def _note(self, principal: Principal, *, with_keys: bool) -> None:
        async with self._database.transaction() as connection:
            await audit.record(
                connection,
                at=self._clock(),
                user_id=principal.user.id,
                workspace_id=None,
                action="backup.take",
                detail={"with_keys": with_keys},
            )
