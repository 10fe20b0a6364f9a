"""Keys are kept from others, and none is lost that something is sealed with."""

import contextlib
import errno
import itertools
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConflictError, InvalidError, UnavailableError
from runtime.packages.key_files import SealingKeyFiles, SealingKeys, load_or_create_key
from tests.package_factory import names_in
from tests.processes import run_until_killed

KEY = bytes(range(32))


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


@pytest.fixture
def keys(key_file: Path) -> SealingKeyFiles:
    return SealingKeyFiles(key_file, "sealing.key")


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which systemd puts what it gives the service."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    return directory


@pytest.mark.parametrize("dies_in", ["_sync_directory", "write_new"])
def test_what_a_daemon_killed_while_it_made_a_key_has_left_does_not_outlast_the_next_start(
    keys: SealingKeyFiles, key_file: Path, dies_in: str
) -> None:
    """Else the old key would still be there after its rotation, under another name."""
    dies = (
        "import pathlib, signal, sys; from runtime.packages import key_files; write = key_files.write_new; "
        f"key_files.{dies_in} = lambda *given: (given[1:] and write(*given), signal.raise_signal(signal.SIGKILL)); "
        "key_files.load_or_create_key(pathlib.Path(sys.argv[1]), 'sealing.key')"
    )
    run_until_killed(dies, key_file)
    assert [name for name in names_in(key_file.parent) if name.startswith(".")]
    keys.load()
    assert names_in(key_file.parent) == ["sealing.key"]


def test_a_rotation_keeps_the_old_key_until_it_ends(keys: SealingKeyFiles, key_file: Path) -> None:
    before = keys.load()
    assert before.older == ()
    assert repr(before) == "SealingKeys()"
    new = keys.begin_rotation()
    during = keys.load()
    assert (during.current, during.older) == (new, (before.current,))
    assert {stat.S_IMODE(path.stat().st_mode) for path in key_file.parent.iterdir()} == {0o600}
    keys.end_rotation()
    assert (keys.load().current, keys.load().older) == (new, ())
    assert names_in(key_file.parent) == ["sealing.key"]
    keys.end_rotation()


def test_a_second_rotation_waits_for_the_end_of_the_first(keys: SealingKeyFiles) -> None:
    keys.load()
    keys.begin_rotation()
    present = keys.load()
    with pytest.raises(ConflictError):
        keys.begin_rotation()
    assert keys.load() == present


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["open", "fsync", "link", "replace"])
@pytest.mark.parametrize("time", [1, 2, 3])
def test_no_key_is_lost_wherever_a_rotation_breaks_off(
    keys: SealingKeyFiles, monkeypatch: pytest.MonkeyPatch, time: int, step: str, is_done: bool
) -> None:
    """The next daemon finds the key of before, and can begin again once it has sealed everything anew."""
    before = keys.load().current
    real, calls = getattr(os, step), itertools.count(1)

    def breaks_off(*arguments: Any, **named: Any) -> Any:
        ends = next(calls) == time
        done = real(*arguments, **named) if is_done or not ends else None
        if ends:
            raise OSError(errno.ENOSPC, "No space left on device")
        return done

    with monkeypatch.context() as patch, contextlib.suppress(UnavailableError):
        patch.setattr(os, step, breaks_off)
        keys.begin_rotation()
    found = keys.load()
    assert before in (found.current, *found.older)
    keys.end_rotation()
    assert keys.load() == SealingKeys(found.current, ())
    assert keys.begin_rotation() == keys.load().current


def test_a_key_of_systemd_is_not_rotated_and_the_way_out_is_said(keys: SealingKeyFiles, credentials: Path) -> None:
    (credentials / "sealing.key").write_bytes(KEY)
    with pytest.raises(ConflictError, match="systemd credential") as caught:
        keys.begin_rotation()
    assert "sealing.key.old" in (caught.value.hint or "")
    assert keys.load().current == KEY


def test_systemd_may_give_the_key_before_beside_the_new_one(keys: SealingKeyFiles, credentials: Path) -> None:
    (credentials / "sealing.key").write_bytes(KEY)
    (credentials / "sealing.key.old").write_bytes(KEY[::-1])
    assert (keys.load().current, keys.load().older) == (KEY, (KEY[::-1],))


def test_an_old_key_open_to_others_is_refused(keys: SealingKeyFiles, key_file: Path) -> None:
    keys.load()
    keys.begin_rotation()
    key_file.with_name("sealing.key.old").chmod(0o644)
    with pytest.raises(InvalidError, match="open to other users"):
        keys.load()
