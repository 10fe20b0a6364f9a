"""The sealing keys outside of the database: from systemd, or in files that are the daemon's alone.

`sealing.key` seals. While contents are being sealed anew, `sealing.key.old` is the key before it, and goes when nothing
is left that needs it. At every moment in between, a daemon that starts finds every key that some content was sealed
with: the old key has its second name before the new one takes its place, and all of it is on the disk before anything
is sealed with it.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runtime.errors import ConflictError, InvalidError, UnavailableError
from runtime.private_files import write_new

KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class SealingKeys:
    """The key that seals, and those that contents may still be sealed with; printed, it shows none."""

    current: bytes = field(repr=False)
    older: tuple[bytes, ...] = field(repr=False)


class SealingKeyFiles:
    """Where the sealing keys are; one daemon at a time uses them."""

    def __init__(self, path: Path, credential_name: str) -> None:
        self._path = path
        self._old = path.with_name(f"{path.name}.old")
        self._draft = path.with_name(f"{path.name}.new")
        self._credential_name = credential_name

    def load(self) -> SealingKeys:
        """The keys there are; the first one is made at the first start. Raises as `load_or_create_key`.

        Drafts of a daemon that was killed go: one may be a second name of the key, which would outlast its rotation.
        """
        older = [_load_credential(f"{self._credential_name}.old")]
        with _key_errors(self._path):
            for draft in (*self._path.parent.glob(self._draft.name), *self._path.parent.glob(f".{self._path.name}.*")):
                draft.unlink()
        with _key_errors(self._old):
            if os.path.lexists(self._old):
                older.append(_read_key(self._old))
        current = load_or_create_key(self._path, self._credential_name)
        return SealingKeys(current, tuple(key for key in older if key not in (None, current)))

    def begin_rotation(self) -> bytes:
        """Put a new key in place of the present one, which stays as the old one until `end_rotation`; returns it.

        Raises:
            ConflictError: the key comes from systemd, or an earlier rotation has not ended.
            UnavailableError: the disk did not take it; the present key is in place then, or both are.
        """
        if _load_credential(self._credential_name) is not None:
            raise ConflictError(
                "the sealing key is a systemd credential, which the daemon can read but not replace",
                code="key_is_credential",
                hint=f"give the unit a new `{self._credential_name}` and, for one start, the present one as "
                f"`{self._credential_name}.old`: everything is sealed anew then (docs/security.md)",
            )
        with _key_errors(self._path):
            if os.path.lexists(self._old):
                raise ConflictError("an earlier rotation of the sealing key has not ended", code="key_rotation")
            self._draft.unlink(missing_ok=True)  # of a daemon that ended before it was anybody's key
            key = secrets.token_bytes(KEY_BYTES)
            write_new(self._draft, key)
            self._old.hardlink_to(self._path)
            _sync_directory(self._path.parent)
            self._draft.replace(self._path)
            _sync_directory(self._path.parent)
        return key

    def end_rotation(self) -> None:
        """Forget the old key, once nothing is sealed with it any more."""
        with _key_errors(self._old):
            if os.path.lexists(self._old):
                self._old.unlink()
                _sync_directory(self._path.parent)


def load_or_create_key(path: Path, credential_name: str) -> bytes:
    """The 32-byte key: systemd's credential of that name if the service has one, else the file, made when missing.

    The file is made atomically with mode 0600 in a directory of mode 0700, so that two starting at once agree on
    one key and none is ever readable by others, or half written.

    Raises:
        InvalidError: the key is not 32 bytes, or its file is a link, another user's, or open to group or world.
        UnavailableError: the file can be neither read nor made.
    """
    if (key := _load_credential(credential_name)) is not None:
        return key
    with _key_errors(path):
        if not os.path.lexists(path):
            _create_key(path)
        return _read_key(path)


def _load_credential(name: str) -> bytes | None:
    """The 32-byte key that systemd gives the service under a name; None if it gives none. Raises as above."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory or not (credential := Path(directory, name)).is_file():
        return None
    with _key_errors(credential):
        return _checked_length(credential.read_bytes(), credential)


@contextmanager
def _key_errors(path: Path) -> Iterator[None]:
    """Translate what the system says of a key's file."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"the key `{path}` cannot be used: {error.strerror}", code="key") from error


def _create_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new(draft, secrets.token_bytes(KEY_BYTES))
        try:
            path.hardlink_to(draft)  # unlike a rename, this fails where another process was first: its key counts
        except FileExistsError:
            return
        _sync_directory(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _read_key(path: Path) -> bytes:
    """The key in a file that is the daemon's alone.

    Raises:
        InvalidError: it is not 32 bytes, or its file is a link, another user's, or open to group or world.
    """
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
        return _checked_length(file.read(KEY_BYTES + 1), path)


def _checked_length(key: bytes, path: Path) -> bytes:
    if len(key) != KEY_BYTES:
        raise InvalidError(f"the key `{path}` is not {KEY_BYTES} bytes long", code="key")
    return key


def _sync_directory(directory: Path) -> None:
    """Make what has been renamed, linked and removed in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
