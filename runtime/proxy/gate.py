"""Who asks, and what becomes of those who may not: sent to sign in, or told why they may not."""

from urllib.parse import quote, urlencode

from runtime.auth.codes import digest, is_secret, new_secret
from runtime.dispatch.apps import App
from runtime.dispatch.visits import Claim, Grant, VisitService
from runtime.listeners import host_name
from runtime.proxy.asgi import Scope, Send
from runtime.proxy.forwarding import host_of, raw_path_of, scheme_of
from runtime.proxy.headers import cookie_values, first
from runtime.proxy.origins import is_visit, may_use_cookies
from runtime.proxy.pages import notice, redirect, wants_page
from runtime.proxy.places import OWN, Asked, raw_path_within
from runtime.settings import Settings

COOKIE, ENTRY_COOKIE = "dlt-runtime-app", "dlt-runtime-entry"
_ENTRY_SECONDS = 600
_MOST_COOKIES = 3


class Gate:
    """Judges requests for apps."""

    def __init__(self, visits: VisitService, settings: Settings) -> None:
        self._visits = visits
        self._settings = settings

    async def judge(self, scope: Scope, app: App, asked: Asked) -> tuple[Grant, bool]:
        """How the request stands, and whether the app may see its `Authorization` header.

        The best of what it shows counts: the link in its address, then a token of ours, then its cookies.

        Raises:
            UnauthenticatedError: it shows a bearer token that is ours but good no more, and nothing else.
        """
        token = _bearer(scope)
        is_ours = token is not None and await self._visits.is_ours(token)
        if asked.secret is not None:
            return await self._visits.look(app, Claim(link=asked.secret)), not is_ours
        if token is not None and is_ours:
            return await self._visits.look(app, Claim(token=token)), False
        found = Grant(app, Claim(), "unknown")
        if may_use_cookies(scope):
            for value in _secrets(scope, COOKIE, asked.prefix):
                grant = await self._visits.look(app, Claim(cookie=value))
                if grant.is_good:
                    return grant, True
                if grant.standing != "unknown":
                    found = grant
        return found, True

    async def turn_away(self, scope: Scope, send: Send, asked: Asked, grant: Grant) -> None:
        """Answer a request that may not go on."""
        if grant.standing == "unknown" and wants_page(scope) and is_visit(scope, grant.claim):
            await self.sign_in(scope, send, grant.app, asked.prefix, _inner_path(scope, asked))
        elif grant.standing == "revoked":
            await notice(
                scope,
                send,
                410,
                "link_revoked",
                "This link has ended",
                "Whoever shared it has taken it back.",
                sign_in_url=self.sign_in_url(grant.app),
            )
        elif grant.standing == "no_member":
            await notice(
                scope,
                send,
                403,
                "refused",
                "That is not allowed",
                "You are no member of the workspace that this app belongs to.",
            )
        else:
            await notice(
                scope,
                send,
                401,
                "unauthenticated",
                "Who is there?",
                "Sign in to see this app, or send an access token.",
                ((b"www-authenticate", b"Bearer"),),
                sign_in_url=self.sign_in_url(grant.app, _inner_path(scope, asked)),
            )

    async def sign_in(self, scope: Scope, send: Send, app: App, prefix: str, to: str) -> None:
        """Send a browser to the API's page that lets a member on to the app, and mark the browser.

        The ticket that it comes back with is good together with this mark alone. So nobody can be made to visit in
        another's name by following a way in that was somebody else's. Tabs of one browser share a mark.
        """
        mark = next(iter(entry_marks(scope, prefix)), None) or new_secret()
        query = urlencode({"app": app.slug, "to": to, "mark": digest(mark).hex()}, quote_via=quote)
        cookie = _cookie(scope, ENTRY_COOKIE, prefix, mark) + f"; Max-Age={_ENTRY_SECONDS}".encode()
        await redirect(scope, send, 303, f"{self._api_url(scope)}/visit?{query}", ((b"set-cookie", cookie),))

    def own_address(self, app: App) -> str:
        """Where the app itself is, whatever a request has come by; without a slash at the end."""
        addresses = self._settings.app_addresses
        return addresses.app_url(app.slug).rstrip("/") if addresses.domain else addresses.prefix(app.slug)

    def sign_in_url(self, app: App, to: str = "/") -> str:
        """The page of the app's address that goes on to sign in."""
        return f"{self.own_address(app)}{OWN}sign-in?{urlencode({'to': to}, quote_via=quote)}"

    def _api_url(self, scope: Scope) -> str:
        settings = self._settings
        return settings.seen_by(settings.apps.domain or host_name(host_of(scope)) or "localhost").base_url


def visit_cookie(scope: Scope, prefix: str, secret: str) -> bytes:
    """`Set-Cookie` for a visit: for the app's own paths only, and not for its scripts."""
    return _cookie(scope, COOKIE, prefix, secret)


def entry_marks(scope: Scope, prefix: str) -> list[str]:
    """How this browser was marked when it was sent to sign in; another page may have planted one more."""
    return _secrets(scope, ENTRY_COOKIE, prefix)


def cookie_name(scope: Scope, prefix: str, name: str = COOKIE) -> str:
    """The full name of a cookie of ours.

    Under TLS nothing on plain HTTP can plant it, and where the app has a host of its own no neighbouring host can.
    """
    if scheme_of(scope) != "https":
        return name
    return f"{'__Secure-' if prefix else '__Host-'}{name}"


def _cookie(scope: Scope, name: str, prefix: str, secret: str) -> bytes:
    secure = "; Secure" if scheme_of(scope) == "https" else ""
    return f"{cookie_name(scope, prefix, name)}={secret}; Path={prefix}/; HttpOnly; SameSite=Lax{secure}".encode()


def _secrets(scope: Scope, name: str, prefix: str) -> list[str]:
    """What cookies of ours hold; anything else is neither looked up nor remembered, however long it is."""
    found = cookie_values(scope["headers"], cookie_name(scope, prefix, name))
    return [value for value in found if is_secret(value)][:_MOST_COOKIES]


def _inner_path(scope: Scope, asked: Asked) -> str:
    path = raw_path_within(raw_path_of(scope), asked.prefix).decode("latin-1")
    return path + "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else path


def _bearer(scope: Scope) -> str | None:
    header = first(scope["headers"], b"authorization")
    if header is None:
        return None
    scheme, _, token = header.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
