"""What handlers are given, by name: the services, who asks, and where in a list they are."""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation

from runtime.api.compatibility import StartingOnce
from runtime.api.measuring import Measurements
from runtime.api.rate_limits import RateLimits
from runtime.dispatch import services as dispatch
from runtime.domain import identities
from runtime.listeners import host_name
from runtime.settings import Settings as DaemonSettings

# Not validated: they are ours, and the framework would try to take dataclasses apart.
Services = NamedDependency[SkipValidation[dispatch.Services]]
Principal = NamedDependency[SkipValidation[identities.Principal]]
PrincipalOrNobody = NamedDependency[SkipValidation[identities.Principal | None]]
"""Where a route may be used without credentials; the same dependency by the same name, `principal`."""
Settings = NamedDependency[SkipValidation[DaemonSettings]]
"""As whoever asks sees them: the addresses in them are such as lead here from there."""
Starting = NamedDependency[SkipValidation[StartingOnce]]
Metrics = NamedDependency[SkipValidation[Measurements]]
Limits = NamedDependency[SkipValidation[RateLimits]]

_FAR = 10**12  # beyond any list, and within the store's integers

Limit = Annotated[int, QueryParameter(ge=0, le=1000, description="most items to answer with")]
Offset = Annotated[int, QueryParameter(ge=0, le=_FAR, description="how many items to pass over")]


def provide(
    services: dispatch.Services, settings: DaemonSettings, measurements: Measurements, limits: RateLimits
) -> dict[str, Provide]:
    """The dependencies of an application."""
    starting = StartingOnce()

    def seen(request: Request[Any, Any, Any]) -> DaemonSettings:
        return settings.seen_by(host_name(request.headers.get("host", "")))

    return {
        "services": Provide(lambda: services, sync_to_thread=False),
        "settings": Provide(seen, sync_to_thread=False),
        "starting": Provide(lambda: starting, sync_to_thread=False),
        "metrics": Provide(lambda: measurements, sync_to_thread=False),
        "limits": Provide(lambda: limits, sync_to_thread=False),
        "principal": Provide(_principal, sync_to_thread=False),
    }


def _principal(request: Request[identities.Principal, Any, Any]) -> identities.Principal:
    return request.user
