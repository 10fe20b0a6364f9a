"""The pages as one part of the application.

The routes are open to everybody as far as the API's guard is concerned: a browser brings a cookie, which the API does
not take, and each page looks at it itself.
"""

from litestar import Router
from litestar.types import Middleware

from runtime.api.pages.activation import ActivationController
from runtime.api.pages.console import ConsoleController
from runtime.api.pages.failures import PAGE_EXCEPTION_HANDLERS
from runtime.api.pages.signing_in import SignInController
from runtime.api.pages.visiting import VisitController

_FORM_BYTES = 16 * 1024


def pages(limit: Middleware) -> Router:
    """`/activate`, `/login`, `/logout`, `/visit` and `/w/...`; `limit` counts requests for them."""
    return Router(
        path="/",
        route_handlers=[ActivationController, SignInController, ConsoleController, VisitController],
        exception_handlers=PAGE_EXCEPTION_HANDLERS,
        middleware=[limit],
        request_max_body_size=_FORM_BYTES,
    )
