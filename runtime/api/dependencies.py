"""What handlers are given, by name: the services, who asks, and where in a list they are."""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation

from runtime.api.compatibility import StartingOnce
from runtime.api.measuring import Measurements
from runtime.dispatch import services as dispatch
from runtime.domain import identities
from runtime.settings import Settings as DaemonSettings

# Not validated: they are ours, and the framework would try to take dataclasses apart.
Services = NamedDependency[SkipValidation[dispatch.Services]]
Principal = NamedDependency[SkipValidation[identities.Principal]]
Settings = NamedDependency[SkipValidation[DaemonSettings]]
Starting = NamedDependency[SkipValidation[StartingOnce]]
Metrics = NamedDependency[SkipValidation[Measurements]]

_FAR = 10**12  # beyond any list, and within the store's integers

Limit = Annotated[int, QueryParameter(ge=0, le=1000, description="most items to answer with")]
Offset = Annotated[int, QueryParameter(ge=0, le=_FAR, description="how many items to pass over")]


def provide(services: dispatch.Services, settings: DaemonSettings, measurements: Measurements) -> dict[str, Provide]:
    """The dependencies of an application."""
    starting = StartingOnce()
    return {
        "services": Provide(lambda: services, sync_to_thread=False),
        "settings": Provide(lambda: settings, sync_to_thread=False),
        "starting": Provide(lambda: starting, sync_to_thread=False),
        "metrics": Provide(lambda: measurements, sync_to_thread=False),
        "principal": Provide(_principal, sync_to_thread=False),
    }


def _principal(request: Request[identities.Principal, Any, Any]) -> identities.Principal:
    return request.user
