"""The Ed25519 key that signs access tokens, kept in a file of its own outside the database."""

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from runtime.errors import InvalidError
from runtime.private_files import replace_whole

CREDENTIAL_NAME = "signing.key"


def load_or_create_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read the signing key, or make it at the first start.

    systemd's `$CREDENTIALS_DIRECTORY/signing.key` is taken before `path`. The file is PEM (PKCS 8), mode 0600.

    Raises:
        InvalidError: the file is no Ed25519 key, cannot be read, or may be read by others.
    """
    if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory) / CREDENTIAL_NAME
        if credential.is_file():
            return _read(credential)  # systemd guards its own directory
    if not path.exists():
        _create(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InvalidError(
            f"the signing key `{path}` is readable by others", code="signing_key", hint=f"chmod 600 {path}"
        )
    return _read(path)


def _create(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_whole(path, pem)  # half a key would lock everybody out


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidError(
            f"the signing key `{path}` cannot be read: {type(error).__name__}", code="signing_key"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidError(f"the signing key `{path}` is not an Ed25519 key", code="signing_key")
    return key
