"""What wakes an app: a person who goes to it and a program that means it, not a tab that somebody forgot."""

from typing import Any

import pytest

from runtime.dispatch.visits import Claim
from runtime.proxy.origins import is_visit, may_use_cookies
from tests.proxied import SECRET

COOKIE, TOKEN, LINK, NOTHING = Claim(cookie="a"), Claim(token="b"), Claim(link=SECRET), Claim()
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ANYTHING = {"accept": "*/*"}
NODE = {"accept": "*/*", "sec-fetch-mode": "cors"}
POLL = {"accept": "*/*", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}
GOING = {**PAGE, "sec-fetch-mode": "navigate", "sec-fetch-site": "none"}
ELSEWHERE = {"accept": "*/*", "origin": "http://other.test"}


def scope(headers: dict[str, str], kind: str = "http") -> dict[str, Any]:
    return {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}


@pytest.mark.parametrize(
    ("claim", "headers", "kind", "is_one"),
    [
        pytest.param(COOKIE, GOING, "http", True, id="a person, on a secure origin"),
        pytest.param(COOKIE, POLL, "http", False, id="an open page, on a secure origin"),
        pytest.param(COOKIE, PAGE, "http", True, id="a person, over plain HTTP"),
        pytest.param(NOTHING, PAGE, "http", True, id="a person who is not known yet"),
        pytest.param(COOKIE, ANYTHING, "http", False, id="an open page, over plain HTTP"),
        pytest.param(COOKIE, {}, "http", False, id="an open page that accepts nothing in particular"),
        pytest.param(COOKIE, {}, "websocket", False, id="an open page's WebSocket"),
        pytest.param(TOKEN, ANYTHING, "http", True, id="curl with a token"),
        pytest.param(TOKEN, NODE, "http", True, id="an MCP client on Node"),
        pytest.param(TOKEN, {}, "websocket", True, id="a program's WebSocket with a token"),
        pytest.param(LINK, ANYTHING, "http", True, id="curl with a link"),
        pytest.param(LINK, NODE, "http", True, id="Node with a link"),
        pytest.param(LINK, {}, "websocket", True, id="a program's WebSocket with a link"),
        pytest.param(LINK, POLL, "http", False, id="a page that asks a link, on a secure origin"),
        pytest.param(LINK, ELSEWHERE, "http", False, id="another site's page that asks a link"),
        pytest.param(LINK, ELSEWHERE, "websocket", False, id="another site's WebSocket to a link"),
    ],
)
def test_a_visit_is_what_somebody_means(claim: Claim, headers: dict[str, str], kind: str, is_one: bool) -> None:
    assert is_visit(scope(headers, kind), claim) is is_one


@pytest.mark.parametrize(
    ("origin", "scheme", "is_own"),
    [
        ("https://apps.test", "https", True),
        ("HTTPS://apps.test", "https", True),
        ("http://apps.test", "https", False),
        ("http://apps.test", "http", True),
        pytest.param("https://apps.test", "http", True, id="a proxy takes TLS off, and does not say so"),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_page_of_the_same_host_that_came_over_plain_http_is_no_page_of_an_app_under_tls(
    origin: str, scheme: str, is_own: bool, kind: str
) -> None:
    headers = [(b"origin", origin.encode()), (b"host", b"apps.test")]
    reached = scheme if kind == "http" else {"https": "wss", "http": "ws"}[scheme]
    assert may_use_cookies({"type": kind, "method": "POST", "scheme": reached, "headers": headers}) is is_own


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://[", "apps.test"),
        ("http://[::1", "apps.test"),
        ("http://a]b", "apps.test"),
        ("http://[v1.x]", "apps.test"),
        ("http://\u2100.test".encode().decode("latin-1"), "apps.test"),
        ("http://[", "["),
        ("null", "apps.test"),
        ("", ""),
        ("http://", ""),
    ],
)
def test_what_is_no_origin_is_not_the_apps_own(origin: str, host: str, kind: str) -> None:
    headers = [(b"origin", origin.encode("latin-1")), (b"host", host.encode("latin-1"))]
    assert not may_use_cookies({"type": kind, "method": "POST", "headers": headers})
