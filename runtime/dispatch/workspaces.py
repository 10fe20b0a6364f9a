"""Workspaces and the organization around them: who sees which, in what role."""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID, uuid4

from runtime.dispatch.clock import Clock, system_clock
from runtime.domain.identities import Organization, Principal, Role, Workspace, effective_role
from runtime.errors import InvalidError, NotFoundError, RefusedError
from runtime.store import audit
from runtime.store import workspaces as store
from runtime.store.database import Connection, Database
from runtime.store.workspaces import Counts

OrganizationRole = Literal["owner", "member"]

DEFAULT_WORKSPACE = "default"
DEFAULT_ORGANIZATION = "default"
_LONGEST_NAME = 100
_LONGEST_DESCRIPTION = 10_000

Changes = Mapping[str, str | None]
"""What to change: `name`, which None leaves as it is, and `description`, which None takes away."""


class WorkspaceService:
    """Looks up, creates and renames workspaces."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def organization(self) -> Organization:
        """The one organization that this machine is; made when first asked for."""
        async with self._database.read() as connection:
            if found := await store.find_organization(connection):
                return found
        async with self._database.transaction() as connection:
            return await store.find_organization(connection) or await self._add_organization(connection)

    async def update_organization(self, principal: Principal, changes: Changes) -> Organization:
        """Rename or describe the organization."""
        async with self._database.transaction() as connection:
            present = await store.find_organization(connection) or await self._add_organization(connection)
            changed = present.model_copy(update={**_checked(changes), "updated_at": self._clock()})
            await store.save_organization(connection, changed)
            await audit.record(
                connection, at=changed.updated_at, user_id=principal.user.id, action="organization.update"
            )
        return changed

    def organization_role(self, principal: Principal) -> OrganizationRole:
        """Administrators own the organization, everybody else is a member."""
        return "owner" if principal.is_admin else "member"

    async def role(self, principal: Principal, workspace_id: UUID) -> Role | None:
        """The principal's role in a workspace; None also for a workspace that does not exist."""
        async with self._database.read() as connection:
            if await store.find_workspace(connection, workspace_id) is None:
                return None
            membership = await store.find_role(connection, workspace_id, principal.user.id)
        return effective_role(principal, workspace_id, membership)

    async def visible(self, principal: Principal) -> list[tuple[Workspace, Role]]:
        """The workspaces a principal may see, oldest first, and their role in each."""
        async with self._database.read() as connection:
            return await _visible(connection, principal)

    async def home(self, principal: Principal) -> list[tuple[Workspace, Role]]:
        """As `visible`, but never empty: who has no workspace yet gets one, as clients expect of a first login."""
        if visible := await self.visible(principal):
            return visible
        if principal.workspace_id is not None:
            raise NotFoundError("the workspace of this token no longer exists", code="workspace_not_found")
        async with self._database.transaction() as connection:
            if not await _visible(connection, principal):
                await self._add_workspace(connection, principal, DEFAULT_WORKSPACE, None)
            return await _visible(connection, principal)

    async def get(self, workspace_id: UUID) -> Workspace:
        """One workspace; NotFoundError if there is none."""
        async with self._database.read() as connection:
            return _require(await store.find_workspace(connection, workspace_id))

    async def create(self, principal: Principal, name: str, description: str | None) -> Workspace:
        """Make a workspace that the principal owns.

        Raises:
            RefusedError: a machine token asks, which belongs to one workspace.
            InvalidError: the name is empty or too long.
        """
        if principal.workspace_id is not None:
            raise RefusedError("a machine token cannot create workspaces")
        async with self._database.transaction() as connection:
            checked = _check_description(description)
            return await self._add_workspace(connection, principal, _check_name(name), checked)

    async def update(self, principal: Principal, workspace_id: UUID, changes: Changes) -> Workspace:
        """Rename or describe a workspace."""
        async with self._database.transaction() as connection:
            present = _require(await store.find_workspace(connection, workspace_id))
            changed = present.model_copy(update={**_checked(changes), "updated_at": self._clock()})
            await store.save_workspace(connection, changed)
            await audit.record(
                connection,
                at=changed.updated_at,
                user_id=principal.user.id,
                workspace_id=workspace_id,
                action="workspace.update",
                subject=changed.name,
            )
        return changed

    async def counts(self) -> Counts:
        """How much there is on this machine."""
        async with self._database.read() as connection:
            return await store.count_all(connection)

    async def _add_organization(self, connection: Connection) -> Organization:
        now = self._clock()
        organization = Organization(
            id=uuid4(), name=DEFAULT_ORGANIZATION, description=None, created_at=now, updated_at=now
        )
        await store.add_organization(connection, organization)
        return organization

    async def _add_workspace(
        self, connection: Connection, principal: Principal, name: str, description: str | None
    ) -> Workspace:
        now = self._clock()
        workspace = Workspace(id=uuid4(), name=name, description=description, created_at=now, updated_at=now)
        await store.add_workspace(connection, workspace)
        await store.add_member(connection, workspace.id, principal.user.id, "owner", now)
        await audit.record(
            connection,
            at=now,
            user_id=principal.user.id,
            workspace_id=workspace.id,
            action="workspace.create",
            subject=name,
        )
        return workspace


async def find_named_workspace(connection: Connection, name_or_id: str) -> Workspace:
    """The workspace an administrator means by a name or an identifier.

    Raises:
        NotFoundError: none answers to it; the hint lists those there are.
        InvalidError: several have that name.
    """
    known = await store.all_workspaces(connection)
    matching = [workspace for workspace in known if name_or_id in (workspace.name, str(workspace.id))]
    if not matching:
        names = ", ".join(f"`{workspace.name}`" for workspace in known) or "none yet"
        raise NotFoundError(
            f"there is no workspace `{name_or_id}`", code="workspace_not_found", hint=f"there are: {names}"
        )
    if len(matching) > 1:
        identifiers = ", ".join(str(workspace.id) for workspace in matching)
        raise InvalidError(
            f"several workspaces are named `{name_or_id}`",
            code="workspace_ambiguous",
            hint=f"say which by its id: {identifiers}",
        )
    return matching[0]


async def _visible(connection: Connection, principal: Principal) -> list[tuple[Workspace, Role]]:
    members: list[tuple[Workspace, Role | None]]
    if principal.is_admin:
        members = [(workspace, None) for workspace in await store.all_workspaces(connection)]
    else:
        members = list(await store.workspaces_of_user(connection, principal.user.id))
    roles = [(workspace, effective_role(principal, workspace.id, membership)) for workspace, membership in members]
    return [(workspace, role) for workspace, role in roles if role is not None]


def _require(workspace: Workspace | None) -> Workspace:
    if workspace is None:
        raise NotFoundError("there is no such workspace", code="workspace_not_found")
    return workspace


def _checked(changes: Changes) -> dict[str, str | None]:
    """The changes as they are stored."""
    checked: dict[str, str | None] = {}
    if (name := changes.get("name")) is not None:
        checked["name"] = _check_name(name)
    if "description" in changes:
        checked["description"] = _check_description(changes["description"])
    if (access_data := changes.get("access_data")) is not None:
        checked["access_data"] = access_data
    return checked


def _check_description(text: str | None) -> str | None:
    if text is None:
        return None
    if len(text) > _LONGEST_DESCRIPTION:
        raise InvalidError(f"a description has at most {_LONGEST_DESCRIPTION:,} characters", code="description")
    if any(not (sign.isprintable() or sign in "\n\r\t") for sign in text):
        raise InvalidError("a description holds no control characters", code="description")
    return text


def _check_name(name: str) -> str:
    stripped = name.strip()
    if not stripped or len(stripped) > _LONGEST_NAME:
        raise InvalidError(f"a name has between 1 and {_LONGEST_NAME} characters", code="name")
    if not stripped.isprintable():  # it is written to terminals
        raise InvalidError("a name holds no control characters", code="name")
    return stripped
