"""Requests whose bodies may be anything."""

from typing import Any

from litestar import Request

from runtime.errors import InvalidError


class AnyRequest(Request[Any, Any, Any]):
    """A request that answers for what the JSON decoder does not expect: bytes of no text, and nesting without end."""

    async def json(self) -> Any:
        """The decoded body.

        Raises:
            InvalidError: it cannot be decoded at all; faults of the JSON itself are the framework's to tell.
        """
        try:
            return await super().json()
        except UnicodeDecodeError:
            raise InvalidError("the body is not UTF-8", code="json") from None
        except RecursionError:
            raise InvalidError("the body is nested too deeply", code="json") from None
