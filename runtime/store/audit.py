"""The trail of who did what; rows are only ever added."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from runtime.store.columns import to_micros
from runtime.store.database import Connection


async def record(
    connection: Connection,
    *,
    at: datetime,
    user_id: UUID | None,
    action: str,
    workspace_id: UUID | None = None,
    subject: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add a row, in the transaction of the change it tells of.

    Args:
        user_id: Who did it; None for the runtime itself.
        action: `<what>.<verb>`, for example `deployment.create`.
        subject: What it was done to: an id, a job reference, an email.
        detail: More, as JSON; never a secret.
    """
    await connection.execute(
        "INSERT INTO audit_log (at, user_id, workspace_id, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (
            to_micros(at),
            user_id and user_id.bytes,
            workspace_id and workspace_id.bytes,
            action,
            subject,
            json.dumps(detail, sort_keys=True, default=str) if detail is not None else None,
        ),
    )
