"""The organization, its workspaces, and who has which role in them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.domain.identities import Organization, Role, Workspace
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection, Row


@dataclass(frozen=True)
class Counts:
    """How much there is on this machine."""

    users: int
    workspaces: int
    jobs: int
    active_runs: int


async def find_organization(connection: Connection) -> Organization | None:
    """The one organization, if the machine has been started before."""
    row = await connection.one("SELECT * FROM organization")
    return Organization(**_named(row)) if row else None


async def add_organization(connection: Connection, organization: Organization) -> None:
    """Insert the one organization."""
    await connection.execute(
        "INSERT INTO organization (id, name, description, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
        (
            organization.id.bytes,
            organization.name,
            organization.description,
            to_micros(organization.created_at),
            to_micros(organization.updated_at),
        ),
    )


async def save_organization(connection: Connection, organization: Organization) -> None:
    """Store name and description."""
    await connection.execute(
        "UPDATE organization SET name = ?, description = ?, updated_at = ? WHERE id = ?",
        (organization.name, organization.description, to_micros(organization.updated_at), organization.id.bytes),
    )


async def find_workspace(connection: Connection, workspace_id: UUID) -> Workspace | None:
    """The workspace with this identifier."""
    row = await connection.one("SELECT * FROM workspaces WHERE id = ?", (workspace_id.bytes,))
    return _workspace(row) if row else None


async def all_workspaces(connection: Connection) -> list[Workspace]:
    """Every workspace, oldest first."""
    rows = await connection.all("SELECT * FROM workspaces ORDER BY created_at, id")
    return [_workspace(row) for row in rows]


async def workspaces_of_user(connection: Connection, user_id: UUID) -> list[tuple[Workspace, Role]]:
    """The workspaces a user is a member of, oldest first."""
    rows = await connection.all(
        """SELECT workspaces.*, member.role FROM workspaces
           JOIN workspace_members AS member ON member.workspace_id = workspaces.id
           WHERE member.user_id = ? ORDER BY workspaces.created_at, workspaces.id""",
        (user_id.bytes,),
    )
    return [(_workspace(row), row["role"]) for row in rows]


async def add_workspace(connection: Connection, workspace: Workspace) -> None:
    """Insert a workspace, without members."""
    await connection.execute(
        "INSERT INTO workspaces (id, name, description, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
        (
            workspace.id.bytes,
            workspace.name,
            workspace.description,
            to_micros(workspace.created_at),
            to_micros(workspace.updated_at),
        ),
    )


async def save_workspace(connection: Connection, workspace: Workspace) -> None:
    """Store what may be changed of it."""
    await connection.execute(
        "UPDATE workspaces SET name = ?, description = ?, access_data = ?, updated_at = ? WHERE id = ?",
        (
            workspace.name,
            workspace.description,
            workspace.access_data,
            to_micros(workspace.updated_at),
            workspace.id.bytes,
        ),
    )


async def set_description(connection: Connection, workspace_id: UUID, description: str, at: datetime) -> None:
    """Store the description alone, if it differs."""
    await connection.execute(
        "UPDATE workspaces SET description = :text, updated_at = :at WHERE id = :id AND description IS NOT :text",
        {"text": description, "at": to_micros(at), "id": workspace_id.bytes},
    )


async def add_member(connection: Connection, workspace_id: UUID, user_id: UUID, role: Role, at: datetime) -> None:
    """Make a user a member of a workspace."""
    await connection.execute(
        "INSERT INTO workspace_members (workspace_id, user_id, role, created_at) VALUES (?, ?, ?, ?)",
        (workspace_id.bytes, user_id.bytes, role, to_micros(at)),
    )


async def find_role(connection: Connection, workspace_id: UUID, user_id: UUID) -> Role | None:
    """The role of a member; None for others."""
    role: Role | None = await connection.value(
        "SELECT role FROM workspace_members WHERE workspace_id = ? AND user_id = ?",
        (workspace_id.bytes, user_id.bytes),
    )
    return role


async def count_all(connection: Connection) -> Counts:
    """How many people, workspaces, jobs and active runs there are; administrators' accounts and the archived not."""
    row = await connection.one(
        """SELECT (SELECT count(*) FROM users WHERE local_uid IS NULL) AS users,
                  (SELECT count(*) FROM workspaces) AS workspaces,
                  (SELECT count(*) FROM jobs WHERE archived_at IS NULL) AS jobs,
                  (SELECT count(*) FROM runs
                   WHERE status IN ('pending', 'starting', 'running', 'cancelling')) AS active_runs"""
    )
    return Counts(**dict(row or {}))


def _workspace(row: Row) -> Workspace:
    return Workspace(**_named(row), access_data=row["access_data"])


def _named(row: Row) -> dict[str, object]:
    """The fields an organization and a workspace have in common."""
    return {
        "id": UUID(bytes=row["id"]),
        "name": row["name"],
        "description": row["description"],
        "created_at": from_micros(row["created_at"]),
        "updated_at": from_micros(row["updated_at"]),
    }
