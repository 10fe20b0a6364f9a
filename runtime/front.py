"""Which part of the daemon answers: the API and its pages, the console behind one of them, or the apps' proxy.

The apps have a listener of their own. A request that names an app by its host is for that app on either listener, so
one address with a wildcard certificate will do.
"""

from runtime.api.access import METRICS_KEY, METRICS_PATH
from runtime.console.app import Console
from runtime.listeners import is_at
from runtime.proxy.app import AppsProxy
from runtime.proxy.asgi import Receive, Scope, Send


class Front:
    """The ASGI application that the server runs."""

    def __init__(
        self,
        api: object,
        proxy: AppsProxy,
        apps_address: tuple[str, int],
        metrics_address: tuple[str, int] | None = None,
        console: Console | None = None,
    ) -> None:
        """Hand on to these.

        Args:
            apps_address: Host and port of the apps' listener, as the system says them.
            metrics_address: Likewise of the listener for metrics alone, if there is one.
        """
        self._api = api
        self._proxy = proxy
        self._console = console
        self._apps_address = apps_address
        self._metrics_address = metrics_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on; of the API's origin only the console speaks WebSocket."""
        if scope["type"] == "lifespan":
            await self._api(scope, receive, send)  # type: ignore[operator] # Litestar, whose types are stricter
            return
        server = scope.get("server")
        if self._metrics_address is not None and is_at(self._metrics_address, server):
            await self._answer_metrics(scope, receive, send)
            return
        if is_at(self._apps_address, server) or self._proxy.is_for_app(scope):
            await self._proxy(scope, receive, send)
        elif self._console is not None and self._console.is_for_console(scope):
            await self._console(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._api(scope, receive, send)  # type: ignore[operator]

    async def _answer_metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The numbers, and nothing else; the API decides whether who asks here may have them without a token."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["path"] != METRICS_PATH:
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            scope = {**scope, "state": {**scope.get("state", {}), METRICS_KEY: True}}
            await self._api(scope, receive, send)  # type: ignore[operator]
