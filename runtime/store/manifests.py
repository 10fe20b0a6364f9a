"""Manifests as they were deployed, by module and by the version of the code they came with."""

import json
from typing import Any
from uuid import UUID

from runtime.domain.model import Frozen
from runtime.store.database import Connection

_STANDING = """SELECT * FROM deployed_manifests AS one WHERE workspace_id = ?1 AND version <= ?2 AND version = (
    SELECT max(version) FROM deployed_manifests AS other
    WHERE other.workspace_id = one.workspace_id AND other.module = one.module AND other.version <= ?2)"""


class StoredManifest(Frozen):
    """What a deployment module said; `jobs` are definitions as they came."""

    module: str
    engine_version: int
    description: str | None
    jobs: tuple[dict[str, Any], ...]


async def save_manifest(connection: Connection, workspace_id: UUID, version: int, manifest: StoredManifest) -> None:
    """Remember what a module says from this version of the code on."""
    standing = {one.module: one for one in await manifests_at(connection, workspace_id, version)}
    if standing.get(manifest.module) == manifest:
        return
    await connection.execute(
        "INSERT OR REPLACE INTO deployed_manifests VALUES (?, ?, ?, ?, ?, ?)",
        (
            workspace_id.bytes,
            manifest.module,
            version,
            manifest.engine_version,
            manifest.description,
            json.dumps(manifest.jobs),
        ),
    )


async def manifests_at(connection: Connection, workspace_id: UUID, version: int) -> list[StoredManifest]:
    """What each module said last before the version after this one came, by module."""
    rows = await connection.all(f"{_STANDING} ORDER BY module", (workspace_id.bytes, version))
    return [
        StoredManifest(
            module=row["module"],
            engine_version=row["engine_version"],
            description=row["description"],
            jobs=json.loads(row["jobs"]),
        )
        for row in rows
    ]


async def forget_manifests(connection: Connection) -> int:
    """Remove those that no version of the code still comes with."""
    return await connection.execute(
        """DELETE FROM deployed_manifests AS old WHERE NOT EXISTS (
               SELECT 1 FROM deployments WHERE deployments.workspace_id = old.workspace_id
               AND deployments.version >= old.version
               AND deployments.version < coalesce((
                   SELECT min(newer.version) FROM deployed_manifests AS newer
                   WHERE newer.workspace_id = old.workspace_id AND newer.module = old.module
                   AND newer.version > old.version), 9223372036854775807))"""
    )
