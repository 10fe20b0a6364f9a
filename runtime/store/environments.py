"""Which environment answers which request: resolutions, remembered so that runs of a job do not drift."""

import json
from datetime import datetime
from uuid import UUID

from runtime.domain.model import Frozen, Instant
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection, Row


class EnvironmentRecord(Frozen):
    """A request of a workspace and what it resolved to.

    `key` is the directory below `<state>/envs`; `resolved` are pinned PEP 508 specs; `python` is the exact version.
    """

    workspace_id: UUID
    request_digest: str
    key: str
    resolved: tuple[str, ...]
    python: str
    created_at: Instant
    last_used_at: Instant


async def find_environment(connection: Connection, workspace_id: UUID, request_digest: str) -> EnvironmentRecord | None:
    """What the request resolved to when it was first built."""
    row = await connection.one(
        "SELECT * FROM environments WHERE workspace_id = ? AND request_digest = ?",
        (workspace_id.bytes, request_digest),
    )
    return _record(row) if row else None


async def add_environment(connection: Connection, record: EnvironmentRecord) -> None:
    """Remember a resolution; the first one of a request stays."""
    await connection.execute(
        """INSERT INTO environments (workspace_id, request_digest, key, resolved, python, created_at, last_used_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (workspace_id, request_digest) DO NOTHING""",
        (
            record.workspace_id.bytes,
            record.request_digest,
            record.key,
            json.dumps(record.resolved),
            record.python,
            to_micros(record.created_at),
            to_micros(record.last_used_at),
        ),
    )


async def touch_environment(connection: Connection, workspace_id: UUID, request_digest: str, at: datetime) -> None:
    """Note that the environment was wanted at `at`."""
    await connection.execute(
        "UPDATE environments SET last_used_at = ? WHERE workspace_id = ? AND request_digest = ?",
        (to_micros(at), workspace_id.bytes, request_digest),
    )


async def last_used(connection: Connection) -> dict[str, float]:
    """When each environment was last wanted, in seconds since the epoch."""
    rows = await connection.all("SELECT key, max(last_used_at) AS at FROM environments GROUP BY key")
    return {row["key"]: row["at"] / 1e6 for row in rows}


async def mounted_environments(connection: Connection) -> set[str]:
    """The environments that live runs have before them."""
    rows = await connection.all("SELECT environment_key FROM live_runs WHERE environment_key IS NOT NULL")
    return {row["environment_key"] for row in rows}


async def note_mounted(connection: Connection, run_id: UUID, key: str) -> None:
    """Note which environment a live run uses; what the run itself says of it stays."""
    await connection.execute("UPDATE live_runs SET environment_key = ? WHERE run_id = ?", (key, run_id.bytes))
    await connection.execute("UPDATE runs SET environment_key = ? WHERE id = ?", (key, run_id.bytes))


async def environment_of_run(connection: Connection, run_id: UUID) -> EnvironmentRecord | None:
    """What a run has or had; None before it began, and for those from before this was noted."""
    row = await connection.one(
        """SELECT environments.* FROM runs
           JOIN environments ON environments.workspace_id = runs.workspace_id
                            AND environments.key = runs.environment_key
           WHERE runs.id = ? ORDER BY environments.created_at LIMIT 1""",
        (run_id.bytes,),
    )
    return _record(row) if row else None


def _record(row: Row) -> EnvironmentRecord:
    return EnvironmentRecord(
        workspace_id=UUID(bytes=row["workspace_id"]),
        request_digest=row["request_digest"],
        key=row["key"],
        resolved=tuple(json.loads(row["resolved"])),
        python=row["python"],
        created_at=from_micros(row["created_at"]),
        last_used_at=from_micros(row["last_used_at"]),
    )
