"""Errors as pages, for what a browser is shown."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from runtime.api.errors import status_of
from runtime.api.pages.rendering import page
from runtime.dispatch.signing_in import TooSoonError
from runtime.errors import JobRuntimeError

log = structlog.get_logger()

_TITLES = {
    400: "That did not work",
    403: "That is not allowed",
    404: "There is nothing here",
    405: "That did not work",
    413: "That is too much",
    429: "Too many attempts",
}


def page_status(error: JobRuntimeError) -> int:
    """The status of a page that shows an error."""
    if isinstance(error, TooSoonError):
        return 429
    status_code = status_of(error)
    return 403 if status_code == 401 else status_code  # 401 would have to name a way to log in by header


def page_headers(error: JobRuntimeError) -> dict[str, str]:
    """Headers that go with an error."""
    return {"Retry-After": str(error.wait_seconds)} if isinstance(error, TooSoonError) else {}


def _expected(request: Request[Any, Any, Any], error: JobRuntimeError) -> Response[str]:
    status_code = page_status(error)
    if status_code >= 500:
        log.error(error.message, action="page", path=request.scope["path"], code=error.code, exc_info=error.__cause__)
    return _failure(status_code, error.message, error.hint, page_headers(error))


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    if error.status_code >= 500:
        return _unexpected(request, error)
    return _failure(error.status_code, _TITLES.get(error.status_code, error.detail), None, dict(error.headers or {}))


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    log.error("A page failed unexpectedly", action="page", path=request.scope["path"], exc_info=error)
    return _failure(500, "something went wrong inside the runtime; its log says what", None, {})


def _failure(status_code: int, message: str, hint: str | None, headers: dict[str, str]) -> Response[str]:
    title = _TITLES.get(status_code, "Something went wrong")
    return page("failure.html", status_code=status_code, headers=headers, title=title, message=message, hint=hint)


PAGE_EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    JobRuntimeError: _expected,
    ValidationException: _http,
    HTTPException: _http,
    Exception: _unexpected,
}
