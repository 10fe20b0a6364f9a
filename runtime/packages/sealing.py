"""Sealing the contents of configurations: secrets lie in the database as ciphertext, the key lies outside of it.

A sealed content is `version (1 byte) | key id (8) | nonce (12) | ChaCha20-Poly1305 ciphertext and tag`. Everything
before the ciphertext is authenticated with it, and so is the caller's context: a content moved to another place
does not open. The key id says which key sealed it, so that a second key can be brought in later.
"""

import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from runtime.errors import InvalidError, StoreError, UnavailableError

KEY_BYTES = 32
_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Sealer:
    """Seals and unseals with one key; safe to use from several threads."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        key_id = hashlib.blake2b(key, digest_size=_KEY_ID_BYTES, person=b"sealing key id").digest()
        self._header = _VERSION + key_id

    def seal(self, content: bytes, context: bytes) -> bytes:
        """`content` under a fresh nonce, bound to `context`; sealing twice gives different bytes."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._header + nonce + self._cipher.encrypt(nonce, content, self._header + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """The content that `seal` was given with the same `context`.

        Raises:
            StoreError: sealed with another key, or the bytes or the context are not those of then.
        """
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if header[:1] != _VERSION or len(rest) < _NONCE_BYTES:
            raise StoreError("a sealed content is damaged", code="sealed_content")
        if header != self._header:
            raise StoreError(
                "a sealed content was sealed with another key",
                code="sealing_key",
                hint="put back the sealing key this database was used with",
            )
        try:
            return self._cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + context)
        except InvalidTag as error:
            raise StoreError("a sealed content is damaged or was moved", code="sealed_content") from error


def load_or_create_key(path: Path, credential_name: str) -> bytes:
    """The 32-byte key: systemd's credential of that name if the service has one, else the file, made when missing.

    The file is made atomically with mode 0600 in a directory of mode 0700, so that two starting at once agree on
    one key and none is ever readable by others, or half written.

    Raises:
        InvalidError: the key is not 32 bytes, or its file is a link, another user's, or open to group or world.
        UnavailableError: the file can be neither read nor made.
    """
    try:
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if credentials and (credential := Path(credentials, credential_name)).is_file():
            return _checked_length(credential.read_bytes(), credential)
        if not os.path.lexists(path):
            _create_key(path)
        return _checked_length(_read_private(path), path)
    except OSError as error:
        raise UnavailableError(f"the key `{path}` cannot be used: {error.strerror}", code="key") from error


def _create_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # unlike a rename, this fails where another process was first: its key counts
        except FileExistsError:
            return
        _sync_directory(path.parent)
    finally:
        draft.unlink()


def _read_private(path: Path) -> bytes:
    if path.is_symlink():
        raise InvalidError(f"the key `{path}` is a symbolic link", code="key")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise InvalidError(f"the key `{path}` is not a file of the daemon's user", code="key")
        if status.st_mode & _OTHERS:
            raise InvalidError(
                f"the key `{path}` is open to other users", code="key", hint=f"chmod 600 {path}, or replace it"
            )
        return file.read(KEY_BYTES + 1)


def _checked_length(key: bytes, path: Path) -> bytes:
    if len(key) != KEY_BYTES:
        raise InvalidError(f"the key `{path}` is not {KEY_BYTES} bytes long", code="key")
    return key


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
