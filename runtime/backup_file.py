"""What a backup is: a tar archive of the database, its description, and the keys where they were asked for.

A tar, since a database alone would not say of what version it is nor be checked against a digest, and since what it
holds can be taken out without us. It is not compressed: contents and logs in it are already.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.errors import InvalidError

FORMAT = 1
DATABASE = "runtime.db"
DESCRIPTION = "backup.json"
SEALING_KEY = "keys/sealing.key"
KEYS = (SEALING_KEY, "keys/signing.key")
_DESCRIPTION_BYTES = 64 * 1024
_KEY_BYTES = 64 * 1024
_AT_ONCE_BYTES = 1024 * 1024
_CUT_SHORT = "is cut short or damaged: this backup cannot be restored"


class Description(BaseModel):
    """What the archive holds; the digests are SHA-256 in hex, by name."""

    model_config = ConfigDict(frozen=True)

    format: int
    version: str
    schema_number: int
    created_at: datetime
    digests: dict[str, str]

    @property
    def has_keys(self) -> bool:
        """Whether what is sealed in it can be opened anywhere."""
        return SEALING_KEY in self.digests


def write_backup(into: IO[bytes], files: dict[str, Path], description: Description) -> None:
    """Write an archive: its description first, then the files under their names."""
    with tarfile.open(fileobj=into, mode="w|") as archive:
        content = description.model_dump_json(indent=1).encode()
        archive.addfile(_entry(DESCRIPTION, len(content), description.created_at), io.BytesIO(content))
        for name, path in files.items():
            with path.open("rb") as file:
                archive.addfile(_entry(name, path.stat().st_size, description.created_at), file)


def read_backup(file: Path, into: Path) -> Description:
    """Take an archive apart into an empty directory, nothing but what belongs into one, and check the digests.

    Raises:
        InvalidError: it is no backup, of a newer format, or not what it was when it was written.
        OSError: what it holds cannot be written into the directory.
    """
    with ExitStack() as stack:
        with _reading(file):
            archive = stack.enter_context(tarfile.open(file, mode="r:"))
            description = _describe(archive)
        for name in description.digests:
            with _reading(file, _CUT_SHORT):
                content = _content_of(archive, name)
            _copy(file, content, into / name)
    for name, digest in description.digests.items():
        if digest_of(into / name) != digest:
            raise InvalidError(f"`{name}` in `{file}` is not what was written: the file is damaged", code="backup")
    return description


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(archive: tarfile.TarFile) -> Description:
    entry = archive.next()  # the first one: what comes later may be cut off
    if entry is None or entry.name != DESCRIPTION:
        raise KeyError(DESCRIPTION)
    content = archive.extractfile(entry) if entry.isfile() and entry.size <= _DESCRIPTION_BYTES else None
    if content is None:
        raise KeyError(DESCRIPTION)
    description = Description.model_validate_json(content.read())
    if description.format > FORMAT:
        raise InvalidError(
            f"this backup was made by version {description.version}, in a format this one does not know",
            code="backup",
            hint="install that version, or a newer one",
        )
    if DATABASE not in description.digests or not set(description.digests) <= {DATABASE, *KEYS}:
        raise KeyError(DATABASE)
    return description


@contextmanager
def _reading(file: Path, wrong: str = "is no backup of this runtime") -> Iterator[None]:
    """What goes wrong meanwhile is the archive's fault; the disk that it is written to has faults of its own."""
    try:
        yield
    except (tarfile.TarError, KeyError, ValidationError, EOFError) as error:
        raise InvalidError(f"`{file}` {wrong}", code="backup") from error
    except OSError as error:
        raise InvalidError(f"`{file}` cannot be read: {error.strerror or error}", code="backup") from error


def _content_of(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    entry = archive.getmember(name)
    content = archive.extractfile(entry) if entry.isfile() else None
    if content is None or (name in KEYS and entry.size > _KEY_BYTES):
        raise KeyError(name)
    return content


def _copy(file: Path, content: IO[bytes], target: Path) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    target.touch(mode=0o600)
    with target.open("wb") as written:
        while True:
            with _reading(file, _CUT_SHORT):
                block = content.read(_AT_ONCE_BYTES)
            if not block:
                return
            written.write(block)


def _entry(name: str, size: int, at: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(at.timestamp())
    return entry
