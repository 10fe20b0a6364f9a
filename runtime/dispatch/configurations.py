"""Receiving a version of a workspace's settings and secrets; contents are sealed before they are stored."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

from runtime.dispatch.clock import Clock
from runtime.dispatch.lookup import require, version_or_id
from runtime.domain.identities import Principal
from runtime.domain.packages import Configuration, PackageFile
from runtime.domain.profiles import profiles_present
from runtime.packages.archive import UnpackedPackage, check_configuration_paths, content_path, unpack_archive
from runtime.packages.sealing import Sealer
from runtime.settings import LimitSettings
from runtime.store import audit
from runtime.store import packages as store
from runtime.store.database import Connection, Database
from runtime.store.paging import Page


class ConfigurationService:
    """Uploads and looks up configurations; only a run's preparation opens their contents."""

    def __init__(self, database: Database, scratch: Path, limits: LimitSettings, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._scratch = scratch
        self._limits = limits
        self._sealer = sealer
        self._clock = clock

    async def upload(self, principal: Principal, workspace_id: UUID, archive: Path) -> Configuration:
        """Store an uploaded archive as the workspace's newest configuration; equal content makes no new version (J2).

        Unless the newest cannot be opened, because the key that sealed it is lost: then this takes its place.

        Raises:
            InvalidError: the archive is refused; nothing is stored.
        """
        size = archive.stat().st_size
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            package = await asyncio.to_thread(
                unpack_archive, archive, Path(folder), self._limits, self._limits.configuration_bytes
            )
            check_configuration_paths(package.files)
            async with self._database.transaction() as connection:
                latest = await store.latest_configuration(connection, workspace_id)
                if latest and latest.content_hash == package.content_hash and await self._opens(connection, latest):
                    return latest
                configuration = Configuration(
                    id=uuid4(),
                    workspace_id=workspace_id,
                    version=latest.version + 1 if latest else 1,
                    content_hash=package.content_hash,
                    file_count=len(package.files),
                    size_bytes=size,
                    profiles=tuple(profiles_present(file.relative_path for file in package.files)),
                    created_by=principal.user.id,
                    author=principal.user.email,
                    created_at=self._clock(),
                )
                # Within the transaction: a rotation of the key must find this content, or happen before it is sealed.
                sealed = await asyncio.to_thread(self._seal, configuration.id, package, Path(folder))
                await store.add_configuration(connection, configuration, sealed)
                await audit.record(
                    connection,
                    at=configuration.created_at,
                    user_id=principal.user.id,
                    workspace_id=workspace_id,
                    action="configuration.create",
                    subject=str(configuration.id),
                    detail={"version": configuration.version},
                )
        return configuration

    async def latest(self, workspace_id: UUID) -> Configuration:
        """The active configuration; its hash is empty where no key at hand opens it.

        Clients upload what has another hash than their own. An empty one lets them bring the contents again.

        Raises:
            NotFoundError: none has been uploaded yet.
        """
        async with self._database.read() as connection:
            found = require(
                await store.latest_configuration(connection, workspace_id), "no configuration has been uploaded yet"
            )
            if not await self._opens(connection, found):
                return found.model_copy(update={"content_hash": ""})
        return found

    async def get(self, workspace_id: UUID, id_or_version: str) -> Configuration:
        """One configuration by identifier or version number; NotFoundError if there is none."""
        async with self._database.read() as connection:
            found = await store.find_configuration(connection, workspace_id, version_or_id(id_or_version))
        return require(found, f"there is no configuration `{id_or_version}`")

    async def list(self, workspace_id: UUID, limit: int, offset: int) -> Page[Configuration]:
        """Configurations, highest version first."""
        async with self._database.read() as connection:
            return await store.list_configurations(connection, workspace_id, limit, offset)

    async def files(self, workspace_id: UUID, which: str) -> Sequence[PackageFile]:
        """Names, sizes and hashes of a configuration's files (`latest`, identifier or version); never contents."""
        configuration = await (self.latest(workspace_id) if which == "latest" else self.get(workspace_id, which))
        async with self._database.read() as connection:
            return [file for file, _ in await store.configuration_files(connection, configuration.id)]

    async def _opens(self, connection: Connection, configuration: Configuration) -> bool:
        """Whether all of it was sealed with keys that are at hand."""
        headers = await store.sealing_headers(connection, configuration.id, self._sealer.header_bytes)
        return all(map(self._sealer.knows, headers))

    def _seal(self, identifier: UUID, package: UnpackedPackage, contents: Path) -> Sequence[store.SealedFile]:
        return [
            (
                file,
                self._sealer.seal(
                    b"" if file.linkname is not None else content_path(contents, file.sha3_256).read_bytes(),
                    seal_context(identifier, file),
                ),
            )
            for file in package.files
        ]


def seal_context(configuration_id: UUID, file: PackageFile) -> bytes:
    """What a sealed content is bound to: moved to another configuration or path, it does not open."""
    return b"configuration\0" + configuration_id.bytes + file.relative_path.encode()
