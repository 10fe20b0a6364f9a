"""How paths of the API name things: an identifier, a version number, or a job reference."""

from typing import TypeVar
from uuid import UUID

from runtime.errors import NotFoundError

T = TypeVar("T")


def require(found: T | None, message: str, hint: str | None = None) -> T:
    """The thing that was looked up.

    Raises:
        NotFoundError: with `message` and `hint`, if there is none.
    """
    if found is None:
        raise NotFoundError(message, hint=hint)
    return found


def version_or_id(text: str) -> UUID | int:
    """A version number or an identifier.

    Raises:
        NotFoundError: it is neither, so it names nothing.
    """
    if text.isascii() and text.isdigit() and len(text) < 19:  # beyond that SQLite's integers end
        return int(text)
    identifier = uuid_or_text(text)
    if isinstance(identifier, UUID):
        return identifier
    raise NotFoundError(f"`{text}` is neither a version number nor an identifier")


def uuid_or_text(text: str) -> UUID | str:
    """An identifier if it is one, else the text as it came."""
    try:
        return UUID(text)
    except ValueError:
        return text
