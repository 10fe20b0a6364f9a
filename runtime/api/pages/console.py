"""`/w/<workspace>`: the terminal interface in the browser; links that clients print lead here.

The page holds a terminal (xterm.js, from the package textual-serve) and opens a WebSocket below its own address, which
`runtime.console` answers. It is the one page of ours with a script, so its policy names what that needs: this origin's
script, styles and WebSocket, and nothing from anywhere else. The terminal makes style sheets as it goes, hence
`unsafe-inline` for those.
"""

from importlib import resources
from typing import Any, Literal
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.params import FromPath

from runtime.api.access import access
from runtime.api.dependencies import Services, Settings
from runtime.api.pages.browser import Browser
from runtime.api.pages.destinations import Destination
from runtime.api.pages.rendering import HEADERS, page, see_other
from runtime.api.pages.signing_in import bounce
from runtime.dispatch.services import Services as AllServices
from runtime.domain.identities import Principal
from runtime.errors import NotFoundError
from runtime.settings import Settings as DaemonSettings

Kind = Literal["runs", "jobs", "pipelines"]

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_FILES = {
    "textual.js": ("textual_serve", "static/js/textual.js", "text/javascript"),
    "xterm.css": ("textual_serve", "static/css/xterm.css", "text/css"),
    "console.css": ("runtime.api.pages", "templates/console.css", "text/css"),
}
_KEPT_SECONDS = 3600


class ConsoleController(Controller):
    """The page, for members of the workspace, and the files it is made of."""

    path = "/w"
    opt = access("public")
    include_in_schema = False

    @get("/{workspace:str}")
    async def show(
        self, workspace: FromPath[str], request: Request[Any, Any, Any], services: Services, settings: Settings
    ) -> Response[Any]:
        """The workspace; somebody else's and none at all look alike."""
        return await _page(Destination.read(None, workspace), request, services, settings)

    @get("/{workspace:str}/{kind:str}/{name:str}")
    async def show_part(
        self,
        workspace: FromPath[str],
        kind: FromPath[str],
        name: FromPath[str],
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
    ) -> Response[Any]:
        """One run, job or pipeline of it."""
        destination = Destination.read(None, workspace, None, f"{kind}/{name}")
        if destination.workspace and not destination.to:
            raise NotFoundError("there is no such page", code="page_not_found")
        return await _page(destination, request, services, settings)

    @get("/-/{file:str}", sync_to_thread=False)
    def part(self, file: FromPath[str]) -> Response[bytes]:
        """Script and styles; the same for everybody."""
        if file not in _FILES:
            raise NotFoundError("there is no such file", code="page_not_found")
        package, path, media_type = _FILES[file]
        return Response(
            (resources.files(package) / path).read_bytes(),
            media_type=media_type,
            headers={**HEADERS, "Cache-Control": f"max-age={_KEPT_SECONDS}"},
        )


async def _page(
    destination: Destination, request: Request[Any, Any, Any], services: AllServices, settings: DaemonSettings
) -> Response[Any]:
    browser = Browser(request, settings)
    if not destination.workspace:
        raise NotFoundError("there is no such workspace", code="workspace_not_found")
    if browser.comes_from_elsewhere:
        return bounce(destination.path, "")
    user = await services.sign_in.current(browser.secret("session"))
    if user is None:
        return see_other(destination.sign_in_path)
    workspace_id = UUID(destination.workspace)
    if await services.workspaces.role(Principal(user=user), workspace_id) is None:
        raise NotFoundError("there is no such workspace, or none of yours", code="workspace_not_found")
    return page(
        "console.html",
        cookies=[browser.form_cookie],
        headers={"Content-Security-Policy": _POLICY},
        csrf=browser.form_token,
        user=user,
        workspace=await services.workspaces.get(workspace_id),
        socket_url=f"ws{browser.base_url.removeprefix('http')}{destination.path}/ws",
        destination=destination,
    )
