"""The route table of the application, for tests that leave no route out."""

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute


def routes(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Method, path template and handler of every route but the automatic OPTIONS."""
    return [
        (method, route.path, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in sorted(handler.http_methods)
        if method != "OPTIONS"
    ]
