"""Who belongs to a workspace and in which role; who belongs to the organization."""

from datetime import datetime
from uuid import UUID

from runtime.domain.identities import Member, Role, User
from runtime.store.columns import to_micros, to_micros_or_none
from runtime.store.database import Connection
from runtime.store.identities import user_of_row


async def members_of(connection: Connection, workspace_id: UUID) -> list[Member]:
    """The members of a workspace, by email; people who have left the organization are none."""
    rows = await connection.all(
        """SELECT users.*, member.role FROM workspace_members AS member JOIN users ON users.id = member.user_id
           WHERE member.workspace_id = ? AND users.disabled_at IS NULL ORDER BY users.email""",
        (workspace_id.bytes,),
    )
    return [Member(user=user_of_row(row), role=row["role"]) for row in rows]


async def save_member(connection: Connection, workspace_id: UUID, user_id: UUID, role: Role, at: datetime) -> None:
    """Make a user a member, or give a member another role."""
    await connection.execute(
        """INSERT INTO workspace_members (workspace_id, user_id, role, created_at) VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET role = excluded.role""",
        (workspace_id.bytes, user_id.bytes, role, to_micros(at)),
    )


async def delete_member(connection: Connection, workspace_id: UUID, user_id: UUID) -> None:
    """End a membership."""
    await connection.execute(
        "DELETE FROM workspace_members WHERE workspace_id = ? AND user_id = ?", (workspace_id.bytes, user_id.bytes)
    )


async def delete_memberships(connection: Connection, user_id: UUID) -> None:
    """End every membership of a user."""
    await connection.execute("DELETE FROM workspace_members WHERE user_id = ?", (user_id.bytes,))


async def known_to(connection: Connection, user_id: UUID) -> list[User]:
    """A user and all who share a workspace with them, by email."""
    rows = await connection.all(
        """SELECT * FROM users WHERE disabled_at IS NULL AND (id = :user OR id IN (
               SELECT other.user_id FROM workspace_members AS mine
               JOIN workspace_members AS other ON other.workspace_id = mine.workspace_id WHERE mine.user_id = :user
           )) ORDER BY email""",
        {"user": user_id.bytes},
    )
    return [user_of_row(row) for row in rows]


async def set_disabled(connection: Connection, user_id: UUID, at: datetime | None) -> None:
    """Take a user out of the organization, or with None let them in again."""
    await connection.execute("UPDATE users SET disabled_at = ? WHERE id = ?", (to_micros_or_none(at), user_id.bytes))
