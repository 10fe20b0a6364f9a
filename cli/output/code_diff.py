"""What differs between two versions of the code: files by their hashes, and text line by line."""

import difflib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cli.output.text import clean

if TYPE_CHECKING:
    from runtime.wire.code import CodeFileResponse
    from runtime.wire.packages import PackageFileItem

Reading = Callable[[int, str], "CodeFileResponse"]
Fate = Literal["added", "changed", "removed", "same"]

_KINDS = {"binary": "binary", "large": "too large to be shown", "link": "a link"}


@dataclass(frozen=True)
class FileChange:
    """A file of two versions and what became of it; `file` is as it is now, or as it was if it is gone."""

    fate: Fate
    file: "PackageFileItem"

    @property
    def path(self) -> str:
        """Its path, as the version lists it."""
        return self.file.relative_path


def file_changes(before: "Iterable[PackageFileItem]", after: "Iterable[PackageFileItem]") -> list[FileChange]:
    """Every file of two versions, those that differ first: by names and hashes, whatever the files hold."""
    old = {file.relative_path: file for file in before}
    new = {file.relative_path: file for file in after}

    def fate(path: str) -> Fate:
        if path not in old:
            return "added"
        if path not in new:
            return "removed"
        return "same" if old[path].sha3_256 == new[path].sha3_256 else "changed"

    changes = [FileChange(fate(path), new.get(path) or old[path]) for path in {*old, *new}]
    return sorted(changes, key=lambda change: (change.fate == "same", change.path))


def counts_text(changes: Sequence[FileChange]) -> str:
    """How many files differ: `1 added, 2 changed`."""
    fates: tuple[Fate, ...] = ("added", "changed", "removed")
    counts = {fate: sum(change.fate == fate for change in changes) for fate in fates}
    return ", ".join(f"{count} {fate}" for fate, count in counts.items() if count) or "no change"


def diff_lines(path: str, before: "CodeFileResponse | None", after: "CodeFileResponse | None") -> Iterator[str]:
    """A unified diff of one file, fit to be shown; None where a version does not have it.

    What is no text is said in a line instead.
    """
    shown = [one for one in (before, after) if one is not None]
    if any(one.kind != "text" for one in shown):
        yield f"--- {clean(path)}"
        yield " -> ".join(_what(one) for one in (before, after))
        return
    old, new = (clean(path) if one is not None else "/dev/null" for one in (before, after))
    for number, line in enumerate(difflib.unified_diff(_lines(before), _lines(after), old, new, lineterm="")):
        yield clean(line.removesuffix("\n"))
        if number > 1 and line[0] != "@" and not line.endswith("\n"):
            yield r"\ no newline at end of file"


def change_lines(change: FileChange, before: int, after: int, read: Reading) -> list[str]:
    """As `diff_lines`, for a file that differs between two versions of the code.

    Args:
        read: Asks for a file of a version; what it raises is raised.
    """
    old = None if change.fate == "added" else read(before, change.path)
    new = None if change.fate == "removed" else read(after, change.path)
    return list(diff_lines(change.path, old, new))


def whole_lines(file: "CodeFileResponse") -> Iterator[str]:
    """All of a file, fit to be shown."""
    if file.kind != "text":
        yield _what(file)
        return
    for line in _lines(file):
        yield clean(line.removesuffix("\n"))


def _what(file: "CodeFileResponse | None") -> str:
    if file is None:
        return "not there"
    size = f"{file.size_in_bytes} bytes"
    if file.kind == "link":
        return f"a link to {clean(file.linkname or '')}"
    return f"{_KINDS.get(file.kind, 'text')}, {size}, {file.sha3_256[:10]}"


def _lines(file: "CodeFileResponse | None") -> list[str]:
    # Not `splitlines`, which sees lines where an editor sees none.
    return io.StringIO(file.text or "", newline="\n").readlines() if file is not None else []
