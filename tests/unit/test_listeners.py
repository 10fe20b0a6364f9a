"""What takes a socket's place, what the headers `Host` and `Origin` name, and which listener has taken a connection."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import UnavailableError
from runtime.listeners import host_name, host_of_origin, is_at, open_private_listener, open_unix_listener

OPENERS: list[Callable[[Path], socket.socket]] = [
    lambda path: open_unix_listener(path, "no such group"),
    open_private_listener,
]


@pytest.mark.parametrize("opened", OPENERS, ids=["public", "private"])
def test_a_file_in_the_place_of_a_socket_stays(tmp_path: Path, opened: Callable[[Path], socket.socket]) -> None:
    path = tmp_path / "thesis.tex"
    path.write_text("of years")
    with pytest.raises(UnavailableError, match="is there already and is no socket"):
        opened(path)
    assert path.read_text() == "of years"


@pytest.mark.parametrize("opened", OPENERS, ids=["public", "private"])
def test_a_socket_that_nobody_answers_on_is_replaced(tmp_path: Path, opened: Callable[[Path], socket.socket]) -> None:
    path = tmp_path / "api.sock"
    opened(path).close()
    with opened(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


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


@pytest.mark.parametrize(
    ("listener", "reached", "is_its"),
    [
        ("10.0.0.6", "10.0.0.6", True),
        ("10.0.0.6", "10.0.0.5", False),
        ("0.0.0.0", "10.0.0.5", True),
        ("0.0.0.0", "fd00::5", False),
        ("::", "fd00::5", True),
        ("::", "::ffff:10.0.0.5", True),
        ("::", "10.0.0.5", False),
        ("fd00::5", "fd00:0::5", True),
        ("fd00::5", "fd00::6", False),
        ("fe80::1%eth0", "fe80::1%eth0", True),
        ("fe80::1%eth0", "fe80::1%eth1", False),
        ("::ffff:10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "no address", False),
    ],
)
def test_a_connection_is_its_listeners_that_has_the_address(listener: str, reached: str, is_its: bool) -> None:
    assert is_at((listener, 443), (reached, 443)) is is_its


def test_a_connection_to_another_port_or_without_one_is_not_a_listeners() -> None:
    assert not is_at(("0.0.0.0", 443), ("10.0.0.5", 444))
    assert not is_at(("0.0.0.0", 443), ("/run/api.sock", None))
    assert not is_at(("0.0.0.0", 443), None)
