"""What a request says about the browser that made it: its cookies, and whether a form is one of our own.

Cookies are `HttpOnly`, without `Domain`, and `SameSite=Strict`, so no request that another site began carries them.
Under TLS they are `Secure` and take the prefix `__Host-`, so neither a neighbouring subdomain nor plain HTTP can
plant one. The one exception is `github`, which is `Lax`: it has to come along when GitHub sends the browser back, holds
no session, and goes when it has been used.

- `session`: who is signed in, as long as the browser is open and the server's row lives.
- `browser`: this browser has been signed in with before; see `runtime.auth.throttling`.
- `form`: the secret behind the tokens in forms. It is not the session's, since the form that signs in needs one too,
  and since a request from another site, which carries no session, must not replace it.

A form's token is an HMAC with the `form` secret over the session's: it fits this browser and this session only, and
nobody can make one who can merely plant cookies on this host (another port of it will do, cookies know no ports).
Besides, a browser says where a form was sent from (`Sec-Fetch-Site`, or else `Origin`), and only here is right.
"""

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie

from runtime.auth.codes import is_secret, new_secret
from runtime.dispatch.signing_in import Visitor
from runtime.errors import RefusedError
from runtime.listeners import host_of_origin
from runtime.settings import Settings

CookieName = Literal["session", "browser", "form", "github"]
_LIFETIMES: dict[CookieName, int | None] = {"session": None, "form": None, "browser": 180 * 86400, "github": 600}
_GONE = 0


@dataclass(frozen=True)
class Browser:
    """The browser behind a request."""

    request: Request[Any, Any, Any]
    settings: Settings

    @property
    def base_url(self) -> str:
        """The address this server is reached at, without a slash at the end."""
        return (self.settings.public_url or str(self.request.base_url)).rstrip("/")

    @property
    def is_secure(self) -> bool:
        """Whether the browser speaks TLS, to us or to a proxy."""
        return self.base_url.startswith("https:")

    @property
    def visitor(self) -> Visitor:
        """For counting attempts."""
        client = self.request.client
        return Visitor(client.host if client else None, self.secret("browser"))

    def secret(self, name: CookieName) -> str | None:
        """What one of our cookies holds, None if it is missing or not of our making."""
        value = self.request.cookies.get(self._full(name))
        return value if value is not None and is_secret(value) else None

    def cookie(self, name: CookieName, secret: str) -> Cookie:
        """Set a cookie."""
        return self._cookie(name, secret, _LIFETIMES[name])

    def no_cookie(self, name: CookieName) -> Cookie:
        """Take a cookie away."""
        return self._cookie(name, "", _GONE)

    @cached_property
    def form_secret(self) -> str:
        """The secret behind this browser's forms; a new one if it brought none, to be set as `form`."""
        return self.secret("form") or new_secret()

    @property
    def form_cookie(self) -> Cookie:
        """To go with every page that has a form."""
        return self.cookie("form", self.form_secret)

    @property
    def form_token(self) -> str:
        """For the forms of the page that answers this request."""
        return self._token(self.form_secret)

    @property
    def comes_from_elsewhere(self) -> bool:
        """Whether another site led here, so that the browser kept its strict cookies to itself."""
        return self.request.headers.get("sec-fetch-site") == "cross-site"

    def check_form(self, token: str) -> None:
        """Make sure that a form came from a page of ours in this very browser.

        Raises:
            RefusedError: it did not, or the page is older than the session.
        """
        secret = self.secret("form")
        fits = secret is not None and hmac.compare_digest(token.encode(), self._token(secret).encode())
        if not fits or not self._is_from_here:
            raise RefusedError(
                "this form is too old, or did not come from here",
                code="csrf",
                hint="go back, load the page again, and see that cookies are allowed",
            )

    @property
    def _is_from_here(self) -> bool:
        if site := self.request.headers.get("sec-fetch-site"):
            return site == "same-origin"
        origin = self.request.headers.get("origin")
        if origin is None:
            return True  # no browser of this decade
        hosts = {self.request.headers.get("host"), urlsplit(self.base_url).netloc}
        named = host_of_origin(origin)
        return named is not None and named in {host.lower() for host in hosts if host}

    def _token(self, secret: str) -> str:
        return hmac.new(secret.encode(), f"form {self.secret('session') or ''}".encode(), hashlib.sha256).hexdigest()

    def _cookie(self, name: CookieName, value: str, max_age: int | None) -> Cookie:
        return Cookie(
            key=self._full(name),
            value=value,
            max_age=max_age,
            path="/",
            httponly=True,
            secure=self.is_secure,
            samesite="lax" if name == "github" else "strict",
        )

    def _full(self, name: CookieName) -> str:
        return cookie_name(name, is_secure=self.is_secure)


def cookie_name(name: CookieName, *, is_secure: bool) -> str:
    """How one of our cookies is called in a browser that speaks TLS, or does not."""
    return f"{'__Host-' if is_secure else ''}dlt-runtime-{name}"
