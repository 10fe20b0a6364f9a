"""Every error as one shape of body: `{"status_code", "detail", "extra"}`; the only place that knows statuses.

The public client shows `detail`, which must be a string, and fails on an `extra` that is null.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException, ValidationException
from litestar.types import ExceptionHandlersMap

from runtime.errors import (
    ConflictError,
    DiskFullError,
    InvalidError,
    JobRuntimeError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
    UnavailableError,
    disk_error,
    is_full,
)
from runtime.wire.errors import ErrorResponse

log = structlog.get_logger()

_STATUSES: dict[type[BaseException], int] = {
    InvalidError: 400,
    UnauthenticatedError: 401,
    RefusedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    UnavailableError: 503,
    DiskFullError: 507,
}
_NO_BODY = "'data'"  # the framework's words for it
_INTERNAL = "something went wrong inside the runtime; its log says what"


_CODES = {404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large", 429: "too_many_requests"}
_UNFINISHED = frozenset({408, 413})
"""Answered while the body is still coming: the rest of it is not waited for."""


def status_of(error: BaseException) -> int:
    """The status that an exception is answered with."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((_STATUSES[family] for family in type(error).__mro__ if family in _STATUSES), 500)


def _answer(
    status_code: int, detail: str, extra: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response[dict[str, Any]]:
    body = ErrorResponse(status_code=status_code, detail=detail, extra=dict(extra))
    return Response(body.to_wire(), status_code=status_code, headers=headers, media_type="application/json")


def _expected(request: Request[Any, Any, Any], error: JobRuntimeError) -> Response[dict[str, Any]]:
    status_code = status_of(error)
    if status_code >= 500:
        log.error(
            error.message, action="request", path=request.scope["path"], code=error.code, exc_info=error.__cause__
        )
    extra = {"code": error.code} | ({"hint": error.hint} if error.hint else {})
    return _answer(status_code, error.message, extra, {"WWW-Authenticate": "Bearer"} if status_code == 401 else None)


def _invalid(_: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, Any]]:
    """A body or parameter that does not fit; the first fault becomes the sentence, all of them go into `extra`."""
    faults = [fault for fault in error.extra or [] if isinstance(fault, dict)]
    detail = error.detail
    if faults:
        first = faults[0]
        if first.get("message") == _NO_BODY:
            return _answer(400, "the request needs a body", {"code": "invalid"})
        detail = f"`{first.get('key') or 'body'}`: {first.get('message', 'not valid')}"
    return _answer(400, detail, {"code": "invalid", "errors": [_plain(fault) for fault in faults]})


def _plain(fault: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(fault[key]) for key in ("key", "source", "message") if key in fault}


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """What the framework itself refuses: unknown paths, wrong methods, bodies too large."""
    if error.status_code >= 500:
        return _unexpected(request, error)
    detail = error.detail
    if isinstance(error, NotFoundException):
        detail = f"there is nothing at `{request.scope['path']}`"
    headers = {**(error.headers or {}), **({"Connection": "close"} if error.status_code in _UNFINISHED else {})}
    return _answer(error.status_code, detail, {"code": _CODES.get(error.status_code, "request")}, headers)


def _system(request: Request[Any, Any, Any], error: OSError) -> Response[dict[str, Any]]:
    """What the system refuses: a full disk is nobody's mistake and has a way out."""
    return (
        _expected(request, disk_error("this could not be stored", error))
        if is_full(error)
        else _unexpected(request, error)
    )


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("A request failed unexpectedly", action="request", path=request.scope["path"], exc_info=error)
    return _answer(500, _INTERNAL, {"code": "internal"})


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    JobRuntimeError: _expected,
    ValidationException: _invalid,
    HTTPException: _http,
    OSError: _system,
    Exception: _unexpected,
}
