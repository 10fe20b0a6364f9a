"""A copy of a directory that others go on writing to, in which nothing is half written.

Nobody is asked to wait: the copy is repeated until nothing has changed since it was made, so that it shows one moment.
Where that moment does not come, because something is written all the time, each file is still from one moment by
itself, a database together with its write-ahead log; what was never still long enough is left out, and whoever asked
is told that the files are not of one moment.

The directory belongs to jobs, which may put links in the way of whoever copies it, or swap a directory for one while
it is read. So it is walked by descriptors, and nothing is followed.
"""

import errno
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from runtime.errors import disk_error
from runtime.packages.copying import FileCopier

_COMPANIONS = (".wal", "-wal", "-shm", "-journal")
"""What DuckDB and SQLite put behind a database's name for the files that belong to it."""

_RACY_SECONDS = 0.05
"""A file changed more recently than this may change again within the same tick of the file system's clock."""

_PAUSE_SECONDS = 0.1
_MOST_DEPTH = 64
_MOST_PATH_BYTES = 2048
_GONE = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}


class _Signature(NamedTuple):
    inode: int
    size: int
    modified: int
    changed: int


class LeftOut(NamedTuple):
    """What a copy lacks: paths, sorted; a directory's ends with a slash.

    Attributes:
        busy: They were being written all the time, so a later copy may have them.
        unreadable: Their owner took away the permission to read them, so no later one will before he gives it back.
        is_of_one_moment: Whether all that is there was there at one moment. Where files come, go or change all the
            time, those that are copied first do not know of those that are copied last.
    """

    busy: list[str]
    unreadable: list[str]
    is_of_one_moment: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether a later copy could not show more of this moment."""
        return not self.busy and self.is_of_one_moment


@dataclass
class _Seen:
    """What a directory holds at a glance: files by path, links with their targets, directories, locked ones."""

    files: dict[str, _Signature] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    locked: set[str] = field(default_factory=set)


class Signatures(dict[str, _Signature]):
    """How the files of a copy were when they were copied, by path."""

    @classmethod
    def load(cls, path: Path) -> "Signatures":
        """What was saved; none if nothing was."""
        try:
            return cls((name, _Signature(*numbers)) for name, numbers in json.loads(path.read_bytes()).items())
        except FileNotFoundError:
            return cls()

    def save(self, path: Path) -> None:
        """Save them."""
        path.write_text(json.dumps(self), encoding="utf-8")


class Earlier(NamedTuple):
    """A copy of the same directory that nobody writes to, so that a later one may have files in common with it."""

    copy: Path
    signatures: Signatures


def take_snapshot(source: Path, into: Path, *, patience_seconds: float) -> LeftOut:
    """Copy `source` to `into`, an empty directory that nobody else can see.

    Args:
        patience_seconds: How long to repeat the copy until nothing moves.

    Returns:
        What had to be left out; nothing for a whole copy.

    Raises:
        UnavailableError: the disk did not take it.
    """
    with _disk_errors():
        return _Snapshot(source, into).take(time.monotonic() + patience_seconds)


def follow_snapshot(
    source: Path, into: Path, earlier: Earlier, *, patience_seconds: float
) -> tuple[LeftOut, Signatures]:
    """As `take_snapshot`, where nobody will write to the copy: what has not changed is a name of the earlier's file.

    Raises:
        UnavailableError: the disk did not take it.
    """
    with _disk_errors():
        snapshot = _Snapshot(source, into, earlier)
        left_out = snapshot.take(time.monotonic() + patience_seconds)
        return left_out, snapshot.copied


class _Snapshot:
    def __init__(self, source: Path, into: Path, earlier: Earlier | None = None) -> None:
        self._source = source
        self._into = into
        self._earlier = earlier
        self._copier = FileCopier()
        self.copied = Signatures()
        self._unreadable: dict[str, _Signature] = {}
        self._links: dict[str, str] = {}
        self._directories: set[str] = set()

    def take(self, until: float) -> LeftOut:
        while True:
            with _opened(self._source) as root:
                seen = _scan(root)
                if seen.files == self.copied | self._unreadable and seen.links == self._links:
                    return LeftOut([], sorted(self._unreadable.keys() | seen.locked))
                self._remove_vanished(seen)
                for directory in sorted(seen.directories - self._directories):
                    (self._into / directory).mkdir(mode=0o700)
                self._directories = seen.directories
                for path, target in seen.links.items():
                    self._link(path, target)
                settled = self.copied | self._unreadable
                for unit in _units(seen.files):
                    if any(seen.files[path] != settled.get(path) for path in unit):
                        self._copy_unit(root, unit, seen.files)
                busy = sorted(seen.files.keys() - self.copied.keys() - self._unreadable.keys())
                if time.monotonic() >= until:
                    is_still = self._has_stood_still(_scan(root), busy)
                    return LeftOut(busy, sorted(self._unreadable.keys() | seen.locked), is_still)
            time.sleep(_PAUSE_SECONDS)

    def _has_stood_still(self, seen: _Seen, busy: list[str]) -> bool:
        """Whether everything but what is busy is as it was copied."""
        moving = {_base_of(path) for path in busy}
        rest = {path: signature for path, signature in seen.files.items() if _base_of(path) not in moving}
        return rest == self.copied | self._unreadable and seen.links == self._links

    def _remove_vanished(self, seen: _Seen) -> None:
        for path in self._unreadable.keys() - seen.files.keys():
            del self._unreadable[path]
        for path in set(self.copied) - set(seen.files):
            (self._into / path).unlink(missing_ok=True)
            del self.copied[path]
        for path in set(self._links) - set(seen.links):
            (self._into / path).unlink(missing_ok=True)
            del self._links[path]
        for path in sorted(self._directories - seen.directories, reverse=True):
            (self._into / path).rmdir()

    def _link(self, path: str, target: str) -> None:
        if self._links.get(path) != target:
            (self._into / path).unlink(missing_ok=True)
            (self._into / path).symlink_to(target)
            self._links[path] = target

    def _copy_unit(self, root: int, unit: list[str], files: dict[str, _Signature]) -> None:
        """Copy files that belong together; all of them, or none if one of them changed meanwhile or is unreadable."""
        is_readable = True
        try:
            copied = [self._copy_file(root, path, files[path]) for path in unit]
            is_still = all(copied) and all(_signature_of(root, path) == files[path] for path in unit)
        except PermissionError:
            is_readable = is_still = False
        for path in unit:
            self.copied.pop(path, None)
            self._unreadable.pop(path, None)
            if is_still:
                self.copied[path] = files[path]
                continue
            (self._into / path).unlink(missing_ok=True)
            if not is_readable:
                self._unreadable[path] = files[path]

    def _copy_file(self, root: int, path: str, expected: _Signature) -> bool:
        target = self._into / path
        target.unlink(missing_ok=True)
        if self._earlier is not None and self._earlier.signatures.get(path) == expected:
            target.hardlink_to(self._earlier.copy / path)
            return True
        try:
            reading = _open_below(root, path)
        except OSError as error:
            if error.errno in _GONE:
                return False
            raise
        try:
            if _signature(os.fstat(reading)) != expected or time.time() - expected.changed / 1e9 < _RACY_SECONDS:
                return False
            with target.open("xb", buffering=0) as writing:
                self._copier.copy(reading, writing.fileno())
        finally:
            os.close(reading)
        return True


def _units(files: dict[str, _Signature]) -> list[list[str]]:
    """Files that make sense only together: a database and its companions."""
    units: dict[str, list[str]] = {}
    for path in files:
        units.setdefault(_base_of(path), []).append(path)
    return list(units.values())


def _base_of(path: str) -> str:
    return next((path.removesuffix(end) for end in _COMPANIONS if path.endswith(end)), path)


def _scan(root: int) -> _Seen:
    """Regular files, links and directories; what else a job has made (pipes, sockets) cannot be copied."""
    seen = _Seen()
    for top, directories, names, descriptor in os.fwalk(".", dir_fd=root, follow_symlinks=False):
        place = "" if top == "." else top.removeprefix("./") + "/"
        for name in [*directories, *names]:
            if len((place + name).encode(errors="surrogateescape")) > _MOST_PATH_BYTES:
                continue
            with suppress(FileNotFoundError, PermissionError):  # gone or locked meanwhile; the next look tells which
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    seen.files[place + name] = _signature(status)
                elif stat.S_ISLNK(status.st_mode):
                    seen.links[place + name] = os.readlink(name, dir_fd=descriptor)
                elif stat.S_ISDIR(status.st_mode):
                    seen.directories.add(place + name)
                    if not os.access(name, os.R_OK | os.X_OK, dir_fd=descriptor, follow_symlinks=False):
                        seen.locked.add(f"{place}{name}/")
        if place.count("/") >= _MOST_DEPTH:
            directories.clear()
        directories[:] = [
            name for name in directories if place + name in seen.directories and f"{place}{name}/" not in seen.locked
        ]
    return seen


def _signature(status: os.stat_result) -> _Signature:
    return _Signature(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _signature_of(root: int, path: str) -> _Signature | None:
    try:
        descriptor = _open_below(root, path)
    except OSError as error:
        if error.errno in _GONE or isinstance(error, PermissionError):  # whichever it is, it is not as it was
            return None
        raise
    try:
        return _signature(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _open_below(root: int, path: str) -> int:
    """Open a file below `root` for reading; no part of the path may be a link."""
    *parents, name = path.split("/")
    directory = os.dup(root)
    try:
        for part in parents:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            os.close(directory)
            directory = below
        # Without O_NONBLOCK a pipe put in the file's place would hold us for ever.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(directory)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error("the data could not be copied for the app", error) from error
