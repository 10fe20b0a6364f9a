"""What can go wrong between a client and the daemon: the families of `runtime.errors`, with the answer's status."""

from collections.abc import Mapping
from typing import Any

from runtime.errors import (
    ConflictError,
    InvalidError,
    JobRuntimeError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
    UnavailableError,
)


class ApiError(JobRuntimeError):
    """The daemon refused a request, or could not be asked.

    Attributes:
        status: HTTP status of the answer, None where there was none.
    """

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status


class BadRequestError(ApiError, InvalidError):
    """400, 413, 422: the request is wrong."""


class NotLoggedInError(ApiError, UnauthenticatedError):
    """401, or no token where one is needed."""


class ForbiddenError(ApiError, RefusedError):
    """403: known, but not allowed."""


class MissingError(ApiError, NotFoundError):
    """404."""


class InConflictError(ApiError, ConflictError):
    """409."""


class DaemonFaultError(ApiError, UnavailableError):
    """5xx, or an answer that is not one: the daemon is there and not well."""


class DaemonUnreachableError(ApiError, UnavailableError):
    """Nobody answers at the address, or the connection broke."""

    code = "daemon_unreachable"


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: NotLoggedInError,
    403: ForbiddenError,
    404: MissingError,
    409: InConflictError,
    413: BadRequestError,
    422: BadRequestError,
}


def error_from_answer(status: int, body: Any) -> ApiError:
    """The error for an answer of status 400 or above.

    Args:
        body: The parsed JSON body; anything but an error body of the contract counts as no explanation.
    """
    fields = body if isinstance(body, dict) else {}
    detail = fields.get("detail")
    extra = fields.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    family = _BY_STATUS.get(status, DaemonFaultError if status >= 500 else ApiError)
    return family(
        detail if isinstance(detail, str) and detail else f"the daemon answered with status {status}",
        status=status,
        code=extra.get("code") if isinstance(extra.get("code"), str) else None,
        hint=extra.get("hint") if isinstance(extra.get("hint"), str) else None,
    )
