"""The paths of a package as one tree: which names may stand in it, and where its symbolic links lead.

Pure: nothing here touches a disk. A tree accepted here can be written below any directory without a step outside
of it: no part is `..`, nothing lies below a link or a file, and following any link, through whatever other links,
never climbs above the tree's root.
"""

from collections.abc import Iterator

from runtime.errors import InvalidError
from runtime.packages.refusal import refusal

PART_BYTES = 255
"""Longest name of a file or directory, as file systems have it."""

PATH_BYTES = 3072
"""Longest path and link target; leaves room below the system's 4096 for the directory a package is written to."""

DEPTH = 100
"""Most parts of a path: deeper trees are hard to remove again."""

LINK_HOPS = 40
"""Most links on the way to a link's end, the kernel's own limit."""

NAMES_BYTES = 16 * 1024 * 1024
"""Sum of all paths and targets of a package, which bounds the memory they take."""


class _File:
    """A leaf of the tree."""


class _Link:
    """A symbolic link; `place` and `hops` are known once it has been followed."""

    __slots__ = ("hops", "is_open", "path", "place", "target")

    def __init__(self, path: str, target: str) -> None:
        self.path = path
        self.target = target
        self.is_open = False
        self.place: _Place | None = None
        self.hops = 1


_Directory = dict[str, "_Node"]
_Node = _Directory | _File | _Link
_Place = list[tuple[str, _Node | None]]
"""A position in the tree: every step from the root with its node, None for what the package does not hold."""

_FILE = _File()


def path_parts(path: str, entry: str) -> list[str]:
    """The parts of a relative path; `entry` is the name to blame.

    Raises:
        InvalidError: the path is absolute, climbs, is not in its simplest form, too long or too deep, or holds a
            backslash or a control character.
    """
    _check_characters(path, entry)
    parts = path.split("/")
    if path.startswith("/"):
        raise refusal(entry, "has an absolute path")
    if ".." in parts:
        raise refusal(entry, "has `..` in its path")
    if "" in parts or "." in parts:
        raise refusal(entry, "has an empty part or `.` in its path")
    if len(parts) > DEPTH:
        raise refusal(entry, f"lies more than {DEPTH} directories deep")
    return parts


def _check_characters(text: str, entry: str) -> None:
    if len(text.encode(errors="surrogatepass")) > PATH_BYTES:
        raise refusal(entry, f"is longer than {PATH_BYTES} bytes")
    if any(len(part.encode(errors="surrogatepass")) > PART_BYTES for part in text.split("/")):
        raise refusal(entry, f"has a part longer than {PART_BYTES} bytes")
    if "\\" in text:
        raise refusal(entry, "has a backslash in its name or target")
    if any(char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in text):
        raise refusal(entry, "has a control character in its name or target")


class PackageTree:
    """The entries of one package. Names that differ in case or Unicode form are different, as they are on Linux."""

    def __init__(self, max_directories: int) -> None:
        self._root: _Directory = {}
        self._links: list[_Link] = []
        self._directories_left = max_directories
        self._names_left = NAMES_BYTES

    def add(self, path: str, linkname: str | None, entry: str) -> None:
        """Put a file, or a link where `linkname` is its target, into the tree; `entry` is the name to blame.

        Raises:
            InvalidError: the path or target is not allowed, taken, or below a file or a link.
        """
        *parents, name = path_parts(path, entry)
        node: _Node = _FILE
        if linkname is not None:
            node = self._new_link(path, linkname, entry)
        self._names_left -= len(path.encode()) + len((linkname or "").encode())
        if self._names_left < 0:
            raise refusal(entry, f"is one name too many: all names together exceed {NAMES_BYTES} bytes")
        directory = self._directory(parents, entry)
        if name in directory:
            taken_by_directory = isinstance(directory[name], dict)
            raise refusal(entry, "is also a directory" if taken_by_directory else "is in the archive twice")
        directory[name] = node

    def check_links(self) -> None:
        """Follow every link to its end.

        Raises:
            InvalidError: a link leaves the tree, runs in a circle or over more than `LINK_HOPS` others.
        """
        for link in self._links:
            self._follow(link, 1)

    def file_behind(self, path: str) -> str | None:
        """The path of the file that reading `path` reads; None where there is no such file in the tree."""
        place: _Place = []
        for part in path.split("/"):
            place = self._step(place, part, 0)[0]
        return "/".join(name for name, _ in place) if place and isinstance(place[-1][1], _File) else None

    def _new_link(self, path: str, target: str, entry: str) -> _Link:
        _check_characters(target, entry)
        if not target:
            raise refusal(entry, "is a symbolic link to nothing")
        if target.startswith("/"):
            raise refusal(entry, "is a symbolic link with an absolute target, which leaves the package")
        link = _Link(path, target)
        self._links.append(link)
        return link

    def _directory(self, parents: list[str], entry: str) -> _Directory:
        directory = self._root
        for part in parents:
            below = directory.get(part)
            if below is None:
                self._directories_left -= 1
                if self._directories_left < 0:
                    raise refusal(entry, "needs one directory too many")
                below = directory[part] = {}
            if not isinstance(below, dict):
                raise refusal(entry, f"lies below a {'symbolic link' if isinstance(below, _Link) else 'file'}")
            directory = below
        return directory

    def _follow(self, link: _Link, depth: int) -> _Place:
        if link.place is not None:
            return link.place
        if link.is_open or depth > LINK_HOPS:
            raise _endless(link)
        link.is_open = True
        place = list(self._parents(link.path))
        for part in link.target.split("/"):
            if part == "..":
                if not place:
                    raise refusal(link.path, "is a symbolic link that leaves the package")
                place.pop()
            elif part not in ("", "."):
                place, hops = self._step(place, part, depth)
                link.hops += hops
            if link.hops > LINK_HOPS or len(place) > DEPTH:
                raise _endless(link)
        link.place = place
        return place

    def _step(self, place: _Place, part: str, depth: int) -> tuple[_Place, int]:
        """The place one part further, and how many links were on the way; `place` is used up."""
        parent = place[-1][1] if place else self._root
        node = parent.get(part) if isinstance(parent, dict) else None
        if isinstance(node, _Link):
            return list(self._follow(node, depth + 1)), node.hops
        place.append((part, node))
        return place, 0

    def _parents(self, path: str) -> Iterator[tuple[str, _Node | None]]:
        directory = self._root
        for part in path.split("/")[:-1]:
            below = directory[part]
            yield part, below
            assert isinstance(below, dict)  # noqa: S101 - `add` put nothing below anything else
            directory = below


def _endless(link: _Link) -> InvalidError:
    return refusal(link.path, f"is a symbolic link in a circle, or over more than {LINK_HOPS} links")
