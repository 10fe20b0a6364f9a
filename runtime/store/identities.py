"""Users: people who may log in, and the operating-system accounts of administrators."""

from uuid import UUID

from runtime.domain.identities import User
from runtime.store.columns import from_micros, from_micros_or_none, to_micros, to_micros_or_none
from runtime.store.database import Connection, Row


async def add_user(connection: Connection, user: User) -> None:
    """Insert a user; the email must not be taken."""
    await connection.execute(
        "INSERT INTO users (id, email, local_uid, created_at, disabled_at) VALUES (?, ?, ?, ?, ?)",
        (user.id.bytes, user.email, user.local_uid, to_micros(user.created_at), to_micros_or_none(user.disabled_at)),
    )


async def find_user(connection: Connection, user_id: UUID) -> User | None:
    """The user with this identifier."""
    row = await connection.one("SELECT * FROM users WHERE id = ?", (user_id.bytes,))
    return user_of_row(row) if row else None


async def find_user_by_email(connection: Connection, email: str) -> User | None:
    """The user with this email, whatever its case."""
    row = await connection.one("SELECT * FROM users WHERE email = ?", (email,))
    return user_of_row(row) if row else None


async def find_user_by_uid(connection: Connection, uid: int) -> User | None:
    """The user that stands for an operating-system account."""
    row = await connection.one("SELECT * FROM users WHERE local_uid = ?", (uid,))
    return user_of_row(row) if row else None


async def all_users(connection: Connection) -> list[User]:
    """Everybody, by email."""
    return [user_of_row(row) for row in await connection.all("SELECT * FROM users ORDER BY email")]


def user_of_row(row: Row) -> User:
    """The user in a row of `users`."""
    return User(
        id=UUID(bytes=row["id"]),
        email=row["email"],
        local_uid=row["local_uid"],
        created_at=from_micros(row["created_at"]),
        disabled_at=from_micros_or_none(row["disabled_at"]),
    )
