"""Device logins, refresh tokens and machine tokens; of each secret only its digest is kept."""

from datetime import datetime
from uuid import UUID

from runtime.domain.identities import Role, User
from runtime.domain.model import Frozen, Instant
from runtime.store.columns import from_micros, from_micros_or_none, to_micros, uuid_or_none
from runtime.store.database import Connection, Row
from runtime.store.identities import user_of_row


class DeviceLogin(Frozen):
    """A login that began with a device code and waits for, or has, its approval by `user_code`.

    `address` is where it was asked for, None for this machine's socket, `network` what that counts as; `client` is what
    the program calls itself.
    """

    device_code_digest: bytes
    user_code: str
    user_id: UUID | None = None
    created_at: Instant
    expires_at: Instant
    redeemed_at: Instant | None = None
    denied_at: Instant | None = None
    address: str | None = None
    network: str = ""
    client: str | None = None


class RefreshToken(Frozen):
    """One link in the chain of refresh tokens that a login began; `family_id` names the chain."""

    digest: bytes
    family_id: UUID
    user_id: UUID
    expires_at: Instant
    used_at: Instant | None = None
    revoked_at: Instant | None = None


class MachineToken(Frozen):
    """A long-lived token that acts as a user in one workspace; `id` is the token's `jti`.

    `is_member` is false once the user has left the workspace: the token opens nothing then. `joined_as` is what the
    user has become by the making of the token, which is known just then and not kept.
    """

    id: UUID
    user_id: UUID
    email: str
    workspace_id: UUID
    workspace_name: str
    digest: bytes
    created_by: UUID
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None = None
    is_member: bool = True
    joined_as: Role | None = None


async def add_device_login(connection: Connection, login: DeviceLogin) -> None:
    """Insert a login that waits; its user code must not be taken."""
    await connection.execute(
        """INSERT INTO device_logins (device_code_digest, user_code, created_at, expires_at, address, network, client)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (
            login.device_code_digest,
            login.user_code,
            to_micros(login.created_at),
            to_micros(login.expires_at),
            login.address,
            login.network,
            login.client,
        ),
    )


async def find_device_login(connection: Connection, digest: bytes) -> DeviceLogin | None:
    """The login that a device code began."""
    row = await connection.one("SELECT * FROM device_logins WHERE device_code_digest = ?", (digest,))
    return _device_login(row) if row else None


async def find_device_login_by_user_code(connection: Connection, user_code: str) -> DeviceLogin | None:
    """The login that shows this user code."""
    row = await connection.one("SELECT * FROM device_logins WHERE user_code = ?", (user_code,))
    return _device_login(row) if row else None


async def approve_device_login(connection: Connection, user_code: str, user_id: UUID) -> None:
    """Say who the login is."""
    await connection.execute("UPDATE device_logins SET user_id = ? WHERE user_code = ?", (user_id.bytes, user_code))


async def deny_device_login(connection: Connection, user_code: str, at: datetime) -> None:
    """Say that nobody is; its client is told so at its next poll."""
    await connection.execute("UPDATE device_logins SET denied_at = ? WHERE user_code = ?", (to_micros(at), user_code))


async def redeem_device_login(connection: Connection, digest: bytes, at: datetime) -> None:
    """Mark the login as used up."""
    await connection.execute(
        "UPDATE device_logins SET redeemed_at = ? WHERE device_code_digest = ?", (to_micros(at), digest)
    )


async def delete_expired_device_logins(connection: Connection, now: datetime) -> None:
    """Forget logins nobody can finish any more; their user codes become free."""
    await connection.execute("DELETE FROM device_logins WHERE expires_at <= ?", (to_micros(now),))


async def count_waiting_logins(connection: Connection, network: str | None = None) -> int:
    """How many logins nobody has approved or denied yet, begun from one network or from all."""
    return int(
        await connection.value(
            """SELECT count(*) FROM device_logins
               WHERE user_id IS NULL AND denied_at IS NULL AND (:network IS NULL OR network = :network)""",
            {"network": network},
        )
    )


async def network_with_most_waiting_logins(connection: Connection) -> str:
    """The network that most waiting logins were begun from; there must be one that waits."""
    return str(
        await connection.value(
            """SELECT network FROM device_logins WHERE user_id IS NULL AND denied_at IS NULL
               GROUP BY network ORDER BY count(*) DESC LIMIT 1"""
        )
    )


async def drop_oldest_waiting_login(connection: Connection, network: str) -> None:
    """Forget the login of a network that has waited for the longest."""
    await connection.execute(
        """DELETE FROM device_logins WHERE device_code_digest = (
               SELECT device_code_digest FROM device_logins
               WHERE network = ? AND user_id IS NULL AND denied_at IS NULL ORDER BY created_at, rowid LIMIT 1)""",
        (network,),
    )


async def add_refresh_token(connection: Connection, token: RefreshToken, at: datetime) -> None:
    """Insert a fresh token."""
    await connection.execute(
        "INSERT INTO refresh_tokens (digest, family_id, user_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        (token.digest, token.family_id.bytes, token.user_id.bytes, to_micros(at), to_micros(token.expires_at)),
    )


async def find_refresh_token(connection: Connection, digest: bytes) -> RefreshToken | None:
    """The token with this digest."""
    row = await connection.one("SELECT * FROM refresh_tokens WHERE digest = ?", (digest,))
    return _refresh_token(row) if row else None


async def use_refresh_token(connection: Connection, digest: bytes, at: datetime) -> None:
    """Mark a token as exchanged."""
    await connection.execute("UPDATE refresh_tokens SET used_at = ? WHERE digest = ?", (to_micros(at), digest))


async def revoke_family(connection: Connection, family_id: UUID, at: datetime) -> None:
    """End one login: every token of its chain."""
    await connection.execute(
        "UPDATE refresh_tokens SET revoked_at = ? WHERE family_id = ? AND revoked_at IS NULL",
        (to_micros(at), family_id.bytes),
    )


async def revoke_refresh_tokens_of(connection: Connection, user_id: UUID, at: datetime) -> None:
    """End every login of a user."""
    await connection.execute(
        "UPDATE refresh_tokens SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL",
        (to_micros(at), user_id.bytes),
    )


async def find_user_of_login(connection: Connection, user_id: UUID, family_id: UUID) -> tuple[User | None, bool]:
    """A user, and whether a login of theirs goes on; in one look, since every request takes it."""
    row = await connection.one(
        """SELECT users.*, EXISTS (SELECT 1 FROM refresh_tokens AS token
                                   WHERE token.family_id = ? AND token.user_id = users.id AND token.revoked_at IS NULL)
                           AS goes_on
           FROM users WHERE id = ?""",
        (family_id.bytes, user_id.bytes),
    )
    return (user_of_row(row), bool(row["goes_on"])) if row else (None, False)


async def is_welcome(
    connection: Connection, user_id: UUID, token_id: UUID | None, family_id: UUID | None, now: datetime
) -> bool:
    """Whether a user may still come with what they have shown before: a machine token, or one of a login."""
    return bool(
        await connection.value(
            """SELECT 1 FROM users WHERE id = :user AND disabled_at IS NULL
               AND (:token IS NULL
                    OR EXISTS (SELECT 1 FROM machine_tokens
                               WHERE id = :token AND revoked_at IS NULL AND expires_at > :now))
               AND (:family IS NULL
                    OR EXISTS (SELECT 1 FROM refresh_tokens
                               WHERE family_id = :family AND revoked_at IS NULL AND expires_at > :now))""",
            {
                "user": user_id.bytes,
                "token": token_id and token_id.bytes,
                "family": family_id and family_id.bytes,
                "now": to_micros(now),
            },
        )
    )


async def delete_expired_refresh_tokens(connection: Connection, now: datetime) -> None:
    """Forget tokens that are refused by their age alone."""
    await connection.execute("DELETE FROM refresh_tokens WHERE expires_at <= ?", (to_micros(now),))


_MACHINE_TOKENS = """
    SELECT token.*, users.email, workspaces.name AS workspace_name,
           EXISTS (SELECT 1 FROM workspace_members AS member
                   WHERE member.workspace_id = token.workspace_id AND member.user_id = token.user_id) AS is_member
    FROM machine_tokens AS token
    JOIN users ON users.id = token.user_id
    JOIN workspaces ON workspaces.id = token.workspace_id
"""


async def add_machine_token(connection: Connection, token: MachineToken) -> None:
    """Insert a token."""
    await connection.execute(
        """INSERT INTO machine_tokens (id, user_id, workspace_id, digest, created_by, created_at, expires_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (
            token.id.bytes,
            token.user_id.bytes,
            token.workspace_id.bytes,
            token.digest,
            token.created_by.bytes,
            to_micros(token.created_at),
            to_micros(token.expires_at),
        ),
    )


async def find_machine_token(connection: Connection, token_id: UUID) -> MachineToken | None:
    """The token with this identifier."""
    row = await connection.one(f"{_MACHINE_TOKENS} WHERE token.id = ?", (token_id.bytes,))
    return _machine_token(row) if row else None


async def all_machine_tokens(connection: Connection) -> list[MachineToken]:
    """Every token, newest first, revoked ones too."""
    return [_machine_token(row) for row in await connection.all(f"{_MACHINE_TOKENS} ORDER BY token.created_at DESC")]


async def revoke_machine_tokens_of(connection: Connection, user_id: UUID, at: datetime) -> None:
    """Close every door that machine tokens of a user open."""
    await connection.execute(
        "UPDATE machine_tokens SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL",
        (to_micros(at), user_id.bytes),
    )


async def revoke_machine_token(connection: Connection, token_id: UUID, at: datetime) -> None:
    """Mark a token as no longer valid."""
    await connection.execute(
        "UPDATE machine_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
        (to_micros(at), token_id.bytes),
    )


def _device_login(row: Row) -> DeviceLogin:
    return DeviceLogin(
        device_code_digest=row["device_code_digest"],
        user_code=row["user_code"],
        user_id=uuid_or_none(row["user_id"]),
        created_at=from_micros(row["created_at"]),
        expires_at=from_micros(row["expires_at"]),
        redeemed_at=from_micros_or_none(row["redeemed_at"]),
        denied_at=from_micros_or_none(row["denied_at"]),
        address=row["address"],
        network=row["network"],
        client=row["client"],
    )


def _refresh_token(row: Row) -> RefreshToken:
    return RefreshToken(
        digest=row["digest"],
        family_id=UUID(bytes=row["family_id"]),
        user_id=UUID(bytes=row["user_id"]),
        expires_at=from_micros(row["expires_at"]),
        used_at=from_micros_or_none(row["used_at"]),
        revoked_at=from_micros_or_none(row["revoked_at"]),
    )


def _machine_token(row: Row) -> MachineToken:
    return MachineToken(
        id=UUID(bytes=row["id"]),
        user_id=UUID(bytes=row["user_id"]),
        email=row["email"],
        workspace_id=UUID(bytes=row["workspace_id"]),
        workspace_name=row["workspace_name"],
        is_member=bool(row["is_member"]),
        digest=row["digest"],
        created_by=UUID(bytes=row["created_by"]),
        created_at=from_micros(row["created_at"]),
        expires_at=from_micros(row["expires_at"]),
        revoked_at=from_micros_or_none(row["revoked_at"]),
    )
