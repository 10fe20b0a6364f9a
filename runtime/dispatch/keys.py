"""Replacing the key that configurations are sealed with, while they are in use.

A rotation puts the new key in place, seals every content anew in short transactions, and forgets the old key once a
look at the whole store, with nobody writing beside it, has found nothing that needs it. It may break off anywhere: keys
and contents then say how far it came, and the next daemon, or the next call, ends it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from runtime.dispatch.clock import Clock
from runtime.dispatch.configurations import seal_context
from runtime.domain.identities import Principal
from runtime.errors import StoreError
from runtime.packages.key_files import SealingKeyFiles
from runtime.packages.sealing import Sealer
from runtime.store import audit, packages
from runtime.store.database import Database
from runtime.store.packages import SealedPlace

_BATCH_BYTES = 4 * 1024 * 1024

MISSING_KEY_HINT = (
    "put back `keys/sealing.key` and start the daemon again, or upload them again: `dlt-runtime configuration sync` "
    "in each of these workspaces"
)

log = structlog.get_logger()


@dataclass(frozen=True)
class Rotation:
    """What a rotation did.

    `unreadable` counts contents that no key opens, damaged ones for instance: they stay as they were.
    """

    key_id: str
    resealed: int
    unreadable: int


class KeyService:
    """Rotates the sealing key; one rotation at a time."""

    def __init__(self, database: Database, sealer: Sealer, files: SealingKeyFiles, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._files = files
        self._clock = clock
        self._turn = asyncio.Lock()

    async def finish(self) -> None:
        """End a rotation that an earlier daemon began; to be called at the start.

        A key that is lost keeps nobody from starting: the way out, uploading configurations again, needs a daemon.
        """
        async with self._turn:
            await self._finish()
        if closed := await self.closed_workspaces():
            log.error(
                "configurations were sealed with a key that is not there: runs that need them fail",
                action="keys.missing",
                workspaces=closed,
                hint=MISSING_KEY_HINT,
            )

    async def closed_workspaces(self) -> list[str]:
        """Names of the workspaces whose active configuration no key at hand opens: their runs fail."""
        async with self._database.read() as connection:
            newest = await packages.newest_sealing_headers(connection, self._sealer.header_bytes)
        return sorted({name for name, header in newest if not self._sealer.knows(header)})

    async def rotate(self, principal: Principal) -> Rotation:
        """Seal everything with a new key.

        Raises:
            ConflictError: the key is not ours to replace.
            UnavailableError: the disk did not take the new key.
            StoreError: the store could not be read or written; the rotation goes on at the next call or start.
        """
        async with self._turn:
            await self._finish()
            # Without an await in between: the key on the disk and the one in use are the same for all others.
            self._sealer.use(self._files.begin_rotation())
            resealed, unreadable = await self._reseal()
            done = Rotation(self._sealer.key_id, resealed, unreadable)
            async with self._database.transaction() as connection:
                await audit.record(
                    connection,
                    at=self._clock(),
                    user_id=principal.user.id,
                    action="keys.rotate",
                    subject=done.key_id,
                    detail={"resealed": resealed, "unreadable": unreadable},
                )
            return done

    async def _finish(self) -> None:
        keys = self._files.load()
        if not keys.older:
            self._files.end_rotation()
            return
        for key in (*keys.older, keys.current):
            self._sealer.use(key)
        resealed, _ = await self._reseal()
        log.info(
            "everything is sealed with the present key, no older one is needed", action="keys.rotate", files=resealed
        )

    async def _reseal(self) -> tuple[int, int]:
        """Seal anew until nothing is left, then forget the old key; how many contents that was, and how many could not.

        Contents are sealed in the transaction that stores them, so what this does not find is not on its way either.
        """
        resealed, unreadable = 0, set[SealedPlace]()
        while True:
            async with self._database.transaction() as connection:
                places = await packages.not_sealed_with(connection, self._sealer.header)
                left = [place for place in places if place not in unreadable]
                if not left:
                    self._files.end_rotation()
                    return resealed, len(unreadable)
            for batch in _batches(left):
                refused = await self._reseal_batch(batch)
                unreadable.update(refused)
                resealed += len(batch) - len(refused)

    async def _reseal_batch(self, batch: Sequence[SealedPlace]) -> list[SealedPlace]:
        refused: list[SealedPlace] = []
        async with self._database.transaction() as connection:
            for place in batch:
                found = await packages.sealed_file(connection, place)
                if found is None:
                    continue
                file, sealed = found
                context = seal_context(place.configuration_id, file)
                try:
                    fresh = await asyncio.to_thread(self._sealer.reseal, sealed, context)
                except StoreError as error:
                    refused.append(place)
                    log.warning(
                        "a configuration's file cannot be opened and was not sealed anew",
                        action="keys.rotate",
                        configuration_id=str(place.configuration_id),
                        path=place.relative_path,
                        error=error.message,
                    )
                else:
                    await packages.replace_sealed(connection, place, fresh)
        return refused


def _batches(places: Sequence[SealedPlace]) -> Iterator[list[SealedPlace]]:
    """Of some 4 MiB each, or one larger content: nobody else can write meanwhile."""
    batch: list[SealedPlace] = []
    held = 0
    for place in places:
        batch.append(place)
        held += place.sealed_bytes
        if held >= _BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
