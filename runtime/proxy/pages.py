"""What we answer ourselves at an app's address: pages for people, JSON for programs.

The pages are shown where apps live, so they hold nothing that an app's script might want and do nothing but look. The
one script waits for the app; it and the style are in the page and named in its policy by their hashes.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runtime.proxy.asgi import Scope, Send
from runtime.proxy.headers import first

Headers = Sequence[tuple[bytes, bytes]]


def _file(name: str) -> str:
    return (resources.files("runtime.proxy") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE, _SCRIPT = _file("style.css"), _file("waiting.js")
_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash(_STYLE)}",
        f"script-src {_hash(_SCRIPT)}",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_COMMON: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)
_TEMPLATES = Environment(
    loader=PackageLoader("runtime.proxy"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_TEMPLATES.globals |= {"style": Markup(_STYLE), "script": Markup(_SCRIPT)}  # noqa: S704 - files of ours
_NOTHING: dict[str, Any] = {"version": None, "lines": (), "start_path": None, "sign_in_url": None}


def wants_page(scope: Scope) -> bool:
    """Whether a person looks at the answer: a page was asked for, not a picture in it and not by a program."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    return b"text/html" in (first(scope["headers"], b"accept") or b"")


async def page(scope: Scope, send: Send, template: str, status: int, headers: Headers = (), **values: Any) -> None:
    """Answer with a page."""
    body = _TEMPLATES.get_template(template).render(_NOTHING | values).encode()
    own = ((b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", _POLICY.encode()))
    await respond(scope, send, status, (*own, *headers), body)


async def notice(
    scope: Scope, send: Send, status: int, code: str, title: str, message: str, headers: Headers = (), **values: Any
) -> None:
    """Say why there is no app to be seen, in the form that fits who asks."""
    if wants_page(scope):
        await page(scope, send, "notice.html", status, headers, title=title, message=message, **values)
    else:
        problem = {"status_code": status, "detail": message, "extra": {"code": code}}
        own = ((b"content-type", b"application/json"),)
        await respond(scope, send, status, (*own, *headers), json.dumps(problem).encode())


async def redirect(scope: Scope, send: Send, status: int, address: str, headers: Headers = ()) -> None:
    """Send whoever asks elsewhere."""
    await respond(scope, send, status, ((b"location", address.encode("latin-1", "replace")), *headers), b"")


async def respond(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """A whole answer; to who asked for a WebSocket, the refusal of it."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    head = [*headers, *_COMMON, (b"content-length", b"%d" % len(body))]
    await send({"type": f"{kind}.start", "status": status, "headers": head})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})
