"""Where an app is, seen from the browser and seen from the app itself.

A request names an app by its path (`/apps/<slug>/...`), by a public link (`/public/<secret>/...`) or by its host
(`<slug>.<domain>`). What the browser has before the app's own paths is the *prefix*; what the app expects there is its
*base path*, which is empty for those that are told nothing. All of it works on the path as it came, byte for byte: what
is percent-encoded stays so, since decoding `/apps/a/..%2fb` is how proxies end up next door.
"""

import re
from dataclasses import dataclass
from uuid import UUID

APPS = b"/apps/"
PUBLIC = b"/public/"
OWN = "/.dlt-runtime/"
"""Below an app's prefix: what we answer ourselves."""
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Place:
    """One app's place in a request's paths; nothing here ends with a slash.

    Attributes:
        own: The app's own prefix where the request has another, a link's: the app is never told a link's secret.
    """

    prefix: str
    base_path: str = ""
    own: str | None = None

    @property
    def told(self) -> str:
        """The prefix that the app may know of."""
        return self.prefix if self.own is None else self.own

    @property
    def secret(self) -> bytes:
        """Of the link that the request comes by; empty if it comes by none."""
        return self.prefix[len(PUBLIC) :].encode() if self.prefix.startswith(PUBLIC.decode()) else b""

    def target(self, raw_path: bytes, query: bytes) -> bytes:
        """What is asked of the app for what was asked of us."""
        inner = raw_path_within(raw_path, self.prefix)
        return self.base_path.encode() + inner + (b"?" + query if query else b"")

    def outside(self, path: str) -> str:
        """The browser's path for an absolute path that the app has named.

        An app that knows its prefix, by being told on the way or by its base path, names it already.
        """
        for known in {self.base_path, self.told, self.prefix} - {""}:
            if path == known or path.startswith((f"{known}/", f"{known}?", f"{known}#")):
                return self.prefix + path[len(known) :]
        return self.prefix + path


@dataclass(frozen=True)
class Asked:
    """What a request's address names: an app by its slug or a link by its secret, and the prefix it is named with.

    `is_bare` where the slash after the prefix is missing: without it relative addresses on the app's pages lead astray.
    """

    prefix: str
    slug: str | None = None
    secret: UUID | None = None
    is_bare: bool = False


def asked_by_path(raw_path: bytes) -> Asked | None:
    """Read `/apps/<slug>/...` or `/public/<secret>/...`; None for anything else."""
    for root in (APPS, PUBLIC):
        if raw_path.startswith(root):
            name, slash, _ = raw_path[len(root) :].partition(b"/")
            text = name.decode("latin-1")
            prefix = root.decode() + text
            if root == APPS:
                return Asked(prefix, slug=text, is_bare=not slash) if is_slug(text) else None
            secret = _uuid(text)
            return Asked(prefix, secret=secret, is_bare=not slash) if secret else None
    return None


def asked_by_host(host: str, domain: str | None) -> Asked | None:
    """Read `<slug>.<domain>` from a Host header; None if it is another host."""
    if not domain:
        return None
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
    slug, dot, rest = name.lower().rstrip(".").partition(".")
    return Asked("", slug=slug) if dot and rest == domain.lower() and is_slug(slug) else None


def raw_path_within(raw_path: bytes, prefix: str) -> bytes:
    """What of a path comes after the prefix, which it begins with; at least a slash."""
    return raw_path[len(prefix) :] or b"/"


def is_slug(text: str) -> bool:
    """Whether a text can be an app's slug: a DNS label in lower case."""
    return _SLUG.fullmatch(text) is not None


def _uuid(text: str) -> UUID | None:
    try:
        secret = UUID(text)
    except ValueError:
        return None
    return secret if str(secret) == text else None
