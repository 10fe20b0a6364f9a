"""Who is asking, and how people and machines come by their credentials.

A person logs in by the device flow: a client shows a user code, the person approves it on the page `/activate` or an
administrator does on the machine, the client's next poll yields an access token (a JWT, an hour) and a refresh token
(a month, exchanged at each use). A CI machine gets one long-lived access token for one workspace. Administrators come
through the Unix socket, where the kernel says who they are, and need none of this.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

from runtime.auth.codes import digest, is_same_digest, new_secret, new_user_code
from runtime.auth.peers import Peer, account_name, is_administrator
from runtime.auth.throttling import network_of
from runtime.auth.tokens import AccessToken, TokenSigner
from runtime.dispatch.approvals import find_waiting
from runtime.dispatch.clock import Clock, system_clock
from runtime.dispatch.people import LOCAL_DOMAIN, check_email, named_user, only_user
from runtime.dispatch.workspaces import find_named_workspace
from runtime.domain.identities import Principal, Role, User
from runtime.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
)
from runtime.settings import AuthSettings
from runtime.store import audit, credentials, identities, logins, members, workspaces
from runtime.store.credentials import DeviceLogin, MachineToken, RefreshToken
from runtime.store.database import Connection, Database

POLL_INTERVAL_SECONDS = 2
MOST_WAITING_LOGINS = 10_000
MOST_WAITING_LOGINS_OF_NETWORK = 100
"""Anybody may begin a login, so what that costs the database is bounded. Where too many wait, the oldest of the network
that has begun most gives way: refusing would hit whoever comes next, for as long as somebody fills the table."""
_LONGEST_CLIENT = 100

log = structlog.get_logger()


@dataclass(frozen=True)
class StartedLogin:
    """A device login that has begun: `device_code` is the client's secret, `user_code` what the person shows."""

    device_code: str
    user_code: str
    interval_seconds: int


@dataclass(frozen=True)
class Session:
    """What a client holds after logging in."""

    user: User
    access_token: str
    refresh_token: str


class AccountService:
    """Authenticates requests; issues, exchanges and revokes credentials."""

    def __init__(
        self, database: Database, signer: TokenSigner, settings: AuthSettings, clock: Clock = system_clock
    ) -> None:
        self._database = database
        self._signer = signer
        self._settings = settings
        self._clock = clock

    async def authenticate(self, token_text: str) -> Principal:
        """The principal that an access token stands for.

        Raises:
            UnauthenticatedError: the token is not ours, has expired or is revoked, its login has ended, or its user is
                gone or disabled.
        """
        now = self._clock()
        token = self._signer.verify(token_text, now)
        is_over = False
        async with self._database.read() as connection:
            if token.family_id is not None:
                user, goes_on = await credentials.find_user_of_login(connection, token.user_id, token.family_id)
                is_over = not goes_on
            else:
                user = await identities.find_user(connection, token.user_id)
            stored = await credentials.find_machine_token(connection, token.id) if token.kind == "machine" else None
        if user is None or user.disabled_at is not None:
            raise UnauthenticatedError("this user may not log in any more", code="user_disabled")
        if token.kind == "machine" and not _is_good(stored, token_text):
            raise UnauthenticatedError("the access token has been revoked", code="token_revoked")
        if is_over:
            raise UnauthenticatedError("this login has ended", code="login_ended", hint="log in again")
        return Principal(
            user=user,
            workspace_id=token.workspace_id,
            token_id=token.id if token.kind == "machine" else None,
            family_id=token.family_id,
        )

    async def local_principal(self, peer: Peer) -> Principal:
        """The administrator behind a connection through the Unix socket; their account becomes a user at first sight.

        Raises:
            RefusedError: the account does not administer this machine, or has been disabled here.
        """
        if not is_administrator(peer, self._settings.admin_group):
            raise RefusedError(
                f"the account `{account_name(peer.uid)}` does not administer this runtime",
                hint=f"add it to the group `{self._settings.admin_group}`, or log in over TCP",
            )
        async with self._database.read() as connection:
            user = await identities.find_user_by_uid(connection, peer.uid)
        if user is None:
            user = await self._add_local_user(peer.uid)
        if user.disabled_at is not None:
            raise RefusedError(f"the user `{user.email}` is disabled")
        return Principal(user=user, is_admin=True)

    async def start_login(self, address: str | None = None, client: str | None = None) -> StartedLogin:
        """Begin a device login.

        Args:
            address: Where it is asked for, None for this machine's socket.
            client: What the program calls itself; shown, shortened, to who approves.
        """
        now, network = self._clock(), network_of(address)
        device_code = new_secret()
        async with self._database.transaction() as connection:
            await credentials.delete_expired_device_logins(connection, now)
            if await credentials.count_waiting_logins(connection, network) >= MOST_WAITING_LOGINS_OF_NETWORK:
                await credentials.drop_oldest_waiting_login(connection, network)
            elif await credentials.count_waiting_logins(connection) >= MOST_WAITING_LOGINS:
                crowded = await credentials.network_with_most_waiting_logins(connection)
                await credentials.drop_oldest_waiting_login(connection, crowded)
            user_code = new_user_code()
            while await credentials.find_device_login_by_user_code(connection, user_code):
                user_code = new_user_code()
            login = DeviceLogin(
                device_code_digest=digest(device_code),
                user_code=user_code,
                created_at=now,
                expires_at=now + timedelta(seconds=self._settings.device_code_seconds),
                address=address,
                network=network,
                client=client and client[:_LONGEST_CLIENT],
            )
            await credentials.add_device_login(connection, login)
        return StartedLogin(device_code, user_code, POLL_INTERVAL_SECONDS)

    async def knows_device_code(self, device_code: str) -> bool:
        """Whether a login was begun with this code, and not too long ago to be remembered."""
        async with self._database.read() as connection:
            return await credentials.find_device_login(connection, digest(device_code)) is not None

    async def finish_login(self, device_code: str) -> Session:
        """Turn an approved device code into a session; each code works once.

        Raises:
            RefusedError: nobody has approved it yet; ask again.
            InvalidError: unknown, expired, denied, used already, or its user may not log in; asking again is of no use.
        """
        now = self._clock()
        code_digest = digest(device_code)
        async with self._database.read() as connection:
            _check_pending(await credentials.find_device_login(connection, code_digest), now)
        async with self._database.transaction() as connection:
            # Looked up again: of two polls at the same moment only one may have the session.
            user_id = _check_pending(await credentials.find_device_login(connection, code_digest), now)
            user = await identities.find_user(connection, user_id)
            if user is None or user.disabled_at is not None:
                raise InvalidError("this user may not log in", code="user_disabled")
            await credentials.redeem_device_login(connection, code_digest, now)
            await credentials.delete_expired_refresh_tokens(connection, now)
            session = await self._issue(connection, user, uuid4(), now)
            await audit.record(connection, at=now, user_id=user.id, action="login.finish", subject=user.email)
        return session

    async def approve_login(self, principal: Principal, user_code: str, email: str | None) -> User:
        """Let a waiting login in, as the user with this email or as the only user there is.

        Raises:
            NotFoundError: no such login waits, or there is no such user.
            InvalidError: no email was given and there are several users.
            ConflictError: the login was approved or denied before.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            login = await find_waiting(connection, user_code, now)
            user = await (named_user(connection, email) if email else only_user(connection))
            await credentials.approve_device_login(connection, login.user_code, user.id)
            await audit.record(
                connection, at=now, user_id=principal.user.id, action="login.approve", subject=user.email
            )
        return user

    async def knows_refresh_token(self, refresh_token: str) -> bool:
        """Whether this is a token of ours, be it spent or revoked."""
        async with self._database.read() as connection:
            return await credentials.find_refresh_token(connection, digest(refresh_token)) is not None

    async def refresh(self, refresh_token: str) -> Session:
        """Exchange a refresh token. It is spent by that; one that comes a second time ends the login it belongs to.

        Raises:
            UnauthenticatedError: unknown, expired, revoked or used before, or its user may not log in.
        """
        now = self._clock()
        token_digest = digest(refresh_token)
        refused = UnauthenticatedError(
            "the refresh token is no longer valid", code="refresh_token", hint="log in again"
        )
        async with self._database.read() as connection:
            if await credentials.find_refresh_token(connection, token_digest) is None:
                raise refused
        async with self._database.transaction() as connection:
            token = await credentials.find_refresh_token(connection, token_digest)
            if token is None or not _is_alive(token, now):
                raise refused
            if token.used_at is None:
                user = await identities.find_user(connection, token.user_id)
                if user is None or user.disabled_at is not None:
                    raise refused
                await credentials.use_refresh_token(connection, token_digest, now)
                return await self._issue(connection, user, token.family_id, now)
            # Two parties hold this token, and which is the thief nobody can tell: both have to log in again.
            await credentials.revoke_family(connection, token.family_id, now)
            await audit.record(connection, at=now, user_id=token.user_id, action="login.reuse_detected")
        log.warning("A refresh token was used again; its login is ended", action="login", user_id=str(token.user_id))
        raise refused

    async def logout(self, refresh_token: str, *, everywhere: bool = False) -> None:
        """End the login a refresh token belongs to, or all logins of its user.

        One that is unknown, revoked or expired is no error and ends nothing. One that is spent already may be in
        somebody else's hands: it ends its own login, as it would by being exchanged again, and no other.
        """
        now = self._clock()
        token_digest = digest(refresh_token)
        async with self._database.read() as connection:
            token = await credentials.find_refresh_token(connection, token_digest)
        if token is None or not _is_alive(token, now):
            return
        async with self._database.transaction() as connection:
            token = await credentials.find_refresh_token(connection, token_digest)
            if token is None or not _is_alive(token, now):
                return
            everywhere = everywhere and token.used_at is None
            if everywhere:
                await credentials.revoke_refresh_tokens_of(connection, token.user_id, now)
                await logins.delete_sessions_of(connection, token.user_id)
            else:
                await credentials.revoke_family(connection, token.family_id, now)
            await audit.record(
                connection, at=now, user_id=token.user_id, action="login.end", detail={"everywhere": everywhere}
            )

    async def users(self) -> list[User]:
        """Everybody, by email."""
        async with self._database.read() as connection:
            return await identities.all_users(connection)

    async def add_user(self, principal: Principal, email: str) -> User:
        """Make a person known, who may log in from now on. Who has been taken out comes back, without a workspace.

        Raises:
            InvalidError: not an email address.
            ConflictError: there is a user with this email.
        """
        now = self._clock()
        user = User(id=uuid4(), email=check_email(email), local_uid=None, created_at=now, disabled_at=None)
        async with self._database.transaction() as connection:
            known = await identities.find_user_by_email(connection, user.email)
            if known and known.disabled_at is None:
                raise ConflictError(
                    f"there is a user `{user.email}` already",
                    code="user_exists",
                    hint=f"`dlt-runtime user password {user.email}` gives them another password",
                )
            if known:
                user = known.model_copy(update={"disabled_at": None})
                await members.set_disabled(connection, user.id, None)
            else:
                await identities.add_user(connection, user)
            await audit.record(
                connection,
                at=now,
                user_id=principal.user.id,
                action="user.enable" if known else "user.create",
                subject=user.email,
            )
        return user

    async def machine_tokens(self) -> list[MachineToken]:
        """Every machine token, newest first."""
        async with self._database.read() as connection:
            return await credentials.all_machine_tokens(connection)

    async def create_machine_token(
        self, principal: Principal, email: str, workspace: str, days: int, role: Role = "owner"
    ) -> tuple[MachineToken, str]:
        """Issue a token that acts as a user in one workspace.

        Args:
            workspace: Its name or identifier.
            days: How long the token lives.
            role: What the user becomes there who is no member yet; that of a member stays as it is.

        Returns:
            The token's record, which says what the user has become, and the token itself, which is not kept.

        Raises:
            NotFoundError: no such user or workspace.
            InvalidError: several workspaces have that name.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            user = await named_user(connection, email)
            place = await find_named_workspace(connection, workspace)
            joins = await workspaces.find_role(connection, place.id, user.id) is None
            if joins:
                await workspaces.add_member(connection, place.id, user.id, role, now)
                await audit.record(
                    connection,
                    at=now,
                    user_id=principal.user.id,
                    workspace_id=place.id,
                    action="member.add",
                    subject=user.email,
                    detail={"role": role},
                )
            claims = AccessToken(
                id=uuid4(),
                kind="machine",
                user_id=user.id,
                email=user.email,
                issued_at=now,
                expires_at=now + timedelta(days=days),
                workspace_id=place.id,
            )
            text = self._signer.sign(claims)
            token = MachineToken(
                id=claims.id,
                user_id=user.id,
                email=user.email,
                workspace_id=place.id,
                workspace_name=place.name,
                joined_as=role if joins else None,
                digest=digest(text),
                created_by=principal.user.id,
                created_at=now,
                expires_at=claims.expires_at,
            )
            await credentials.add_machine_token(connection, token)
            await audit.record(
                connection,
                at=now,
                user_id=principal.user.id,
                workspace_id=place.id,
                action="token.create",
                subject=user.email,
                detail={"id": token.id, "days": days},
            )
        return token, text

    async def revoke_machine_token(self, principal: Principal, token_id: UUID) -> None:
        """Close the door that a machine token opens; NotFoundError if there is no such token."""
        now = self._clock()
        async with self._database.transaction() as connection:
            token = await credentials.find_machine_token(connection, token_id)
            if token is None:
                raise NotFoundError(f"there is no token `{token_id}`", code="token_not_found")
            await credentials.revoke_machine_token(connection, token_id, now)
            await audit.record(
                connection,
                at=now,
                user_id=principal.user.id,
                workspace_id=token.workspace_id,
                action="token.revoke",
                subject=str(token_id),
            )

    async def _issue(self, connection: Connection, user: User, family_id: UUID, now: datetime) -> Session:
        secret = new_secret()
        await credentials.add_refresh_token(
            connection,
            RefreshToken(
                digest=digest(secret),
                family_id=family_id,
                user_id=user.id,
                expires_at=now + timedelta(seconds=self._settings.refresh_token_seconds),
            ),
            now,
        )
        access = AccessToken(
            id=uuid4(),
            kind="session",
            user_id=user.id,
            email=user.email,
            issued_at=now,
            expires_at=now + timedelta(seconds=self._settings.access_token_seconds),
            family_id=family_id,
        )
        return Session(user, self._signer.sign(access), secret)

    async def _add_local_user(self, uid: int) -> User:
        async with self._database.transaction() as connection:
            if user := await identities.find_user_by_uid(connection, uid):
                return user
            email = f"{account_name(uid)}@{LOCAL_DOMAIN}"
            if await identities.find_user_by_email(connection, email):  # an earlier account of the same name
                email = f"{account_name(uid)}+{uid}@{LOCAL_DOMAIN}"
            user = User(id=uuid4(), email=email, local_uid=uid, created_at=self._clock(), disabled_at=None)
            await identities.add_user(connection, user)
            await audit.record(connection, at=user.created_at, user_id=user.id, action="user.create", subject=email)
        return user


def _is_alive(token: RefreshToken, now: datetime) -> bool:
    """Whether the login of a token goes on; the token itself may be spent."""
    return token.revoked_at is None and token.expires_at > now


def _is_good(stored: MachineToken | None, token_text: str) -> bool:
    return stored is not None and stored.revoked_at is None and is_same_digest(stored.digest, digest(token_text))


def _check_pending(login: DeviceLogin | None, now: datetime) -> UUID:
    """The user of a login that can be finished."""
    if login is None or login.expires_at <= now or login.redeemed_at is not None:
        raise InvalidError("this login has expired or was used already", code="login_expired", hint="log in again")
    if login.denied_at is not None:
        raise InvalidError("this login was denied", code="login_denied")
    if login.user_id is None:
        raise RefusedError("this login waits for its approval", code="authorization_pending")
    return login.user_id
