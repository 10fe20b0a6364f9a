"""Sealed contents open with the right key in the right place only; keys are kept from others."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidError, StoreError, UnavailableError
from runtime.packages.sealing import Sealer, load_or_create_key
from tests.package_factory import names_in

KEY = bytes(range(32))


@given(st.binary(max_size=500), st.binary(max_size=50))
def test_a_sealed_content_opens_in_its_context(content: bytes, context: bytes) -> None:
    sealed = Sealer(KEY).seal(content, context)
    assert Sealer(KEY).unseal(sealed, context) == content


def test_sealing_twice_gives_different_bytes_that_do_not_show_the_content() -> None:
    first, second = (Sealer(KEY).seal(b"password = 'hunter2'", b"") for _ in range(2))
    assert first != second
    assert b"hunter2" not in first
    assert KEY not in first


@given(st.data())
def test_a_changed_or_cut_content_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(Sealer(KEY).seal(b"password", b"place"))
    where = data.draw(st.integers(0, len(sealed) - 1))
    with pytest.raises(StoreError):
        Sealer(KEY).unseal(bytes(sealed[:where]), b"place")
    sealed[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreError):
        Sealer(KEY).unseal(bytes(sealed), b"place")


def test_a_content_moved_to_another_place_does_not_open() -> None:
    with pytest.raises(StoreError) as caught:
        Sealer(KEY).unseal(Sealer(KEY).seal(b"password", b"here"), b"there")
    assert caught.value.code == "sealed_content"


def test_another_key_is_told_apart_from_damage() -> None:
    with pytest.raises(StoreError) as caught:
        Sealer(bytes(32)).unseal(Sealer(KEY).seal(b"password", b""), b"")
    assert caught.value.code == "sealing_key"
    assert caught.value.hint


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path / "keys" / "sealing.key"


def test_a_missing_key_is_made_once_and_kept_private(key_file: Path) -> None:
    key = load_or_create_key(key_file, "sealing.key")
    assert len(key) == 32
    assert load_or_create_key(key_file, "sealing.key") == key
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    assert names_in(key_file.parent) == ["sealing.key"]


def test_daemons_that_start_at_once_agree_on_one_key(key_file: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_or_create_key(key_file, "sealing.key"), range(32)))
    assert len(keys) == 1
    assert names_in(key_file.parent) == ["sealing.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_key_open_to_others_is_refused(key_file: Path, mode: int) -> None:
    load_or_create_key(key_file, "sealing.key")
    key_file.chmod(mode)
    with pytest.raises(InvalidError, match="open to other users") as caught:
        load_or_create_key(key_file, "sealing.key")
    assert "chmod 600" in (caught.value.hint or "")


def test_a_link_in_place_of_the_key_is_refused(key_file: Path, tmp_path: Path) -> None:
    key_file.parent.mkdir()
    key_file.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidError, match="symbolic link"):
        load_or_create_key(key_file, "sealing.key")


@pytest.mark.parametrize("content", [b"", b"k" * 31, b"k" * 33])
def test_a_key_of_the_wrong_length_is_refused_without_being_shown(key_file: Path, content: bytes) -> None:
    key_file.parent.mkdir()
    key_file.write_bytes(content)
    key_file.chmod(0o600)
    with pytest.raises(InvalidError, match="32 bytes") as caught:
        load_or_create_key(key_file, "sealing.key")
    assert "kkk" not in caught.value.message


def test_a_place_where_no_key_can_be_made_is_named(key_file: Path) -> None:
    key_file.parent.write_text("a file")
    with pytest.raises(UnavailableError) as caught:
        load_or_create_key(key_file, "sealing.key")
    assert str(key_file) in caught.value.message


def test_the_services_credential_comes_before_the_file(
    key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    own = load_or_create_key(key_file, "sealing.key")
    (credentials / "sealing.key").write_bytes(KEY)
    (credentials / "sealing.key").chmod(0o440)  # what an access list looks like in a mode: systemd grants by one
    assert load_or_create_key(key_file, "sealing.key") == KEY != own
