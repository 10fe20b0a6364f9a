"""When the listener speaks TLS, and with what."""

from pathlib import Path
from typing import Any

import pytest

from runtime.errors import InvalidError
from runtime.settings import Settings, TlsSettings
from runtime.settings_reading import load_settings
from runtime.tls.choosing import choose_certificate
from runtime.wire.addresses import is_loopback

ANYWHERE = ["0.0.0.0:8470", "[::]:8470", "192.0.2.1:8470", "dlt.example:8470"]
HERE = ["127.0.0.1:8470", "127.1.2.3:8470", "[::1]:8470", "localhost:8470", "[::ffff:127.0.0.1]:8470"]


def settings(tmp_path: Path, listen: str, **tls: Any) -> Settings:
    return Settings(state_dir=tmp_path, socket=tmp_path / "s", listen=listen, tls=TlsSettings(**tls))


@pytest.mark.parametrize("listen", HERE)
def test_on_the_loopback_plain_http_is_enough(tmp_path: Path, listen: str) -> None:
    tls, own = choose_certificate(settings(tmp_path, listen))
    assert (tls.cert, own) == (None, None)


@pytest.mark.parametrize("listen", ANYWHERE)
def test_where_others_can_connect_a_certificate_is_made(tmp_path: Path, listen: str) -> None:
    tls, own = choose_certificate(settings(tmp_path, listen))
    assert own is not None
    assert (tls.cert, tls.key) == (own.cert, own.key)
    assert tls.cert
    assert tls.cert.parent == tmp_path / "tls"


@pytest.mark.parametrize("listen", ANYWHERE)
def test_where_others_can_connect_nothing_is_served_without_tls(tmp_path: Path, listen: str) -> None:
    with pytest.raises(InvalidError, match="no TLS") as refused:
        choose_certificate(settings(tmp_path, listen, self_signed="never"))
    assert refused.value.hint
    assert "insecure = true" in refused.value.hint


def test_a_listener_that_was_handed_over_counts_as_well(tmp_path: Path) -> None:
    here = settings(tmp_path, HERE[0])
    assert choose_certificate(here, [("127.0.0.1", 80)])[1] is None
    assert choose_certificate(here, [("127.0.0.1", 80), ("0.0.0.0", 443)])[1] is not None
    with pytest.raises(InvalidError, match=r"`0\.0\.0\.0:443` can be reached"):
        choose_certificate(settings(tmp_path, HERE[0], self_signed="never"), [("0.0.0.0", 443)])


def test_unless_told_so(tmp_path: Path) -> None:
    tls, own = choose_certificate(settings(tmp_path, ANYWHERE[0], insecure=True))
    assert (tls.cert, own) == (None, None)


@pytest.mark.parametrize("listen", ANYWHERE + HERE)
def test_a_certificate_that_is_given_is_the_one(tmp_path: Path, listen: str) -> None:
    tls, own = choose_certificate(settings(tmp_path, listen, cert="a.crt", key="a.key"))
    assert (str(tls.cert), str(tls.key), own) == ("a.crt", "a.key", None)


def test_one_can_be_made_for_the_loopback_too(tmp_path: Path) -> None:
    _, own = choose_certificate(settings(tmp_path, HERE[0], self_signed="always"))
    assert own is not None


@pytest.mark.parametrize(
    "tls",
    [{"cert": "a.crt"}, {"key": "a.key"}, {"insecure": True, "cert": "a", "key": "b"}, {"self_signed": "perhaps"}],
)
def test_settings_that_contradict_each_other_are_refused(tls: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match="tls"):
        load_settings(tls=tls)


@pytest.mark.parametrize("host", ["", "127.0.0.1.example", "localhost.example", "10.0.0.1", "::"])
def test_what_only_looks_like_the_loopback_is_none(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"client_id": "x"}, "belong together"),
        ({"client_id": "x", "client_secret": "y"}, "who may sign in"),
        ({"client_id": "x", "client_secret": "y", "allowed_teams": ["fruits"]}, "fruits"),
        ({"client_id": "x", "client_secret": "y", "allowed_users": ["a/../b"]}, "no name"),
        ({"url": "http://github.example"}, "https"),
    ],
)
def test_signing_in_with_github_is_set_up_whole_or_not_at_all(given: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        load_settings(auth={"github": given})


def test_the_client_secret_shows_nowhere() -> None:
    loaded = load_settings(
        auth={"github": {"client_id": "x", "client_secret": "very secret", "allowed_users": ["ada"]}}
    )
    assert "very secret" not in repr(loaded) + str(loaded.model_dump())


@pytest.mark.parametrize("proxies", [["*"], ["proxy.example"], ["10.0.0.1/8"]])
def test_proxies_are_named_by_address(proxies: list[str]) -> None:
    with pytest.raises(InvalidError, match="trusted_proxies"):
        load_settings(trusted_proxies=proxies)
