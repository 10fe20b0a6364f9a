"""Headers on their way through: what neither side may tell the other, and what has to read differently over there.

To the app: nothing of the connection, nothing that only we may say (`X-Forwarded-*`), none of our cookies, never the
secret of a public link. A name with an underscore does not pass, since CGI's spelling makes `X_Forwarded_For` and
`X-Forwarded-For` one.

To the browser: nothing of the connection, and nothing that speaks for more than the app's own paths, since on the
address of the apps there are others: `Clear-Site-Data`, `Strict-Transport-Security`, `Alt-Svc` and their like speak for
a whole host, `X-Accel-*` to a server that may stand in front of us. Addresses and cookies are moved to the prefix.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.proxy.places import Place

Headers = Sequence[tuple[bytes, bytes]]

OWN_COOKIES = "dlt-runtime-"
"""What the names of our cookies begin with, after the browser's own prefixes."""

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_OURS_TO_SAY = frozenset(
    (
        b"content-length",
        b"expect",
        b"forwarded",
        b"x-envoy-original-path",
        b"x-original-uri",  # these four: what a server in front of us was asked for
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
        b"x-script-name",
    )
)
_KEPT_FROM_APPS = _HOP_BY_HOP | _OURS_TO_SAY
_PAGE_AT_LINK = re.compile(rb"(https?://[^/]*/)public/[0-9a-fA-F]{8}-")
_TOO_FAR = frozenset(
    (
        b"alt-svc",
        b"clear-site-data",
        b"date",  # the server's own goes along
        b"expect-ct",
        b"nel",
        b"public-key-pins",
        b"public-key-pins-report-only",
        b"report-to",
        b"set-cookie2",
        b"strict-transport-security",
        b"x-lighttpd-send-file",
        b"x-sendfile",
    )
)
_KEPT_FROM_BROWSERS = _HOP_BY_HOP | _TOO_FAR
_OWN_NAMES = (b"x-accel-", b"x-dlt-runtime-")
_ADDRESSES = frozenset((b"location", b"content-location"))
_REFRESH = re.compile(r"""^(\s*[\d.]*\s*[;,]\s*url\s*=\s*)(["']?)(.*?)(["']?\s*)$""", re.IGNORECASE | re.DOTALL)
_LONGEST_REFRESH = 2048
"""Characters; the expression takes time by the square of what it is given."""


@dataclass(frozen=True)
class Visit:
    """What the app may know of who asks: the address, and how they reached us. Never who they are."""

    client: str | None
    scheme: str
    host: str


def first(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header."""
    for key, value in headers:  # asked often, and a generator costs three times as much
        if key == name:
            return value
    return None


def towards_app(
    headers: Headers, place: Place, visit: Visit, *, keeps_authorization: bool
) -> list[tuple[bytes, bytes]]:
    """The headers of a request, names in lower case, as the app gets them; without those that frame the body."""
    dropped = _KEPT_FROM_APPS | (_named_by_connection(headers) - {b"host"})
    secret = place.secret
    passed: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name in dropped or name.startswith(b"x-forwarded-") or b"_" in name:
            continue
        if name == b"authorization" and not keeps_authorization:
            continue
        if name == b"referer" and place.prefix and (page := _PAGE_AT_LINK.match(value)):
            value = page[1]
        elif name == b"cookie":
            value = without_own_cookies(value)
            if not value:
                continue
        if secret and secret in value.lower():
            continue
        passed.append((name, value))
    if visit.client:
        passed.append((b"x-forwarded-for", visit.client.encode("latin-1", "replace")))
    passed.append((b"x-forwarded-proto", visit.scheme.encode()))
    passed.append((b"x-forwarded-host", visit.host.encode("latin-1", "replace")))
    if place.told and not place.base_path:
        passed.append((b"x-forwarded-prefix", place.told.encode()))
    return passed


def towards_browser(headers: Headers, place: Place, own_hosts: frozenset[str]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer as the browser gets them.

    Args:
        own_hosts: Hosts, with port where it is not the scheme's, by which the app may mean itself.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    dropped = _KEPT_FROM_BROWSERS | (_named_by_connection(lowered) - {b"content-length", b"set-cookie"})
    passed: list[tuple[bytes, bytes]] = []
    for name, value in lowered:
        if name in dropped or name.startswith(_OWN_NAMES):
            continue
        if name == b"service-worker-allowed" and place.prefix:
            continue
        if name in _ADDRESSES:
            value = _encode(moved(_decode(value), place, own_hosts))
        elif name == b"refresh":
            value = _encode(_moved_refresh(_decode(value), place, own_hosts))
        elif name == b"set-cookie":
            cookie = moved_cookie(_decode(value), place)
            if cookie is None:
                continue
            value = _encode(cookie)
        passed.append((name, value))
    passed.append((b"x-accel-buffering", b"no"))  # a server in front of us that holds answers back would hold events
    return passed


def moved(address: str, place: Place, own_hosts: frozenset[str]) -> str:
    """An address that the app has named, as the browser has to follow it. Others' addresses stay."""
    text = address.strip()
    try:
        parts = urlsplit(text)
        own = parts.netloc.lower() in own_hosts
    except ValueError:
        return text
    if parts.netloc and own and parts.scheme in ("", "http", "https"):
        rest = text.partition("//")[2][len(parts.netloc) :]
        return place.outside(rest if rest.startswith("/") else f"/{rest}")
    if not parts.scheme and not parts.netloc and text.startswith("/"):
        return place.outside(text)
    return text


def moved_cookie(cookie: str, place: Place) -> str | None:
    """A `Set-Cookie` held to the app's own paths and host; None for one that it may not set at all."""
    pair, *attributes = cookie.split(";")
    name, equals, _ = pair.partition("=")
    if not equals or not name.strip() or is_own_cookie(name.strip()):
        return None
    kept = [pair]
    for attribute in attributes:
        key, _, value = attribute.partition("=")
        match key.strip().lower():
            case "domain":
                continue
            case "path":
                path = value.strip()
                if path.startswith("/"):  # else the browser takes the directory of the address, within the prefix
                    kept.append(f" Path={place.outside(path)}")
            case _:
                kept.append(attribute)
    return ";".join(kept)


def is_own_cookie(name: str) -> bool:
    """Whether a cookie is one of ours, by its name."""
    plain = name.lower()
    for prefix in ("__host-", "__secure-"):
        plain = plain.removeprefix(prefix)
    return plain.startswith(OWN_COOKIES)


def without_own_cookies(cookies: bytes) -> bytes:
    """A `Cookie` header without ours; empty if nothing is left."""
    if OWN_COOKIES.encode() not in cookies.lower():
        return cookies
    pairs = cookies.split(b";")
    kept = [pair for pair in pairs if not is_own_cookie(_decode(pair).strip().lstrip("=").partition("=")[0].strip())]
    return b";".join(kept).strip()


def cookie_values(headers: Headers, name: str) -> list[str]:
    """All values that cookies of this name have: a page may plant one more with a longer path."""
    values = []
    for key, header in headers:
        if key == b"cookie":
            for pair in _decode(header).split(";"):
                key_text, _, value = pair.strip().partition("=")
                if key_text == name:
                    values.append(value)
    return values


def _moved_refresh(value: str, place: Place, own_hosts: frozenset[str]) -> str:
    found = _REFRESH.match(value) if len(value) <= _LONGEST_REFRESH else None
    if found is None:
        return value
    return found[1] + found[2] + moved(found[3], place, own_hosts) + found[4]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    return {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}


def _decode(value: bytes) -> str:
    return value.decode("latin-1")


def _encode(value: str) -> bytes:
    return value.encode("latin-1")
