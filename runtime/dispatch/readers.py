"""Whether somebody who reads for long may go on: what they were let in for may end while they do."""

import asyncio
from datetime import datetime
from uuid import UUID

from runtime.domain.identities import Principal, effective_role
from runtime.store import credentials, workspaces
from runtime.store.database import Connection

LOOK_AGAIN_SECONDS = 15.0
"""After so long without news a reader looks by itself, and whether it may go on."""


async def may_look(connection: Connection, principal: Principal, workspace_id: UUID, now: datetime) -> bool:
    """Whether somebody has a role in a workspace, and the user, machine token or login they came with is good still."""
    if not await credentials.is_welcome(connection, principal.user.id, principal.token_id, principal.family_id, now):
        return False
    membership = await workspaces.find_role(connection, workspace_id, principal.user.id)
    return effective_role(principal, workspace_id, membership) is not None


async def wait_for_news(event: asyncio.Event) -> None:
    """Until the event is set, or until it is time to look again."""
    try:
        await asyncio.wait_for(event.wait(), LOOK_AGAIN_SECONDS)
    except TimeoutError:
        return
