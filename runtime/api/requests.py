"""Requests whose bodies may be anything."""

from typing import Any

from litestar import Request

from runtime.errors import InvalidError

MOST_LEVELS = 64
"""Of nesting in a body: a job definition has five, and what is nested deeper than some hundred cannot be answered with,
since encoders give up."""


class AnyRequest(Request[Any, Any, Any]):
    """A request that answers for what the JSON decoder does not expect: bytes of no text, and nesting without end."""

    async def json(self) -> Any:
        """The decoded body.

        Raises:
            InvalidError: it is no text, or nested too deeply; faults of the JSON itself are the framework's to tell.
        """
        try:
            body = await super().json()
        except UnicodeDecodeError:
            raise InvalidError("the body is not UTF-8", code="json") from None
        except RecursionError:
            raise _too_deep() from None
        if not _is_flat(body, MOST_LEVELS):
            raise _too_deep()
        return body


def _is_flat(value: Any, levels: int) -> bool:
    """Whether a value is nested at most so many levels deep."""
    if isinstance(value, dict):
        return levels > 0 and all(_is_flat(each, levels - 1) for each in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_is_flat(each, levels - 1) for each in value)
    return True


def _too_deep() -> InvalidError:
    return InvalidError(f"the body is nested deeper than {MOST_LEVELS} levels", code="json")
