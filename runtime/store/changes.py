"""What changed in a workspace, in the order of its last change; written by triggers of the schema."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from runtime.domain.model import Frozen
from runtime.store.columns import from_micros
from runtime.store.database import Connection

ChangeKind = Literal["workspace", "deployment", "configuration", "job", "run"]


class Change(Frozen):
    """The last change of one thing. Numbers ascend over all workspaces and are never used twice."""

    seq: int
    kind: ChangeKind
    subject_id: UUID


async def changes_after(connection: Connection, workspace_id: UUID, seq: int, limit: int) -> list[Change]:
    """The things of a workspace that changed after number `seq`, at most `limit` of them, ascending."""
    rows = await connection.all(
        "SELECT seq, kind, subject_id FROM changes WHERE workspace_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        (workspace_id.bytes, seq, limit),
    )
    return [Change(seq=row["seq"], kind=row["kind"], subject_id=UUID(bytes=row["subject_id"])) for row in rows]


async def last_change(connection: Connection, workspace_id: UUID) -> int:
    """The number of a workspace's last change; 0 if there is none."""
    return int(
        await connection.value(
            "SELECT coalesce(max(seq), 0) FROM changes WHERE workspace_id = ?", (workspace_id.bytes,)
        )
    )


async def last_change_of_kind(connection: Connection, workspace_id: UUID, kind: ChangeKind) -> int:
    """The number of the last change of anything of this kind; 0 if there is none."""
    return int(
        await connection.value(
            "SELECT coalesce(max(seq), 0) FROM changes WHERE workspace_id = ? AND kind = ?", (workspace_id.bytes, kind)
        )
    )


async def last_change_of_run(connection: Connection, workspace_id: UUID, run_id: UUID) -> int:
    """The number of the last change of a run or of its job; 0 if the workspace has no such run."""
    return int(
        await connection.value(
            """SELECT coalesce(max(seq), 0) FROM changes
               WHERE subject_id IN (SELECT id FROM runs WHERE id = :run AND workspace_id = :workspace
                                    UNION SELECT job_id FROM runs WHERE id = :run AND workspace_id = :workspace)""",
            {"run": run_id.bytes, "workspace": workspace_id.bytes},
        )
    )


async def watermark(connection: Connection, workspace_id: UUID) -> datetime | None:
    """When anything in a workspace last changed."""
    at = await connection.value(
        "SELECT at FROM changes WHERE workspace_id = ? ORDER BY seq DESC LIMIT 1", (workspace_id.bytes,)
    )
    return None if at is None else from_micros(at)
