"""Deployments, configurations and the contents they are made of."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import UUID

import zstandard

from runtime.domain.model import Frozen
from runtime.domain.packages import Configuration, Deployment, PackageFile
from runtime.domain.requirements import parse_requirements
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection, Row
from runtime.store.paging import Page

_COMPRESSION_LEVEL = 3
_WITH_AUTHOR = "*, (SELECT email FROM users WHERE users.id = created_by) AS author"
SealedFile = tuple[PackageFile, bytes]


class SealedPlace(Frozen):
    """Where a sealed content is, and how large."""

    configuration_id: UUID
    relative_path: str
    sealed_bytes: int


async def missing_blobs(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Which of these contents are not stored yet."""
    wanted = set(digests)
    rows = await connection.all(
        "SELECT sha3_256 FROM blobs WHERE sha3_256 IN (SELECT value FROM json_each(?))", (json.dumps(sorted(wanted)),)
    )
    return wanted - {row["sha3_256"] for row in rows}


def compress(content: bytes) -> bytes:
    """The stored form of a content; pure computation, fit for a thread."""
    return zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(content)


async def add_blobs(connection: Connection, blobs: Sequence[tuple[str, bytes]]) -> None:
    """Store compressed contents by digest; a content that is there already stays as it is."""
    await connection.executemany("INSERT OR IGNORE INTO blobs (sha3_256, content) VALUES (?, ?)", blobs)


async def delete_orphan_blobs(connection: Connection) -> int:
    """Drop contents no deployment refers to: what an upload that never finished left behind."""
    return await connection.execute("DELETE FROM blobs WHERE sha3_256 NOT IN (SELECT sha3_256 FROM deployment_files)")


async def add_deployment(
    connection: Connection, deployment: Deployment, requirements: str, files: Sequence[PackageFile]
) -> None:
    """Insert a deployment; its contents must be stored already."""
    await connection.execute(
        """INSERT INTO deployments (id, workspace_id, version, content_hash, file_count, size_bytes, requirements,
                                    created_by, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            deployment.id.bytes,
            deployment.workspace_id.bytes,
            deployment.version,
            deployment.content_hash,
            deployment.file_count,
            deployment.size_bytes,
            requirements,
            deployment.created_by.bytes,
            to_micros(deployment.created_at),
        ),
    )
    await connection.executemany(
        "INSERT INTO deployment_files VALUES (?, ?, ?, ?, ?, ?)",
        [(deployment.id.bytes, *_file_columns(file)) for file in files],
    )


async def add_configuration(connection: Connection, configuration: Configuration, files: Sequence[SealedFile]) -> None:
    """Insert a configuration with its sealed files."""
    await connection.execute(
        """INSERT INTO configurations (id, workspace_id, version, content_hash, file_count, size_bytes, profiles,
                                       created_by, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            configuration.id.bytes,
            configuration.workspace_id.bytes,
            configuration.version,
            configuration.content_hash,
            configuration.file_count,
            configuration.size_bytes,
            json.dumps(configuration.profiles),
            configuration.created_by.bytes,
            to_micros(configuration.created_at),
        ),
    )
    await connection.executemany(
        "INSERT INTO configuration_files VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(configuration.id.bytes, *_file_columns(file), sealed) for file, sealed in files],
    )


async def latest_deployment(connection: Connection, workspace_id: UUID) -> Deployment | None:
    """The active deployment: the one with the highest version."""
    row = await connection.one(
        f"SELECT {_WITH_AUTHOR} FROM deployments WHERE workspace_id = ? ORDER BY version DESC LIMIT 1",
        (workspace_id.bytes,),
    )
    return _deployment(row) if row else None


async def latest_configuration(connection: Connection, workspace_id: UUID) -> Configuration | None:
    """The active configuration: the one with the highest version."""
    row = await connection.one(
        f"SELECT {_WITH_AUTHOR} FROM configurations WHERE workspace_id = ? ORDER BY version DESC LIMIT 1",
        (workspace_id.bytes,),
    )
    return _configuration(row) if row else None


async def find_deployment(connection: Connection, workspace_id: UUID, which: UUID | int) -> Deployment | None:
    """One deployment of a workspace, by identifier or by version."""
    row = await connection.one(
        f"SELECT {_WITH_AUTHOR} FROM deployments {_BY_ID_OR_VERSION}", _which(workspace_id, which)
    )
    return _deployment(row) if row else None


async def find_configuration(connection: Connection, workspace_id: UUID, which: UUID | int) -> Configuration | None:
    """One configuration of a workspace, by identifier or by version."""
    row = await connection.one(
        f"SELECT {_WITH_AUTHOR} FROM configurations {_BY_ID_OR_VERSION}", _which(workspace_id, which)
    )
    return _configuration(row) if row else None


async def list_deployments(connection: Connection, workspace_id: UUID, limit: int, offset: int) -> Page[Deployment]:
    """Deployments, highest version first."""
    rows = await connection.all(
        f"SELECT {_WITH_AUTHOR} FROM deployments WHERE workspace_id = ? ORDER BY version DESC LIMIT ? OFFSET ?",
        (workspace_id.bytes, limit, offset),
    )
    total = await connection.value("SELECT count(*) FROM deployments WHERE workspace_id = ?", (workspace_id.bytes,))
    return Page([_deployment(row) for row in rows], total)


async def list_configurations(
    connection: Connection, workspace_id: UUID, limit: int, offset: int
) -> Page[Configuration]:
    """Configurations, highest version first."""
    rows = await connection.all(
        f"SELECT {_WITH_AUTHOR} FROM configurations WHERE workspace_id = ? ORDER BY version DESC LIMIT ? OFFSET ?",
        (workspace_id.bytes, limit, offset),
    )
    total = await connection.value("SELECT count(*) FROM configurations WHERE workspace_id = ?", (workspace_id.bytes,))
    return Page([_configuration(row) for row in rows], total)


async def deployment_files(connection: Connection, deployment_id: UUID) -> list[PackageFile]:
    """The entries of a deployment, sorted by path."""
    rows = await connection.all(
        "SELECT * FROM deployment_files WHERE deployment_id = ? ORDER BY relative_path", (deployment_id.bytes,)
    )
    return [_file(row) for row in rows]


async def deployment_file(connection: Connection, deployment_id: UUID, path: str) -> PackageFile | None:
    """One entry of a deployment."""
    row = await connection.one(
        "SELECT * FROM deployment_files WHERE deployment_id = ? AND relative_path = ?", (deployment_id.bytes, path)
    )
    return _file(row) if row else None


async def file_content(connection: Connection, file: PackageFile) -> bytes | None:
    """What a regular file of a deployment holds; None if it has been removed meanwhile."""
    stored = await connection.value("SELECT content FROM blobs WHERE sha3_256 = ?", (file.sha3_256,))
    return None if stored is None else zstandard.ZstdDecompressor().decompress(stored)


async def copy_deployment(connection: Connection, older: Deployment, copy: Deployment) -> int:
    """Insert a deployment that has the files and requirements of another; answers how many files there are."""
    requirements = await connection.value("SELECT requirements FROM deployments WHERE id = ?", (older.id.bytes,))
    files = await deployment_files(connection, older.id)
    await add_deployment(connection, copy, requirements, files)
    return len(files)


async def deployment_contents(
    connection: Connection, deployment_id: UUID
) -> AsyncIterator[tuple[PackageFile, bytes | None]]:
    """Every entry with its content, one at a time so that memory holds one file; None for a symbolic link."""
    decompressor = zstandard.ZstdDecompressor()
    for file in await deployment_files(connection, deployment_id):
        if file.linkname is not None:
            yield file, None
            continue
        stored = await connection.value("SELECT content FROM blobs WHERE sha3_256 = ?", (file.sha3_256,))
        yield file, decompressor.decompress(stored)


async def configuration_files(connection: Connection, configuration_id: UUID) -> list[SealedFile]:
    """The entries of a configuration, sealed, sorted by path."""
    rows = await connection.all(
        "SELECT * FROM configuration_files WHERE configuration_id = ? ORDER BY relative_path", (configuration_id.bytes,)
    )
    return [(_file(row), row["sealed"]) for row in rows]


async def sealing_headers(connection: Connection, configuration_id: UUID, length: int) -> set[bytes]:
    """What the sealed contents of a configuration begin with: `length` bytes each."""
    rows = await connection.all(
        "SELECT DISTINCT substr(sealed, 1, ?) AS header FROM configuration_files WHERE configuration_id = ?",
        (length, configuration_id.bytes),
    )
    return {row["header"] for row in rows}


async def newest_sealing_headers(connection: Connection, length: int) -> list[tuple[str, bytes]]:
    """What the contents of each workspace's active configuration begin with: workspace's name, and `length` bytes."""
    rows = await connection.all(
        """SELECT DISTINCT workspaces.name, substr(sealed, 1, ?) AS header
           FROM configurations
           JOIN workspaces ON workspaces.id = configurations.workspace_id
           JOIN configuration_files ON configuration_id = configurations.id
           WHERE version = (SELECT max(version) FROM configurations AS newer
                            WHERE newer.workspace_id = configurations.workspace_id)
           ORDER BY workspaces.name""",
        (length,),
    )
    return [(row["name"], row["header"]) for row in rows]


async def not_sealed_with(connection: Connection, header: bytes) -> list[SealedPlace]:
    """The contents of all configurations that do not begin with a sealing key's header."""
    rows = await connection.all(
        """SELECT configuration_id, relative_path, length(sealed) AS size FROM configuration_files
           WHERE substr(sealed, 1, ?) != ? ORDER BY configuration_id, relative_path""",
        (len(header), header),
    )
    return [
        SealedPlace(
            configuration_id=UUID(bytes=row["configuration_id"]),
            relative_path=row["relative_path"],
            sealed_bytes=row["size"],
        )
        for row in rows
    ]


async def sealed_file(connection: Connection, place: SealedPlace) -> SealedFile | None:
    """One entry of a configuration, sealed; None if the configuration is gone."""
    row = await connection.one(f"SELECT * FROM configuration_files {_AT_PLACE}", _place(place))
    return (_file(row), row["sealed"]) if row else None


async def replace_sealed(connection: Connection, place: SealedPlace, sealed: bytes) -> None:
    """Store the same content as another key has sealed it."""
    await connection.execute(f"UPDATE configuration_files SET sealed = ? {_AT_PLACE}", (sealed, *_place(place)))


_AT_PLACE = "WHERE configuration_id = ? AND relative_path = ?"


def _place(place: SealedPlace) -> tuple[bytes, str]:
    return place.configuration_id.bytes, place.relative_path


_BY_ID_OR_VERSION = "WHERE workspace_id = :workspace AND (id = :id OR version = :version)"


def _which(workspace_id: UUID, which: UUID | int) -> dict[str, Any]:
    is_id = isinstance(which, UUID)
    return {
        "workspace": workspace_id.bytes,
        "id": which.bytes if isinstance(which, UUID) else None,
        "version": None if is_id else which,
    }


def _file_columns(file: PackageFile) -> tuple[str, int, str, str | None, int]:
    return file.relative_path, file.size_bytes, file.sha3_256, file.linkname, file.mode


def _file(row: Row) -> PackageFile:
    return PackageFile(
        relative_path=row["relative_path"],
        size_bytes=row["size_bytes"],
        sha3_256=row["sha3_256"],
        linkname=row["linkname"],
        mode=row["mode"],
    )


def _deployment(row: Row) -> Deployment:
    return Deployment(
        id=UUID(bytes=row["id"]),
        workspace_id=UUID(bytes=row["workspace_id"]),
        version=row["version"],
        content_hash=row["content_hash"],
        file_count=row["file_count"],
        size_bytes=row["size_bytes"],
        requirements_size_bytes=len(row["requirements"].encode()),
        requirements=parse_requirements(json.loads(row["requirements"])),
        created_by=UUID(bytes=row["created_by"]),
        author=row["author"],
        created_at=from_micros(row["created_at"]),
    )


def _configuration(row: Row) -> Configuration:
    return Configuration(
        id=UUID(bytes=row["id"]),
        workspace_id=UUID(bytes=row["workspace_id"]),
        version=row["version"],
        content_hash=row["content_hash"],
        file_count=row["file_count"],
        size_bytes=row["size_bytes"],
        profiles=tuple(json.loads(row["profiles"])),
        created_by=UUID(bytes=row["created_by"]),
        author=row["author"],
        created_at=from_micros(row["created_at"]),
    )
