"""Receiving a version of a workspace's code (semantics J2)."""

import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

from runtime.dispatch.clock import Clock
from runtime.dispatch.contents import ContentGate
from runtime.dispatch.lookup import require, version_or_id
from runtime.domain.identities import Principal
from runtime.domain.packages import Deployment, PackageFile
from runtime.domain.requirements import parse_requirements
from runtime.errors import InvalidError
from runtime.packages.archive import UnpackedPackage, check_deployment_paths, content_path, unpack_archive
from runtime.settings import LimitSettings
from runtime.store import audit
from runtime.store import packages as store
from runtime.store.database import Database
from runtime.store.paging import Page

_BATCH_BYTES = 8 * 1024 * 1024
"""Contents stored in one transaction: a large upload must not keep the writer from the runs."""


class DeploymentService:
    """Uploads and looks up deployments."""

    def __init__(self, database: Database, scratch: Path, limits: LimitSettings, clock: Clock) -> None:
        self._database = database
        self._scratch = scratch
        self._limits = limits
        self._clock = clock
        self.contents = ContentGate()

    async def upload(self, principal: Principal, workspace_id: UUID, archive: Path, requirements: bytes) -> Deployment:
        """Store an uploaded archive as the workspace's newest deployment.

        Content that equals the newest deployment's, with the same requirements, makes no new version (semantics J2);
        that deployment is returned then.

        Raises:
            InvalidError: the archive or the requirements are refused; nothing is stored.
        """
        async with self.contents.uploading():
            return await self._upload(principal, workspace_id, archive, requirements)

    async def _upload(self, principal: Principal, workspace_id: UUID, archive: Path, requirements: bytes) -> Deployment:
        document = _decode_requirements(requirements)
        parsed = parse_requirements(document)
        canonical = json.dumps(document, sort_keys=True)
        size = archive.stat().st_size
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            contents = Path(folder)
            package = await asyncio.to_thread(
                unpack_archive, archive, contents, self._limits, self._limits.package_bytes
            )
            check_deployment_paths(package.files)
            async with self._database.read() as connection:
                latest = await store.latest_deployment(connection, workspace_id)
            if latest and (latest.content_hash, latest.requirements) == (package.content_hash, parsed):
                return latest
            await self._store_contents(package, contents)
        async with self._database.transaction() as connection:
            latest = await store.latest_deployment(connection, workspace_id)
            deployment = Deployment(
                id=uuid4(),
                workspace_id=workspace_id,
                version=latest.version + 1 if latest else 1,
                content_hash=package.content_hash,
                file_count=len(package.files),
                size_bytes=size,
                requirements_size_bytes=len(canonical.encode()),
                requirements=parsed,
                created_by=principal.user.id,
                author=principal.user.email,
                created_at=self._clock(),
            )
            await store.add_deployment(connection, deployment, canonical, package.files)
            await audit.record(
                connection,
                at=deployment.created_at,
                user_id=principal.user.id,
                workspace_id=workspace_id,
                action="deployment.create",
                subject=str(deployment.id),
                detail={"version": deployment.version},
            )
        return deployment

    async def latest(self, workspace_id: UUID) -> Deployment:
        """The active deployment.

        Raises:
            NotFoundError: nothing has been deployed yet.
        """
        async with self._database.read() as connection:
            return require(await store.latest_deployment(connection, workspace_id), "nothing has been deployed yet")

    async def get(self, workspace_id: UUID, id_or_version: str) -> Deployment:
        """One deployment by identifier or version number; NotFoundError if there is none."""
        async with self._database.read() as connection:
            found = await store.find_deployment(connection, workspace_id, version_or_id(id_or_version))
        return require(found, f"there is no deployment `{id_or_version}`")

    async def list(self, workspace_id: UUID, limit: int, offset: int) -> Page[Deployment]:
        """Deployments, highest version first."""
        async with self._database.read() as connection:
            return await store.list_deployments(connection, workspace_id, limit, offset)

    async def files(self, workspace_id: UUID, which: str) -> Sequence[PackageFile]:
        """The entries of a deployment (`latest`, identifier or version), sorted by path."""
        deployment = await (self.latest(workspace_id) if which == "latest" else self.get(workspace_id, which))
        async with self._database.read() as connection:
            return await store.deployment_files(connection, deployment.id)

    async def _store_contents(self, package: UnpackedPackage, contents: Path) -> None:
        digests = {file.sha3_256 for file in package.files if file.linkname is None}
        async with self._database.read() as connection:
            missing = await store.missing_blobs(connection, digests)
        for batch in _batches(package.files, missing):
            blobs = await asyncio.to_thread(_compress_all, batch, contents)
            async with self._database.transaction() as connection:
                await store.add_blobs(connection, blobs)


def _decode_requirements(content: bytes) -> dict[str, object]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise InvalidError(f"requirements.json is not JSON: {error}", code="requirements") from error
    except RecursionError as error:
        raise InvalidError("requirements.json is nested too deeply", code="requirements") from error
    if not isinstance(document, dict):
        raise InvalidError("requirements.json must hold a JSON object", code="requirements")
    return document


def _batches(files: Sequence[PackageFile], missing: set[str]) -> Iterator[list[str]]:
    """Distinct missing digests, grouped so that a group's contents stay near `_BATCH_BYTES`."""
    sizes = {file.sha3_256: file.size_bytes for file in files if file.sha3_256 in missing}
    batch: list[str] = []
    held = 0
    for digest, size in sizes.items():
        batch.append(digest)
        held += size
        if held >= _BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _compress_all(digests: list[str], contents: Path) -> list[tuple[str, bytes]]:
    return [(digest, store.compress(content_path(contents, digest).read_bytes())) for digest in digests]
