"""The pages as one part of the application.

The routes are open to everybody as far as the API's guard is concerned: a browser brings a cookie, which the API does
not take, and each page looks at it itself.
"""

from litestar import Router
from litestar.middleware.rate_limit import RateLimitConfig

from runtime.api.pages.activation import ActivationController
from runtime.api.pages.failures import PAGE_EXCEPTION_HANDLERS
from runtime.api.pages.signing_in import SignInController
from runtime.api.pages.workspaces import WorkspacePageController

_FORM_BYTES = 16 * 1024
# Not what slows guessing down (`runtime.auth.throttling` is), only a bound on what one address may ask for.
_RATE_LIMIT = RateLimitConfig(rate_limit=("minute", 240), set_rate_limit_headers=False)


def pages() -> Router:
    """`/activate`, `/login`, `/logout` and `/w/...`."""
    return Router(
        path="/",
        route_handlers=[ActivationController, SignInController, WorkspacePageController],
        exception_handlers=PAGE_EXCEPTION_HANDLERS,
        middleware=[_RATE_LIMIT.middleware],
        request_max_body_size=_FORM_BYTES,
    )
