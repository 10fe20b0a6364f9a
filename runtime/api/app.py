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
from runtime.api.controllers.code import CodeController
from runtime.api.controllers.configurations import ConfigurationController
from runtime.api.controllers.deployments import DeploymentController
from runtime.api.controllers.environments import RunEnvironmentController
from runtime.api.controllers.events import EventController
from runtime.api.controllers.health import HealthController, MetricsController, PingController
from runtime.api.controllers.histories import HistoryController
from runtime.api.controllers.hooks import HookCallController, HookController
from runtime.api.controllers.identities import MeController, OrganizationController, PasswordController
from runtime.api.controllers.keys import KeyController
from runtime.api.controllers.lineage import LineageController
from runtime.api.controllers.log_pages import LogPageController
from runtime.api.controllers.logs import LogController
from runtime.api.controllers.machine import MachineController
from runtime.api.controllers.manifests import ManifestController
from runtime.api.controllers.members import OrganizationMemberController, WorkspaceMemberController
from runtime.api.controllers.operations import OperationsController
from runtime.api.controllers.pipelines import PipelineController
from runtime.api.controllers.runs import RunController
from runtime.api.controllers.schedules import GraphController, IntervalController, ScheduleController
from runtime.api.controllers.scripts import ScriptController
from runtime.api.controllers.statistics import OrganizationStatisticsController, WorkspaceStatisticsController
from runtime.api.controllers.summaries import SummaryController
from runtime.api.controllers.workspaces import WorkspaceController
from runtime.api.dependencies import provide
from runtime.api.documenting import ErrorDocumentation
from runtime.api.errors import EXCEPTION_HANDLERS
from runtime.api.host_header import HostHeader
from runtime.api.measuring import Measurements, Measuring
from runtime.api.pace import BodyPace
from runtime.api.pages.router import pages
from runtime.api.rate_limits import RateLimits, page_limit
from runtime.api.requests import AnyRequest
from runtime.api.revalidation import Revalidation
from runtime.api.version import VERSION
from runtime.dispatch.console_keys import ConsoleKeys
from runtime.dispatch.services import Services
from runtime.settings import Settings
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX

_BODY_BYTES = 1024 * 1024  # manifests and uploads have limits of their own


def create_app(services: Services, settings: Settings, console_keys: ConsoleKeys | None = None) -> Litestar:
    """The application over these services; it owns nothing and needs no start or stop of its own.

    Args:
        console_keys: What counts on the console's socket, where there is one.
    """
    api = Router(
        path=API_PREFIX,
        route_handlers=[
            PingController,
            MeController,
            PasswordController,
            OrganizationController,
            OrganizationMemberController,
            OrganizationStatisticsController,
            WorkspaceController,
            WorkspaceMemberController,
            WorkspaceStatisticsController,
            EventController,
            DeploymentController,
            CodeController,
            ConfigurationController,
            ManifestController,
            ScriptController,
            ScheduleController,
            IntervalController,
            HookController,
            GraphController,
            RunController,
            HistoryController,
            LogController,
            LogPageController,
            RunEnvironmentController,
            SummaryController,
            PipelineController,
            LineageController,
            MachineController,
            AdminController,
            KeyController,
            OperationsController,
        ],
    )
    measurements, revalidation, limits = Measurements(), Revalidation(services.feed), RateLimits()
    token = settings.metrics.token
    auth = Router(path=AUTH_PREFIX, route_handlers=[PingController, AuthenticationController])
    return Litestar(
        route_handlers=[
            api,
            auth,
            pages(page_limit(limits, services.sign_in, settings)),
            HookCallController,
            HealthController,
            MetricsController,
        ],
        dependencies=provide(services, settings, measurements, limits),
        middleware=[
            Measuring(measurements),
            HostHeader(),
            BodyPace(),
            Authentication(services.accounts, token.get_secret_value() if token else None, console_keys),
            revalidation,
        ],
        before_request=revalidation.before_request,
        after_exception=[measurements.note_unmatched],
        request_class=AnyRequest,
        guards=[access_guard(services.workspaces)],
        exception_handlers=EXCEPTION_HANDLERS,
        plugins=[PydanticPlugin(exclude_none=True), ErrorDocumentation()],
        openapi_config=_openapi(),
        request_max_body_size=_BODY_BYTES,
        logging_config=None,
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="dlt-runtime",
        version=VERSION,
        description="The API of dlt-runtime 0.26.1 and this runtime's own additions, whose tags say so.",
        use_handler_docstrings=True,
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{"bearer": []}],
        # Documents only: the pages that render them would load scripts from elsewhere.
        openapi_router=Router(path="/schema", route_handlers=[], opt=access("authenticated"), include_in_schema=False),
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"]), YamlRenderPlugin()],
    )
