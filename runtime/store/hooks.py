"""Webhooks: the tokens that open them, and what was posted, until its run has ended (semantics T7)."""

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import zstandard

from runtime.domain.model import Frozen, Instant
from runtime.store.columns import from_micros, from_micros_or_none, to_micros
from runtime.store.database import Connection, Row


class HookToken(Frozen):
    """A secret that starts one job; of the secret itself only its digest is kept."""

    id: UUID
    job_id: UUID
    digest: bytes
    created_by: UUID
    created_at: Instant
    used_at: Instant | None = None
    revoked_at: Instant | None = None


class Payload(Frozen):
    """What was posted: header names in lower case."""

    headers: dict[str, str]
    body: bytes


async def add_token(connection: Connection, token: HookToken) -> None:
    """Insert a token."""
    await connection.execute(
        "INSERT INTO hook_tokens (id, job_id, digest, created_by, created_at) VALUES (?, ?, ?, ?, ?)",
        (token.id.bytes, token.job_id.bytes, token.digest, token.created_by.bytes, to_micros(token.created_at)),
    )


async def tokens_of(connection: Connection, job_id: UUID) -> list[HookToken]:
    """The tokens of a job, newest first, revoked ones too."""
    rows = await connection.all(
        "SELECT * FROM hook_tokens WHERE job_id = ? ORDER BY created_at DESC, id", (job_id.bytes,)
    )
    return [_token(row) for row in rows]


async def live_tokens(connection: Connection, workspace: UUID | str) -> list[HookToken]:
    """The tokens of a workspace, by its identifier or its name, that have not been revoked."""
    rows = await connection.all(
        """SELECT hook_tokens.* FROM hook_tokens
           JOIN jobs ON jobs.id = hook_tokens.job_id JOIN workspaces ON workspaces.id = jobs.workspace_id
           WHERE hook_tokens.revoked_at IS NULL AND (workspaces.id = :workspace OR workspaces.name = :workspace)""",
        {"workspace": workspace.bytes if isinstance(workspace, UUID) else workspace},
    )
    return [_token(row) for row in rows]


async def mark_used(connection: Connection, token_id: UUID, at: datetime) -> None:
    """Note that a token has opened its hook."""
    await connection.execute("UPDATE hook_tokens SET used_at = ? WHERE id = ?", (to_micros(at), token_id.bytes))


async def revoke(connection: Connection, token_id: UUID, at: datetime) -> None:
    """End a token; the first time stands."""
    await connection.execute(
        "UPDATE hook_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (to_micros(at), token_id.bytes)
    )


async def add_payload(connection: Connection, run_id: UUID, payload: Payload) -> None:
    """Keep what was posted with the run that it starts."""
    await connection.execute(
        "INSERT INTO run_payloads (run_id, headers, body) VALUES (?, ?, ?)",
        (run_id.bytes, _headers_document(payload.headers), zstandard.compress(payload.body)),
    )


async def find_payload(connection: Connection, run_id: UUID) -> Payload | None:
    """What was posted to start a run; None if nothing was, or the run has ended."""
    row = await connection.one("SELECT headers, body FROM run_payloads WHERE run_id = ?", (run_id.bytes,))
    return Payload(headers=json.loads(row["headers"]), body=zstandard.decompress(row["body"])) if row else None


async def forget_payload(connection: Connection, run_id: UUID) -> None:
    """The run has ended: what was posted is no longer needed."""
    await connection.execute("DELETE FROM run_payloads WHERE run_id = ?", (run_id.bytes,))


def _headers_document(headers: Mapping[str, str]) -> str:
    return json.dumps(headers, sort_keys=True)


def _token(row: Row) -> HookToken:
    return HookToken(
        id=UUID(bytes=row["id"]),
        job_id=UUID(bytes=row["job_id"]),
        digest=row["digest"],
        created_by=UUID(bytes=row["created_by"]),
        created_at=from_micros(row["created_at"]),
        used_at=from_micros_or_none(row["used_at"]),
        revoked_at=from_micros_or_none(row["revoked_at"]),
    )
