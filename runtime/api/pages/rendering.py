"""Pages as answers: templates, and the headers that every page carries, errors included.

Templates are Jinja's, with its own escaping always on and every unknown name an error; Litestar's template plugin
would add nothing but its configuration. There is no script, picture, font or frame in any page, and the policy says
so: the one style sheet is in the page and named in the policy by its hash. Forms lead here, and to GitHub where that is
set up: browsers hold the redirect that answers a form against `form-action` too.

No `Strict-Transport-Security`: it would speak for every port of the host, not ours alone, and would take away the
way past the warning about a self-signed certificate.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import Cookie
from markupsafe import Markup

from runtime.errors import sentence

_STYLE = (resources.files("runtime.api.pages") / "templates/style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Mapping[str, str] = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it browsers send `Origin: null` along with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _ago(seconds: float) -> str:
    """A duration in words, in the one unit that says enough."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _exact(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runtime.api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup(_STYLE)  # noqa: S704 - a file of ours
    environment.filters |= {"ago": _ago, "exact": _exact, "sentence": sentence}
    return environment


_TEMPLATES = _environment()


def policy(form_origins: Sequence[str] = ()) -> str:
    """The content security policy of a page.

    Args:
        form_origins: Where else the answer to a form of this page may lead.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{_STYLE_HASH}'",
            " ".join(("form-action 'self'", *form_origins)),
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def page(
    template: str,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    cookies: Sequence[Cookie] = (),
    form_origins: Sequence[str] = (),
    **values: Any,
) -> Response[str]:
    """A page from a template."""
    return Response(
        _TEMPLATES.get_template(template).render(values),
        status_code=status_code,
        media_type="text/html",
        headers={**HEADERS, "Content-Security-Policy": policy(form_origins), **(headers or {})},
        cookies=list(cookies),
    )


def see_other(path: str, cookies: Sequence[Cookie] = ()) -> Response[str]:
    """Send the browser on, with GET.

    Args:
        path: Of this server, or GitHub's address from the settings; never what a request brought.
    """
    return Response(
        "",
        status_code=303,
        media_type="text/html",
        headers={**HEADERS, "Content-Security-Policy": policy(), "Location": path},
        cookies=list(cookies),
    )
