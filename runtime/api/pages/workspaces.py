"""`/w/<workspace>`: where links lead that the public client prints; a plain look at a workspace, nothing to click."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.params import FromPath

from runtime.api.access import access
from runtime.api.dependencies import Services, Settings
from runtime.api.pages.browser import Browser
from runtime.api.pages.destinations import Destination
from runtime.api.pages.rendering import page, see_other
from runtime.api.pages.signing_in import bounce
from runtime.domain.identities import Principal
from runtime.errors import NotFoundError

MOST_JOBS = 500


class WorkspacePageController(Controller):
    """Jobs and their last runs, for members of the workspace."""

    path = "/w"
    opt = access("public")
    include_in_schema = False

    @get("/{workspace:str}")
    async def show(
        self, workspace: FromPath[str], request: Request[Any, Any, Any], services: Services, settings: Settings
    ) -> Response[Any]:
        """The overview; somebody else's workspace and none at all look alike."""
        browser, destination = Browser(request, settings), Destination.read(None, workspace)
        if not destination.workspace:
            raise NotFoundError("there is no such workspace", code="workspace_not_found")
        if browser.comes_from_elsewhere:
            return bounce(destination.path, "")
        user = await services.sign_in.current(browser.secret("session"))
        if user is None:
            return see_other(destination.sign_in_path)
        workspace_id = UUID(destination.workspace)
        role = await services.workspaces.role(Principal(user=user), workspace_id)
        if role is None:
            raise NotFoundError("there is no such workspace, or none of yours", code="workspace_not_found")
        jobs = await services.jobs.list(workspace_id, None, False, MOST_JOBS, 0)
        return page(
            "workspace.html",
            cookies=[browser.form_cookie],
            csrf=browser.form_token,
            user=user,
            role=role,
            workspace=await services.workspaces.get(workspace_id),
            jobs=jobs.items,
            more=jobs.total - len(jobs.items),
            base_url=browser.base_url,
            destination=destination,
        )
