"""Who belongs to a workspace, and who to the organization.

A workspace has owners and viewers, and always an owner. The organization is the machine: its administrators, who come
through the Unix socket, own it; everybody who may log in is a member. So nothing done over the network makes anybody
an administrator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from runtime.dispatch.clock import Clock
from runtime.dispatch.people import check_email, named_user
from runtime.domain.identities import Member, Principal, Role, User
from runtime.errors import InvalidError, NotFoundError, RefusedError
from runtime.store import audit, credentials, identities, logins
from runtime.store import members as store
from runtime.store.database import Connection, Database


@dataclass(frozen=True)
class Person:
    """Whom a request means: by identifier or by email, one of the two."""

    user_id: UUID | None = None
    email: str | None = None


class MemberService:
    """Lists, adds and removes members."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of_workspace(self, workspace_id: UUID) -> Sequence[Member]:
        """The members of a workspace, by email."""
        async with self._database.read() as connection:
            return await store.members_of(connection, workspace_id)

    async def add(self, principal: Principal, workspace_id: UUID, person: Person, role: Role) -> Member:
        """Make a person a member, or give a member another role.

        Raises:
            RefusedError: a machine token asks.
            NotFoundError: there is no such person.
            InvalidError: neither or both of identifier and email are given, or the last owner would be none any more.
        """
        _refuse_machines(principal)
        async with self._database.transaction() as connection:
            user = await _find(connection, person)
            if role != "owner":
                await _keep_an_owner(connection, workspace_id, user)
            now = self._clock()
            await store.save_member(connection, workspace_id, user.id, role, now)
            await _note(connection, principal, now, "member.add", user, workspace_id, role)
        return Member(user=user, role=role)

    async def remove(self, principal: Principal, workspace_id: UUID, user_id: UUID) -> None:
        """End a membership that is not an owner's.

        Raises:
            RefusedError: a machine token asks.
            NotFoundError: they are no member.
            InvalidError: they are an owner.
        """
        _refuse_machines(principal)
        async with self._database.transaction() as connection:
            member = _pick(await store.members_of(connection, workspace_id), user_id)
            if member.role == "owner":
                raise InvalidError(
                    f"`{member.user.email}` owns this workspace, and owners are not removed",
                    code="member_owner",
                    hint="make them a viewer first; where they are the only owner, name another before",
                )
            await store.delete_member(connection, workspace_id, user_id)
            await _note(connection, principal, self._clock(), "member.remove", member.user, workspace_id)

    async def of_organization(self, principal: Principal) -> Sequence[User]:
        """Everybody, for administrators; others see whom they share a workspace with."""
        async with self._database.read() as connection:
            if principal.is_admin:
                return [user for user in await identities.all_users(connection) if user.disabled_at is None]
            if principal.workspace_id is not None:  # a machine token knows its workspace only
                return [member.user for member in await store.members_of(connection, principal.workspace_id)]
            return await store.known_to(connection, principal.user.id)

    async def admit(self, principal: Principal, person: Person) -> User:
        """Let a person in: they may log in from now on. Who has been removed comes back, without a workspace.

        Raises:
            NotFoundError: no user has this identifier.
            InvalidError: neither or both of identifier and email are given, or it is not an email address.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            user = await _known(connection, person)
            if user is None and person.email is not None:
                user = User(
                    id=uuid4(), email=check_email(person.email), local_uid=None, created_at=now, disabled_at=None
                )
                await identities.add_user(connection, user)
                await _note(connection, principal, now, "user.create", user)
            elif user is None:
                raise NotFoundError(f"there is no user `{person.user_id}`", code="user_not_found")
            elif user.disabled_at is not None:
                await store.set_disabled(connection, user.id, None)
                await _note(connection, principal, now, "user.enable", user)
        return user.model_copy(update={"disabled_at": None})

    async def expel(self, principal: Principal, user_id: UUID) -> None:
        """Take a person out: their memberships, logins and tokens end. What they have done keeps their name.

        A workspace that loses its last owner so is the administrators' to hand on.

        Raises:
            NotFoundError: there is no such member.
            InvalidError: it is an administrator's account.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            user = await identities.find_user(connection, user_id)
            if user is None or user.disabled_at is not None:
                raise NotFoundError(f"there is no member `{user_id}`", code="member_not_found")
            if user.local_uid is not None:
                raise InvalidError(
                    f"`{user.email}` owns the organization, and owners are not removed",
                    code="member_owner",
                    hint="take the account out of the administrators' group of the operating system",
                )
            await store.set_disabled(connection, user.id, now)
            await store.delete_memberships(connection, user.id)
            await credentials.revoke_refresh_tokens_of(connection, user.id, now)
            await credentials.revoke_machine_tokens_of(connection, user.id, now)
            await logins.delete_sessions_of(connection, user.id)
            await _note(connection, principal, now, "user.disable", user)


async def _find(connection: Connection, person: Person) -> User:
    """A person who may log in."""
    if person.email is not None and person.user_id is None:
        return await named_user(connection, person.email)
    user = await _known(connection, person)
    if user is None or user.local_uid is not None or user.disabled_at is not None:
        raise NotFoundError(f"there is no user `{person.user_id}`", code="user_not_found")
    return user


async def _known(connection: Connection, person: Person) -> User | None:
    if person.user_id is not None and person.email is None:
        return await identities.find_user(connection, person.user_id)
    if person.email is not None and person.user_id is None:
        return await identities.find_user_by_email(connection, person.email.strip())
    raise InvalidError("give one of `user_id` and `email`", code="member_who")


async def _keep_an_owner(connection: Connection, workspace_id: UUID, user: User) -> None:
    owners = {member.user.id for member in await store.members_of(connection, workspace_id) if member.role == "owner"}
    if owners == {user.id}:
        raise InvalidError(
            f"`{user.email}` is the only owner of this workspace", code="member_owner", hint="add another owner first"
        )


def _pick(members: Sequence[Member], user_id: UUID) -> Member:
    for member in members:
        if member.user.id == user_id:
            return member
    raise NotFoundError(f"there is no member `{user_id}` in this workspace", code="member_not_found")


def _refuse_machines(principal: Principal) -> None:
    """A token that leaks from a CI machine may not make itself a person who stays."""
    if principal.workspace_id is not None:
        raise RefusedError("a machine token cannot change who is a member")


async def _note(
    connection: Connection,
    principal: Principal,
    now: datetime,
    action: str,
    user: User,
    workspace_id: UUID | None = None,
    role: Role | None = None,
) -> None:
    await audit.record(
        connection,
        at=now,
        user_id=principal.user.id,
        workspace_id=workspace_id,
        action=action,
        subject=user.email,
        detail={"role": role} if role else None,
    )
