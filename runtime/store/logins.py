"""Signing in with a browser: passwords, GitHub accounts, sessions, known browsers; of each secret only its digest."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from runtime.domain.model import Frozen, Instant
from runtime.store.columns import from_micros, to_micros
from runtime.store.database import Connection

SignInMethod = Literal["password", "github"]


class BrowserSession(Frozen):
    """A browser that somebody is signed in with."""

    digest: bytes
    user_id: UUID
    method: SignInMethod
    created_at: Instant
    seen_at: Instant


class GitHubAccount(Frozen):
    """Which user a GitHub account signs in as; `github_id` stays when the account is renamed."""

    github_id: int
    user_id: UUID
    login: str


async def find_password_hash(connection: Connection, user_id: UUID) -> str | None:
    """The hash of a user's password, None for who has none."""
    found = await connection.value("SELECT hash FROM passwords WHERE user_id = ?", (user_id.bytes,))
    return None if found is None else str(found)


async def save_password_hash(connection: Connection, user_id: UUID, hashed: str, at: datetime) -> None:
    """Set or replace a user's password."""
    await connection.execute(
        """INSERT INTO passwords (user_id, hash, changed_at) VALUES (?, ?, ?)
           ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at""",
        (user_id.bytes, hashed, to_micros(at)),
    )


async def replace_password_hash(connection: Connection, user_id: UUID, old: str, new: str) -> None:
    """Store the same password hashed anew, unless it was changed meanwhile."""
    await connection.execute("UPDATE passwords SET hash = ? WHERE user_id = ? AND hash = ?", (new, user_id.bytes, old))


async def find_github_account(connection: Connection, github_id: int) -> GitHubAccount | None:
    """The connection of a GitHub account."""
    row = await connection.one("SELECT * FROM github_accounts WHERE github_id = ?", (github_id,))
    return GitHubAccount(github_id=github_id, user_id=UUID(bytes=row["user_id"]), login=row["login"]) if row else None


async def has_github_account(connection: Connection, user_id: UUID) -> bool:
    """Whether a user is connected to some GitHub account."""
    return bool(await connection.value("SELECT 1 FROM github_accounts WHERE user_id = ?", (user_id.bytes,)))


async def add_github_account(connection: Connection, account: GitHubAccount, at: datetime) -> None:
    """Connect a GitHub account with a user, neither of which is connected yet."""
    await connection.execute(
        "INSERT INTO github_accounts (github_id, user_id, login, connected_at) VALUES (?, ?, ?, ?)",
        (account.github_id, account.user_id.bytes, account.login, to_micros(at)),
    )


async def add_session(connection: Connection, session: BrowserSession) -> None:
    """Insert a session."""
    await connection.execute(
        "INSERT INTO browser_sessions (digest, user_id, method, created_at, seen_at) VALUES (?, ?, ?, ?, ?)",
        (
            session.digest,
            session.user_id.bytes,
            session.method,
            to_micros(session.created_at),
            to_micros(session.seen_at),
        ),
    )


async def find_session(connection: Connection, digest: bytes) -> BrowserSession | None:
    """The session with this digest, however old."""
    row = await connection.one("SELECT * FROM browser_sessions WHERE digest = ?", (digest,))
    if row is None:
        return None
    return BrowserSession(
        digest=row["digest"],
        user_id=UUID(bytes=row["user_id"]),
        method=row["method"],
        created_at=from_micros(row["created_at"]),
        seen_at=from_micros(row["seen_at"]),
    )


async def touch_session(connection: Connection, digest: bytes, at: datetime) -> None:
    """Note that a session is in use."""
    await connection.execute("UPDATE browser_sessions SET seen_at = ? WHERE digest = ?", (to_micros(at), digest))


async def delete_session(connection: Connection, digest: bytes) -> None:
    """Sign a browser out."""
    await connection.execute("DELETE FROM browser_sessions WHERE digest = ?", (digest,))


async def delete_sessions_of(connection: Connection, user_id: UUID) -> None:
    """Sign a user out everywhere."""
    await connection.execute("DELETE FROM browser_sessions WHERE user_id = ?", (user_id.bytes,))


async def delete_old_sessions(connection: Connection, *, created_before: datetime, seen_before: datetime) -> None:
    """Forget sessions that are refused by their age alone."""
    await connection.execute(
        "DELETE FROM browser_sessions WHERE created_at <= ? OR seen_at <= ?",
        (to_micros(created_before), to_micros(seen_before)),
    )


async def is_known_browser(connection: Connection, digest: bytes, user_id: UUID) -> bool:
    """Whether this user has signed in with this browser before."""
    return bool(
        await connection.value("SELECT 1 FROM known_browsers WHERE digest = ? AND user_id = ?", (digest, user_id.bytes))
    )


async def is_anybodys_browser(connection: Connection, digest: bytes) -> bool:
    """Whether anybody has signed in with this browser before."""
    return bool(await connection.value("SELECT 1 FROM known_browsers WHERE digest = ?", (digest,)))


async def remember_browser(connection: Connection, digest: bytes, user_id: UUID, at: datetime, most: int) -> None:
    """Note that a user has signed in with a browser; of each user's, the `most` last used are kept."""
    await connection.execute(
        """INSERT INTO known_browsers (digest, user_id, used_at) VALUES (?, ?, ?)
           ON CONFLICT (digest) DO UPDATE SET user_id = excluded.user_id, used_at = excluded.used_at""",
        (digest, user_id.bytes, to_micros(at)),
    )
    await connection.execute(
        """DELETE FROM known_browsers WHERE user_id = ?1 AND digest NOT IN (
               SELECT digest FROM known_browsers WHERE user_id = ?1 ORDER BY used_at DESC LIMIT ?2)""",
        (user_id.bytes, most),
    )


async def forget_browser(connection: Connection, digest: bytes) -> None:
    """A browser becomes one like any other."""
    await connection.execute("DELETE FROM known_browsers WHERE digest = ?", (digest,))
