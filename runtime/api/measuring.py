"""Numbers for Prometheus: the requests of this process, and the work that the store knows of."""

import time
from collections.abc import Iterator

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from runtime.api.errors import status_of
from runtime.api.version import VERSION
from runtime.dispatch.health import Workload
from runtime.store.statistics import EndedTotal

_RUN = ["workspace", "status"]
_UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""A method may be any word, and what callers choose must not make series."""


class Measurements:
    """What one application has measured."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a third more series that nobody asks for
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        build = Gauge("dlt_runtime_build_info", "The version that runs.", ["version"], registry=self._registry)
        build.labels(VERSION).set(1)
        self._requests = Counter(
            "dlt_runtime_http_requests",
            "Requests by route and status; all those for which there is no route count as `unmatched`.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "dlt_runtime_http_request_duration_seconds",
            "Time to the last byte of the answer; of a stream, how long it was open.",
            ["method", "route"],
            registry=self._registry,
        )

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the template of its path, so that there are few of them."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def note_unmatched(self, error: Exception, scope: Scope) -> None:
        """Count a request that no route takes; it never gets as far as `Measuring`."""
        if "route_handler" not in scope and scope["type"] == ScopeType.HTTP:
            method = str(scope["method"])
            self.note_request(method if method in _METHODS else "other", _UNMATCHED, status_of(error), 0.0)

    def exposition(self, workload: Workload) -> bytes:
        """Everything in the text format of Prometheus."""
        work = CollectorRegistry()
        work.register(_WorkCollector(workload))
        return generate_latest(self._registry) + generate_latest(work)


class Measuring(ASGIMiddleware):
    """Counts and times requests."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, measurements: Measurements) -> None:
        self._measurements = measurements

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request on and note how it went."""
        status = 500
        begun = time.perf_counter()

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, send_noted)
        except Exception as error:  # answered further out
            status = status_of(error)
            raise
        finally:
            seconds = time.perf_counter() - begun
            method = str(scope["method"])  # type: ignore[typeddict-item] # only HTTP here
            self._measurements.note_request(method, scope["path_template"], status, seconds)


class _WorkCollector(Collector):
    """The store's numbers as metrics."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        active = GaugeMetricFamily("dlt_runtime_runs_active", "Runs that have not ended.", labels=_RUN)
        waiting = 0
        for workspace_id, status, runs in self._workload.active:
            active.add_metric([str(workspace_id), status], runs)
            waiting += runs if status == "pending" else 0
        yield active
        yield GaugeMetricFamily("dlt_runtime_queue_length", "Runs that wait for their turn.", value=waiting)
        yield CounterMetricFamily("dlt_runtime_log_lines", "Log lines stored.", value=self._workload.log_lines)
        yield from _ended(self._workload.ended)


def _ended(totals: list[EndedTotal]) -> Iterator[Metric]:
    ended = CounterMetricFamily("dlt_runtime_runs_ended", "Runs that have ended, skips included.", labels=_RUN)
    seconds = HistogramMetricFamily(
        "dlt_runtime_run_duration_seconds", "How long runs took that had started.", labels=_RUN
    )
    grouped: dict[tuple[str, str], list[EndedTotal]] = {}
    for total in totals:
        grouped.setdefault((str(total.workspace_id), total.status), []).append(total)
    for labels, some in grouped.items():
        ended.add_metric(labels, sum(total.runs for total in some))
        seconds.add_metric(labels, _buckets(some), sum(total.seconds for total in some))
    yield ended
    yield seconds


_BOUNDS = (1, 10, 60, 300, 1800, 7200, None)
"""As the schema has them (`ended_count`)."""


def _buckets(totals: list[EndedTotal]) -> list[tuple[str, float]]:
    runs = {total.at_most: total.runs for total in totals}
    counted, buckets = 0, []
    for bound in _BOUNDS:
        counted += runs.get(bound, 0)
        buckets.append(("+Inf" if bound is None else str(bound), float(counted)))
    return buckets
