"""What either side is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.proxy.headers import (
    Visit,
    cookie_values,
    is_own_cookie,
    moved,
    moved_cookie,
    towards_app,
    towards_browser,
    without_own_cookies,
)
from runtime.proxy.places import Place

HERE = Place("/apps/a")
KEEPS = Place("/apps/a", "/apps/a")
OWN_HOST = Place("")
OWN = frozenset(("here:8471", "localhost:8080"))
VISIT = Visit("192.0.2.7", "https", "here:8471")


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("/x?a=/b#c", "/apps/a/x?a=/b#c"),
        ("/", "/apps/a/"),
        ("/apps/a/x", "/apps/a/x"),
        ("x/y", "x/y"),
        ("?a=b", "?a=b"),
        ("", ""),
        ("http://here:8471", "/apps/a/"),
        ("HTTP://Here:8471/x", "/apps/a/x"),
        ("https://here:8471/x?y", "/apps/a/x?y"),
        ("http://localhost:8080/x", "/apps/a/x"),
        ("//here:8471/x", "/apps/a/x"),
        ("//elsewhere/x", "//elsewhere/x"),
        ("https://elsewhere/x", "https://elsewhere/x"),
        ("mailto:a@b", "mailto:a@b"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_where_an_answer_leads(address: str, found: str) -> None:
    assert moved(address, HERE, OWN) == found


@pytest.mark.parametrize(
    ("cookie", "place", "found"),
    [
        ("a=1", HERE, "a=1"),
        ("a=1; Path=/; HttpOnly", HERE, "a=1; Path=/apps/a/; HttpOnly"),
        ("a=1; path=/x; DOMAIN=here; SameSite=None; Secure", HERE, "a=1; Path=/apps/a/x; SameSite=None; Secure"),
        ("a=1; Path=/apps/a/", KEEPS, "a=1; Path=/apps/a/"),
        ("a=1; Path=/", KEEPS, "a=1; Path=/apps/a/"),
        ("a=1; Path=/; Domain=.localhost", OWN_HOST, "a=1; Path=/"),
        ("a=1; Path=x", HERE, "a=1"),
        ("a=b=c; Path=", HERE, "a=b=c"),
        ("dlt-runtime-app=1", HERE, None),
        ("__Host-dlt-runtime-session=1; Path=/", OWN_HOST, None),
        ("__SECURE-DLT-Runtime-App=1", HERE, None),
        ("nameless", HERE, None),
        ("=dlt-runtime-session=1", HERE, None),
        ("", HERE, None),
    ],
)
def test_a_cookie_is_held_to_the_apps_paths(cookie: str, place: Place, found: str | None) -> None:
    assert moved_cookie(cookie, place) == found


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_no_cookie_reaches_beyond_the_prefix(attributes: str) -> None:
    cookie = moved_cookie("a=1; " + attributes, HERE)
    assert cookie is not None
    for attribute in cookie.split(";")[1:]:
        name, _, value = attribute.strip().partition("=")
        assert name.strip().lower() != "domain"
        if name.strip().lower() == "path":
            assert value == "/apps/a" or value.startswith("/apps/a/")


def test_our_cookies_stay_with_us() -> None:
    assert without_own_cookies(b"dlt-runtime-app=1; a=2; __Host-dlt-runtime-session=3; b=4") == b"a=2;  b=4".replace(
        b"  ", b" "
    )
    assert without_own_cookies(b"a=1; b=2") == b"a=1; b=2"
    assert without_own_cookies(b"dlt-runtime-form=1") == b""
    assert not is_own_cookie("my-dlt-runtime-app")


def test_all_values_of_a_cookie_are_looked_at() -> None:
    headers = [(b"cookie", b"x=1; y=2; x=3"), (b"cookie", b"x=4=5")]
    assert cookie_values(headers, "x") == ["1", "3", "4=5"]


def test_an_app_that_is_told_its_prefix_otherwise_is_not_told_again() -> None:
    names = [name for name, _ in towards_app([(b"host", b"here")], KEEPS, VISIT, keeps_authorization=True)]
    assert names == [b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"]


def test_a_client_cannot_take_the_host_away() -> None:
    headers = [(b"host", b"here"), (b"connection", b"close, Host, x-a"), (b"x-a", b"1")]
    passed = dict(towards_app(headers, HERE, VISIT, keeps_authorization=True))
    assert passed[b"host"] == b"here"
    assert b"x-a" not in passed


def test_refreshes_are_moved() -> None:
    headers = [(b"Refresh", b"5; URL='/x'"), (b"Content-Location", b"/y")]
    passed = dict(towards_browser(headers, HERE, OWN))
    assert passed[b"refresh"] == b"5; URL='/apps/a/x'"
    assert passed[b"content-location"] == b"/apps/a/y"


def test_a_worker_may_serve_a_whole_host_that_is_the_apps_own() -> None:
    headers = [(b"service-worker-allowed", b"/")]
    assert (b"service-worker-allowed", b"/") in towards_browser(headers, OWN_HOST, OWN)
    assert (b"service-worker-allowed", b"/") not in towards_browser(headers, HERE, OWN)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.binary(max_size=20))))
def test_no_header_makes_it_fail(headers: list[tuple[bytes, bytes]]) -> None:
    towards_browser(headers, HERE, OWN)
    towards_app([(name.lower(), value) for name, value in headers], HERE, VISIT, keeps_authorization=False)
