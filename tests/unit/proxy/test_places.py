"""Which app a request's address names, and the two views of its paths."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.proxy.places import Asked, Place, asked_by_host, asked_by_path, is_slug

SECRET = UUID("6a1a4c53-6a57-4dd4-a9a5-3f4a86b1c3c1")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (b"/apps/a-1/", Asked("/apps/a-1", slug="a-1")),
        (b"/apps/a-1", Asked("/apps/a-1", slug="a-1", is_bare=True)),
        (b"/apps/a-1//x/%2e%2e", Asked("/apps/a-1", slug="a-1")),
        (f"/public/{SECRET}/x".encode(), Asked(f"/public/{SECRET}", secret=SECRET)),
        (f"/public/{SECRET}".encode(), Asked(f"/public/{SECRET}", secret=SECRET, is_bare=True)),
        (f"/public/{str(SECRET).upper()}/".encode(), None),
        (b"/public/x/", None),
        (b"/apps/", None),
        (b"/apps/A/", None),
        (b"/apps/a%2f..%2fb/", None),
        (b"/apps/../b/", None),
        (b"/Apps/a/", None),
        (b"/", None),
    ],
)
def test_what_a_path_names(path: bytes, asked: Asked | None) -> None:
    assert asked_by_path(path) == asked


@pytest.mark.parametrize(
    ("host", "slug"),
    [
        ("a-1.apps.test", "a-1"),
        ("A-1.Apps.Test:8471", "a-1"),
        ("a-1.apps.test.", "a-1"),
        ("apps.test", None),
        ("x.a-1.apps.test", None),
        ("a-1.apps.test.evil.test", None),
        ("a_1.apps.test", None),
        ("", None),
    ],
)
def test_what_a_host_names(host: str, slug: str | None) -> None:
    asked = asked_by_host(host, "apps.test")
    assert (asked.slug if asked else None) == slug


def test_without_a_domain_no_host_names_an_app() -> None:
    assert asked_by_host("a.apps.test", None) is None


@pytest.mark.parametrize(
    ("place", "path", "target"),
    [
        (Place("/apps/a"), b"/apps/a/x%2f", b"/x%2f?q"),
        (Place("/apps/a"), b"/apps/a", b"/?q"),
        (Place("/apps/a", "/apps/a"), b"/apps/a/x", b"/apps/a/x?q"),
        (Place("/public/s", "/apps/a"), b"/public/s//x", b"/apps/a//x?q"),
        (Place(""), b"/x", b"/x?q"),
    ],
)
def test_what_the_app_is_asked(place: Place, path: bytes, target: bytes) -> None:
    assert place.target(path, b"q") == target


@pytest.mark.parametrize(
    ("place", "named", "outside"),
    [
        (Place("/apps/a"), "/x", "/apps/a/x"),
        (Place("/apps/a"), "/", "/apps/a/"),
        (Place("/apps/a"), "/apps/a/x", "/apps/a/x"),
        (Place("/apps/a"), "/apps/ab", "/apps/a/apps/ab"),
        (Place("/public/s", "/apps/a"), "/apps/a/x", "/public/s/x"),
        (Place("/public/s", "/apps/a"), "/apps/a", "/public/s"),
        (Place("/public/s", "", "/apps/a"), "/apps/a/x", "/public/s/x"),
        (Place("/public/s", "", ""), "/x", "/public/s/x"),
        (Place(""), "/x", "/x"),
    ],
)
def test_what_an_app_names_is_found_outside(place: Place, named: str, outside: str) -> None:
    assert place.outside(named) == outside


@given(st.binary(max_size=40))
def test_whatever_follows_the_prefix_stays_behind_the_base_path(rest: bytes) -> None:
    target = Place("/apps/a", "/base").target(b"/apps/a/" + rest, b"")
    assert target == b"/base/" + rest


@given(st.text(max_size=70))
def test_a_slug_is_a_label_of_a_host(text: str) -> None:
    if is_slug(text):
        assert 0 < len(text) <= 63
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert "-" not in (text[0], text[-1])
