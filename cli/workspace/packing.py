"""Packing selected files: first their digests, which say whether anything changed, then, if so, the archive."""

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runtime.errors import InvalidError
from runtime.wire.package_format import (
    FILES_PREFIX,
    MANIFEST_NAME,
    PackedFile,
    encode_digest,
    link_digest,
    manifest_yaml,
    package_hash,
)

_CHUNK = 1024 * 1024
_COMPRESSION = 6  # the tar module's 9 takes three times as long for two per cent


@dataclass(frozen=True)
class Package:
    """The files of a package and its content hash.

    `left_out` names links whose target does not exist or lies outside the workspace: they are not packed.
    """

    base: Path
    files: tuple[PackedFile, ...]
    content_hash: str
    left_out: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The content, uncompressed."""
        return sum(file.size_in_bytes for file in self.files)


def read_package(base: Path, paths: Iterable[str], workspace_root: Path) -> Package:
    """Take the digests of files.

    Args:
        base: What the paths are relative to.
        workspace_root: Links may point anywhere in it and nowhere else.

    Raises:
        InvalidError: a file cannot be read, or its name is not text.
    """
    files: list[PackedFile] = []
    left_out: list[str] = []
    root = workspace_root.resolve()
    for path in paths:
        _check_name(path)
        absolute = base / path
        if not absolute.is_symlink():
            files.append(_regular(absolute, path))
        elif _stays_inside(absolute, root):
            target = os.readlink(absolute)  # noqa: PTH115 - as written, where Path would tidy it
            _check_name(target)
            files.append(PackedFile(path, 0, link_digest(target), target))
        else:
            left_out.append(path)
    return Package(base, tuple(sorted(files)), package_hash(files), tuple(left_out))


def write_archive(package: Package, into: BinaryIO) -> None:
    """Write the archive of a package; the same files make the same bytes.

    Raises:
        InvalidError: a file changed since its digest was taken.
    """
    with (
        gzip.GzipFile(filename="", fileobj=into, mode="wb", compresslevel=_COMPRESSION, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w|") as tar,
    ):
        for file in package.files:
            if file.linkname is not None:
                tar.addfile(_link_entry(file))
            else:
                _add_regular(tar, package.base / file.relative_path, file)
        manifest = manifest_yaml(package.files)
        entry = tarfile.TarInfo(MANIFEST_NAME)
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))


def _add_regular(tar: tarfile.TarFile, absolute: Path, file: PackedFile) -> None:
    with _opened(absolute, file.relative_path) as content:
        status = os.fstat(content.fileno())
        entry = tarfile.TarInfo(FILES_PREFIX + file.relative_path)
        entry.size = file.size_in_bytes
        entry.mtime = int(status.st_mtime)
        entry.mode = status.st_mode & 0o7777
        hashing = _HashingReader(content)
        try:
            tar.addfile(entry, hashing)
        except OSError as error:  # the file has become shorter
            raise _changed(file.relative_path) from error
    if hashing.digest() != file.sha3_256 or status.st_size != file.size_in_bytes:
        raise _changed(file.relative_path)


def _link_entry(file: PackedFile) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(FILES_PREFIX + file.relative_path)
    entry.type = tarfile.SYMTYPE
    entry.linkname = file.linkname or ""
    entry.mode = 0o777
    return entry


class _HashingReader:
    """Hashes what tarfile reads through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha3_256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._hash.update(chunk)
        return chunk

    def digest(self) -> str:
        return encode_digest(self._hash.digest())


def _regular(absolute: Path, path: str) -> PackedFile:
    size = 0
    digest = hashlib.sha3_256()
    with _opened(absolute, path) as content:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return PackedFile(path, size, encode_digest(digest.digest()))


@contextmanager
def _opened(absolute: Path, path: str) -> Iterator[BinaryIO]:
    try:
        # Not blocking: what was a file a moment ago may be a pipe by now.
        descriptor = os.open(absolute, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidError(f"`{path}` cannot be read: {error.strerror}", code="unreadable") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _changed(path)
        yield file


def _stays_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # no target, or links in a circle
        return False


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidError(
            f"the file name {path!r} is not UTF-8", code="file_name", hint="rename it or list it in `.gitignore`"
        ) from None


def _changed(path: str) -> InvalidError:
    return InvalidError(f"`{path}` changed while it was being packed", code="file_changed", hint="try again")
