"""What the headers `Host` and `Origin` name."""

import pytest

from runtime.listeners import host_name, host_of_origin


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("dlt.example", "dlt.example"),
        ("dlt.example:8470", "dlt.example"),
        ("[fd00::7]:8470", "fd00::7"),
        ("10.0.0.5:8470", "10.0.0.5"),
    ],
)
def test_a_host_header_names_a_host(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize("header", ["", "[", "[fd00::7", "a b", "x'y", ":8470"])
def test_a_host_header_that_makes_no_sense_names_none(header: str) -> None:
    assert host_name(header) is None


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("http://Runtime.example:8470", "runtime.example:8470"),
        ("https://[::1]:8470", "[::1]:8470"),
        ("null", None),
        ("", None),
        ("http://", None),
        ("http://[", None),
        ("http://[::1", None),
        ("http://a]b", None),
    ],
)
def test_an_origin_names_a_host_or_makes_no_sense(header: str, host: str | None) -> None:
    assert host_of_origin(header) == host
