"""How much strangers may ask for in a minute, so that nobody uses up what others at the same address need.

Each kind of request has a count of its own, by network. What proves itself is counted by itself instead: a browser that
somebody has signed in with, a device code or refresh token that there is, the token of
a webhook, a public link. So whoever sends rubbish from
an office's address, or from behind a proxy that the settings do not name, stops nobody there who is known already. This
is no defence against guessing: the secrets have 122 random bits and more; for passwords see `runtime.auth.throttling`.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import TooManyRequestsException
from litestar.types import ASGIApp, Middleware, Receive, Scope, Send

from runtime.api.pages.browser import Browser
from runtime.api.requests import AnyRequest
from runtime.auth.codes import digest
from runtime.auth.tally import Tally
from runtime.auth.throttling import network_of
from runtime.dispatch.signing_in import SignInService
from runtime.settings import Settings

Connection = ASGIConnection[Any, Any, Any, Any]


class RateLimit:
    """A count of requests of one kind; the next one after `most` in a minute is answered with 429."""

    def __init__(self, most: int) -> None:
        self._tally = Tally(most)

    def count(self, connection: Connection, proof: str | None = None) -> None:
        """One more request.

        Args:
            proof: A secret that came with it and is known to be good; None counts it for where it comes from.

        Raises:
            TooManyRequestsException: it is one too many.
        """
        client = connection.client  # None for the Unix socket
        key = f"proof {digest(proof).hex()}" if proof else f"network {network_of(client and client.host)}"
        if wait := self._tally.wait_seconds(key):
            raise TooManyRequestsException(headers={"Retry-After": str(wait)})
        self._tally.note(key)


class RateLimits:
    """The counts of one application."""

    def __init__(self) -> None:
        self.pages = RateLimit(240)
        self.logins = RateLimit(30)
        """Device logins that are begun. At this pace it takes some minutes until those that wait drive out an earlier
        one of their network, so it can be approved before."""
        self.credentials = RateLimit(240)
        """Polls, refreshes and logouts; some people behind one proxy each poll every other second."""
        self.hooks = RateLimit(240)
        """Calls of webhooks, of which each may cause a run."""
        self.links = RateLimit(30)
        """Apps started by public links."""


def page_limit(limits: RateLimits, sign_in: SignInService, settings: Settings) -> Middleware:
    """Counts requests for pages: by the browser where somebody has signed in with it before, else by network."""

    # Functions and no class: the framework copies what it is given here, with all that hangs on it.
    def around(app: ASGIApp) -> ASGIApp:
        async def count(scope: Scope, receive: Receive, send: Send) -> None:
            request = AnyRequest(scope)
            secret = Browser(request, settings).secret("browser")
            is_known = secret is not None and await sign_in.knows_browser(secret)
            limits.pages.count(request, secret if is_known else None)
            await app(scope, receive, send)

        return count

    return around
