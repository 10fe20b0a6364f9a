"""One application for many tests: building one takes longer than most tests do.

Each test gets what looks like an application of its own, over its own services and settings. Behind it is one that
looks up both, for each request, in the context of whoever is asking.
"""

from contextvars import ContextVar
from functools import cache
from itertools import count
from typing import Any, cast

from litestar import Litestar
from litestar.types import Receive, Scope, Send

from runtime.api.app import create_app
from runtime.dispatch.services import Services
from runtime.settings import Settings

_NUMBERS = count()


class AppOfATest:
    """The application, over these services and settings, asked from an address that no other test asks from."""

    def __init__(self, services: Services, settings: Settings) -> None:
        self.services = services
        self.settings = settings
        number = next(_NUMBERS)
        self._address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        token = _ASKED.set(self)
        try:
            client = scope["client"] and (self._address, scope["client"][1])
            await _shared()(cast("Scope", {**scope, "client": client}), receive, send)
        finally:
            _ASKED.reset(token)

    def __getattr__(self, name: str) -> Any:
        """What the shared application has: routes, the document."""
        token = _ASKED.set(self)
        try:
            return getattr(_shared(), name)
        finally:
            _ASKED.reset(token)


def app_of_a_test(services: Services, settings: Settings) -> Litestar:
    """As `create_app`, a hundred times faster; not for tests that change the application itself."""
    return cast("Litestar", AppOfATest(services, settings))


_ASKED: ContextVar[AppOfATest] = ContextVar("asked")


class _Lookup:
    """Stands for something of the application that is asked, found when one of its attributes is wanted."""

    def __init__(self, *path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        found: Any = _ASKED.get()
        for part in self._path:
            found = getattr(found, part)
        return getattr(found, name)


class _ServicesLookup:
    """Stands for the services; each of them is looked up when it is used."""

    def __getattr__(self, name: str) -> Any:
        return _Lookup("services", name)


@cache
def _shared() -> Litestar:
    # What is read of the settings while it is built are things that tests of this kind leave as they are.
    return create_app(cast("Services", _ServicesLookup()), cast("Settings", _Lookup("settings")))
