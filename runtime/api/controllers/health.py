"""What anybody may ask: whether the runtime is there, and well; and what its operators ask: how much it does."""

from litestar import Controller, Response, get
from litestar.openapi.datastructures import ResponseSpec
from prometheus_client import CONTENT_TYPE_LATEST

from runtime.api.access import METRICS_PATH, access
from runtime.api.dependencies import Metrics, Services
from runtime.wire.errors import ErrorResponse
from runtime.wire.health import HealthResponse
from runtime.wire.ping import PingResponse


class PingController(Controller):
    """Liveness, for both base addresses."""

    path = "/v1/ping"
    opt = access("public")
    tags = ("health",)

    @get(summary="Whether the runtime is there")
    async def ping(self) -> PingResponse:
        """Answers without credentials."""
        return PingResponse(message="pong", service="dlt-runtime")


class HealthController(Controller):
    """For supervisors and load balancers."""

    path = "/health"
    opt = access("public")
    tags = ("health (this runtime's own)",)

    @get("/live", summary="Whether the daemon answers")
    async def live(self) -> HealthResponse:
        """It does; nothing else is asked."""
        return HealthResponse()

    @get(
        "/ready",
        responses={503: ResponseSpec(ErrorResponse, generate_examples=False, description="It cannot do its work")},
        summary="Whether the daemon can do its work",
    )
    async def ready(self, services: Services) -> HealthResponse:
        """Its database can be read and written."""
        await services.health.check()
        return HealthResponse()


class MetricsController(Controller):
    """For Prometheus: through the Unix socket, with the token `metrics.token`, or at `metrics.listen`."""

    path = METRICS_PATH
    opt = access("metrics")
    tags = ("health (this runtime's own)",)

    @get(media_type="text/plain", summary="Numbers for Prometheus")
    async def metrics(self, services: Services, metrics: Metrics) -> Response[str]:
        """Runs by state, queue, durations, log lines, requests."""
        text = metrics.exposition(await services.health.workload()).decode("utf-8")
        return Response(text, media_type="text/plain", headers={"Content-Type": CONTENT_TYPE_LATEST})
