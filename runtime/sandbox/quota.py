"""How much disk a sandbox's files take, without following a link and without trusting a name twice.

What is measured is a job's own and changes under the measuring: directories are opened one below the other, never by a
path, and links are counted, not followed. A directory without permissions is the runtime's user's all the same, which
takes them for as long as it looks; one that cannot be looked into even so is said to hide something.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.domain.model import Frozen

DEEPEST = 200
"""Directories within each other; whatever lies deeper counts as hidden."""
LEAST_ENTRY_BYTES = 4096
"""An empty file is not free: a name, an inode."""

MOST_INNER = 100_000
"""Directories in one; the names of more are not held in memory."""

BLOCK_BYTES = 512
"""What `st_blocks` counts in."""
LARGE_BYTES = 1024 * 1024
"""From here on a file is remembered by itself."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
_RIGHTS = stat.S_IRUSR | stat.S_IXUSR


class DiskUse(Frozen):
    """Bytes on disk; `hides` says that there are directories nobody could look into."""

    bytes: int = 0
    hides: bool = False

    def __add__(self, other: "DiskUse") -> "DiskUse":
        return DiskUse(bytes=self.bytes + other.bytes, hides=self.hides or other.hides)


def disk_use(places: Sequence[Path]) -> DiskUse:
    """What lies below these directories; a file with several names counts once. Blocks while it looks."""
    return take_stock(places).use


class Stock(Frozen):
    """What lies in some places; the large files by themselves too, bytes by their numbers."""

    use: DiskUse = DiskUse()
    large: Mapping[int, int] = {}


def take_stock(places: Sequence[Path]) -> Stock:
    """As `disk_use`, and which large files there are."""
    walk = _Walk()
    for place in places:
        walk.into(place, None, 0)
    return Stock(use=DiskUse(bytes=walk.bytes, hides=walk.hides), large=walk.large)


def note_laid(place: Path, laid: Mapping[str, int]) -> None:
    """Note, beside a place, how many bytes the runtime has laid into it, by name; they are not what a job takes."""
    noted = place.with_name(f"{place.name}.laid.new")
    noted.write_text(json.dumps(laid), encoding="utf-8")
    noted.replace(_laid_beside(place))


def laid_bytes(place: Path) -> dict[str, int]:
    """What `note_laid` has noted of a place, by name; empty if nothing was laid there."""
    try:
        laid: dict[str, int] = json.loads(_laid_beside(place).read_bytes())
    except FileNotFoundError:
        return {}
    return laid


def _laid_beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.laid")


def free_bytes(place: Path) -> int:
    """Room left on the file system, for an ordinary user."""
    there = os.statvfs(place)
    return there.f_bavail * there.f_frsize


def taken_bytes(place: Path) -> int:
    """What the file system holds in all: no file on it is larger."""
    there = os.statvfs(place)
    return (there.f_blocks - there.f_bfree) * there.f_frsize


def device_of(places: Sequence[Path]) -> int:
    """The number of the file system that directories are on, by whichever is still there; 0, no number, if none is."""
    for place in places:
        with contextlib.suppress(FileNotFoundError):
            return place.stat().st_dev
    return 0


@dataclass
class _Walk:
    """What has been met so far."""

    bytes: int = 0
    hides: bool = False
    large: dict[int, int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def into(self, name: Path | str, above: int | None, depth: int) -> None:
        """Count what lies in a directory.

        Args:
            above: The directory that `name` is in; None for a path.
        """
        try:
            directory, lacking = _open_directory(name, above)
        except (FileNotFoundError, NotADirectoryError):
            return  # gone, or replaced
        except OSError as error:
            # `ELOOP`: replaced by a link. Everything else is kept from us.
            self.hides |= error.errno != errno.ELOOP
            return
        try:
            inner = self._entries_of(directory)
            if len(inner) > MOST_INNER or (inner and depth == DEEPEST):
                self.hides = True
                return
            for one in inner:
                self.into(one, directory, depth + 1)
        finally:
            _give_back(directory, lacking)
            os.close(directory)

    def _entries_of(self, directory: int) -> list[str]:
        """Count what lies right in a directory; the names of the directories among it."""
        inner: list[str] = []
        for entry in _entries(directory):
            try:
                status = entry.stat(follow_symlinks=False)
            except PermissionError:
                self.hides = True  # taken from us again meanwhile
                continue
            except OSError:
                continue  # gone
            if stat.S_ISDIR(status.st_mode):
                inner.append(entry.name)
            self._count(status)
        return inner

    def _count(self, status: os.stat_result) -> None:
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if status.st_ino in self._seen:
                return
            self._seen.add(status.st_ino)
        taken = max(status.st_blocks * BLOCK_BYTES, LEAST_ENTRY_BYTES)
        self.bytes += taken
        if taken >= LARGE_BYTES:
            self.large[status.st_ino] = taken


def _open_directory(name: Path | str, above: int | None) -> tuple[int, int]:
    """A descriptor to look into a directory with, and the rights to it that had to be taken for that."""
    place = os.open(name, _PLACE, dir_fd=above)
    try:
        mode = stat.S_IMODE(os.fstat(place).st_mode)
        lacking = _RIGHTS & ~mode
        if lacking:
            Path(f"/proc/self/fd/{place}").chmod(mode | lacking)
        # By the descriptor: another directory may have come in the place of this one.
        return os.open(".", _DIRECTORY, dir_fd=place), lacking
    finally:
        os.close(place)


def _give_back(directory: int, lacking: int) -> None:
    """Make a directory's permissions what they were, unless somebody has changed them meanwhile."""
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(os.fstat(directory).st_mode)
        if lacking and mode & lacking == lacking:
            os.fchmod(directory, mode & ~lacking)


def _entries(directory: int) -> Iterator["os.DirEntry[str]"]:
    """One by one: there may be millions."""
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except OSError:
        return
