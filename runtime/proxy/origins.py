"""Who made a browser send a request, and what of its cookies may therefore count.

`SameSite` alone does not do: ports of a host and hosts below one domain are one site, so one app's pages could ask
another app in their visitor's name. Browsers say where a request comes from (`Sec-Fetch-Site`, on secure origins), and
otherwise `Origin`: a visit's cookie counts for the app's own pages and for links that a person follows, for no more.
"""

from runtime.dispatch.visits import Claim
from runtime.listeners import host_of_origin
from runtime.proxy.asgi import Scope
from runtime.proxy.forwarding import scheme_of
from runtime.proxy.headers import first

_READING = ("GET", "HEAD")


def may_use_cookies(scope: Scope) -> bool:
    """Whether the cookies of a request count."""
    headers = scope["headers"]
    origin = first(headers, b"origin")
    if scope["type"] == "websocket":
        return origin is None or _is_own(origin, scope)
    site = first(headers, b"sec-fetch-site")
    if site in (b"same-origin", b"none"):
        return True
    reads = scope["method"] in _READING
    if site is not None:
        is_link = first(headers, b"sec-fetch-mode") == b"navigate" and first(headers, b"sec-fetch-dest") == b"document"
        return reads and is_link
    return origin is None or _is_own(origin, scope)


def is_visit(scope: Scope, claim: Claim) -> bool:
    """Whether a request may wake an app: not what an open page sends by itself, or a forgotten tab would for ever.

    Pages do not know our tokens, so who brings one asks on purpose, over a WebSocket too; likewise who uses a link as
    an app's address, unless a browser's page does. With a cookie, or nothing, only going to a page counts. Browsers say
    that (`Sec-Fetch-Mode`) to secure origins alone; elsewhere it shows in their asking for HTML.
    """
    if claim.token is not None:
        return True
    headers = scope["headers"]
    # `Sec-Fetch-Mode` by itself proves no browser: Node's `fetch` sends it.
    is_from_page = first(headers, b"sec-fetch-site") is not None or first(headers, b"origin") is not None
    if claim.link is not None and not is_from_page:
        return True
    if scope["type"] != "http":
        return False
    mode = first(headers, b"sec-fetch-mode")
    return mode == b"navigate" if mode is not None else b"text/html" in (first(headers, b"accept") or b"")


def _is_own(origin: bytes, scope: Scope) -> bool:
    host = (first(scope["headers"], b"host") or b"").decode("latin-1").lower()
    if not host or host_of_origin(origin.decode("latin-1")) != host:
        return False
    # What comes over plain HTTP anybody on the way can have written. The other way round a proxy has taken TLS off
    # without saying so.
    return scheme_of(scope) == "http" or origin.lower().startswith(b"https://")
