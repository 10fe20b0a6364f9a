"""The signing key's file."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runtime.auth.keys import load_or_create_signing_key
from runtime.errors import InvalidError
from tests.processes import run_until_killed


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.key"
    made = load_or_create_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_signing_key(path).private_bytes_raw() == made.private_bytes_raw()
    assert [entry.name for entry in path.parent.iterdir()] == ["signing.key"]


def test_a_daemon_killed_while_it_made_the_key_is_in_nobodys_way(tmp_path: Path) -> None:
    """In a container the next one has the same pid."""
    path = tmp_path / "keys" / "signing.key"
    dies = (
        "import os, pathlib, signal, sys; from runtime.auth.keys import load_or_create_signing_key; "
        f"os.getpid = lambda: {os.getpid()}; os.fsync = lambda _: signal.raise_signal(signal.SIGKILL); "
        "load_or_create_signing_key(pathlib.Path(sys.argv[1]))"
    )
    run_until_killed(dies, path)
    load_or_create_signing_key(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["signing.key"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    load_or_create_signing_key(path)
    path.chmod(0o640)
    with pytest.raises(InvalidError, match="readable by others") as refused:
        load_or_create_signing_key(path)
    assert refused.value.hint == f"chmod 600 {path}"


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    other = generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(InvalidError, match="not an Ed25519 key"):
        load_or_create_signing_key(path)


def test_a_file_that_holds_no_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.write_text("half a secret")
    path.chmod(0o600)
    with pytest.raises(InvalidError) as refused:
        load_or_create_signing_key(path)
    assert "half" not in refused.value.message


def test_systemds_credential_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = load_or_create_signing_key(tmp_path / "credentials" / "signing.key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    loaded = load_or_create_signing_key(tmp_path / "keys" / "signing.key")
    assert loaded.private_bytes_raw() == credential.private_bytes_raw()
    assert not (tmp_path / "keys").exists()
