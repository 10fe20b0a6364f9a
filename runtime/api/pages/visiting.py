"""`/visit`: where an app sends a browser that it does not know, to show who it is and come back with a ticket.

The session's cookie stays at this address. What goes on to the app's is a ticket, good once, for a minute and in this
browser, for which it gets a cookie of its own. `mark` says which browser that is, as a digest: who comes without it, as
after signing in, is sent to the app's address first. Answered with a page that leads on, not with a redirect: that
might answer the form that signs in, which may lead to nowhere but here.
"""

from typing import Any
from urllib.parse import quote, urlencode

from litestar import Controller, Request, Response, get
from litestar.params import FromQuery

from runtime.api.access import access
from runtime.api.dependencies import Services, Settings
from runtime.api.pages.browser import Browser
from runtime.api.pages.destinations import Destination
from runtime.api.pages.rendering import see_other
from runtime.api.pages.signing_in import bounce
from runtime.auth.codes import is_secret
from runtime.errors import NotFoundError

OWN_PATH = ".dlt-runtime/"


class VisitController(Controller):
    """Lets members of an app's workspace on to the app."""

    path = "/visit"
    opt = access("public")
    include_in_schema = False

    @get()
    async def visit(
        self,
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
        app: FromQuery[str | None] = None,
        to: FromQuery[str | None] = None,
        mark: FromQuery[str | None] = None,
        again: FromQuery[str | None] = None,
    ) -> Response[Any]:
        """On to the app, by way of signing in if need be."""
        browser, destination = Browser(request, settings), Destination.read(None, None, app, to)
        found = await services.apps.find(destination.app) if destination.app else None
        if found is None:
            raise NotFoundError("there is no such app, or none of yours", code="app_not_found")
        own = settings.app_addresses.app_url(found.slug) + OWN_PATH
        if mark is None or not is_secret(mark):
            return bounce(f"{own}sign-in?{_query(to=destination.to)}", "")
        secret = browser.secret("session")
        user = await services.sign_in.current(secret)
        if user is None or secret is None:
            if again is None and request.headers.get("sec-fetch-site") in (None, "cross-site"):
                # The app's address may be another site, from which the session's cookie does not come along.
                return bounce(f"{destination.path}&{_query(mark=mark, again='1')}", "")
            return see_other(destination.sign_in_path)
        ticket = await services.visits.ticket_of_member(user, secret, found, mark)
        return bounce(f"{own}enter?{_query(ticket=ticket, to=destination.to)}", "")


def _query(**values: str) -> str:
    return urlencode(values, quote_via=quote)
