"""The HTTP application: two base addresses under one listener, as on the managed service.

`/api/v1` and `/auth/v1` stay free for the contract of newer clients.
"""

from litestar import Litestar, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.pydantic import PydanticPlugin

from runtime.api.access import Authentication, access, access_guard
from runtime.api.controllers.admin import AdminController
from runtime.api.controllers.authentication import AuthenticationController
from runtime.api.controllers.configurations import ConfigurationController
from runtime.api.controllers.deployments import DeploymentController
from runtime.api.controllers.health import ActivationController, PingController
from runtime.api.controllers.hooks import HookCallController, HookController
from runtime.api.controllers.identities import MeController, OrganizationController
from runtime.api.controllers.logs import LogController
from runtime.api.controllers.manifests import ManifestController
from runtime.api.controllers.runs import RunController
from runtime.api.controllers.schedules import GraphController, IntervalController, ScheduleController
from runtime.api.controllers.scripts import ScriptController
from runtime.api.controllers.workspaces import WorkspaceController
from runtime.api.dependencies import provide
from runtime.api.errors import EXCEPTION_HANDLERS
from runtime.api.version import VERSION
from runtime.dispatch.services import Services
from runtime.settings import Settings
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX

_BODY_BYTES = 16 * 1024 * 1024  # a manifest of some ten thousand jobs; uploads have limits of their own


def create_app(services: Services, settings: Settings) -> Litestar:
    """The application over these services; it owns nothing and needs no start or stop of its own."""
    api = Router(
        path=API_PREFIX,
        route_handlers=[
            PingController,
            MeController,
            OrganizationController,
            WorkspaceController,
            DeploymentController,
            ConfigurationController,
            ManifestController,
            ScriptController,
            ScheduleController,
            IntervalController,
            HookController,
            GraphController,
            RunController,
            LogController,
            AdminController,
        ],
    )
    auth = Router(path=AUTH_PREFIX, route_handlers=[PingController, AuthenticationController])
    return Litestar(
        route_handlers=[api, auth, ActivationController, HookCallController],
        dependencies=provide(services, settings),
        middleware=[Authentication(services.accounts)],
        guards=[access_guard(services.workspaces)],
        exception_handlers=EXCEPTION_HANDLERS,
        plugins=[PydanticPlugin(exclude_none=True)],
        openapi_config=_openapi(),
        request_max_body_size=_BODY_BYTES,
        logging_config=None,
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="dlt-runtime",
        version=VERSION,
        description="The API of dlt-runtime 0.26.1 and, under `/v1/admin`, this runtime's own additions.",
        use_handler_docstrings=True,
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{"bearer": []}],
        # Documents only: the pages that render them would load scripts from elsewhere.
        openapi_router=Router(path="/schema", route_handlers=[], opt=access("authenticated")),
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"]), YamlRenderPlugin()],
    )
