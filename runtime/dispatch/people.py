"""Finding the person that an administrator means."""

from runtime.domain.identities import User
from runtime.errors import InvalidError, NotFoundError
from runtime.store import identities
from runtime.store.database import Connection

LOCAL_DOMAIN = "localhost"
"""Emails of operating-system accounts end in it; nobody else's may."""
_LONGEST_EMAIL = 254


async def named_user(connection: Connection, email: str) -> User:
    """The person with this email.

    Raises:
        NotFoundError: nobody has it; operating-system accounts do not count.
        InvalidError: the user is disabled.
    """
    user = await identities.find_user_by_email(connection, email.strip())
    if user is None or user.local_uid is not None:
        raise NotFoundError(
            f"there is no user `{email}`", code="user_not_found", hint=f"run `dlt-runtime user add {email}`"
        )
    if user.disabled_at is not None:
        raise InvalidError(f"the user `{user.email}` is disabled", code="user_disabled")
    return user


async def only_user(connection: Connection) -> User:
    """The person there is.

    Raises:
        NotFoundError: nobody has been added yet.
        InvalidError: there are several; the hint lists them.
    """
    people = [
        user for user in await identities.all_users(connection) if user.local_uid is None and user.disabled_at is None
    ]
    if not people:
        raise NotFoundError(
            "nobody is known who could log in", code="user_not_found", hint="run `dlt-runtime user add EMAIL` first"
        )
    if len(people) > 1:
        names = ", ".join(f"`{user.email}`" for user in people)
        raise InvalidError("there are several users", code="user_ambiguous", hint=f"say who with --email: {names}")
    return people[0]


def check_email(text: str) -> str:
    """An email address for a new user, without the space around it.

    Raises:
        InvalidError: it is none, or one of this machine's own accounts.
    """
    email = text.strip()
    name, at, domain = email.rpartition("@")
    if (
        not (name and at and domain)
        or len(email) > _LONGEST_EMAIL
        or any(not sign.isprintable() or sign == " " for sign in email)
    ):
        raise InvalidError(f"`{text}` is not an email address", code="email")
    if domain.lower() == LOCAL_DOMAIN:
        raise InvalidError(
            f"`{LOCAL_DOMAIN}` is kept for this machine's own accounts",
            code="email",
            hint="they need no login; they come through the socket",
        )
    return email
