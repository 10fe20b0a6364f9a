"""Which files of a workspace are deployed: the SDK's own choice, so that every client packs the same.

The choice changed between versions of the SDK, so it is a value that follows from the workspace's version. Patterns
are those of the workspace's `.gitignore`, matched as the SDK matches them (the last match wins, also inside an ignored
directory, which git would not enter).
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidError

if TYPE_CHECKING:
    from pathspec import PathSpec

SETTINGS_DIRECTORY = ".dlt"
IGNORE_FILE = ".gitignore"

DEFAULT_IGNORES = (
    "__pycache__/",
    "*.py[cod]",
    ".venv/",
    "venv/",
    "dist/",
    "build/",
    "*.egg-info/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".pytest_cache/",
    ".coverage",
    "htmlcov/",
    "*.so",
    ".DS_Store",
    ".env",
)
"""Left out where the workspace has no `.gitignore`."""

_WILDCARDS = frozenset("*?[\\")

# A name that no pattern spells: what matches it at once and far below matches everything in a directory.
_ANYTHING = "\x01"
_ANYTHING_DEEP = "/".join(_ANYTHING for _ in range(24))


@dataclass(frozen=True)
class SelectionRules:
    """How one generation of the SDK chooses.

    Attributes:
        enters_linked_directories: Whether the files behind a link to a directory are packed, rather than the link.
        skips_ignored_directories: Whether an ignored directory is left out whole, although a pattern such as `/*`
            matches the directory and nothing in it.
        settings_included: Files of `.dlt/` that go with the code.
        nested_configuration: Whether settings are looked for below `.dlt/` too, not only in it.
        local_profiles: Profiles whose settings stay on the developer's machine.
    """

    enters_linked_directories: bool
    skips_ignored_directories: bool
    settings_included: tuple[str, ...]
    nested_configuration: bool
    local_profiles: tuple[str, ...]


def rules_for(dlt_version: str) -> SelectionRules:
    """The rules of a version of dlt; an unreadable version counts as the newest."""
    parts = tuple(int(part) for part in dlt_version.split(".")[:2] if part.isdigit())
    known = parts if len(parts) == 2 else (1, 99)
    return SelectionRules(
        enters_linked_directories=known < (1, 31),
        skips_ignored_directories=known >= (1, 31),
        settings_included=(".toolkits",) if known >= (1, 31) else (),
        nested_configuration=known < (1, 27),
        local_profiles=("dev", "tests") if known >= (1, 27) else (),
    )


def code_files(root: Path, rules: SelectionRules) -> Iterator[str]:
    """The relative paths of the files that make up a workspace's code; links to files are among them.

    Raises:
        InvalidError: a linked directory leads back to where it is, or the ignore file cannot be read.
    """
    patterns = [f"{SETTINGS_DIRECTORY}/", *(f"!{SETTINGS_DIRECTORY}/{name}" for name in rules.settings_included)]
    patterns += _ignore_patterns(root)
    yield from _Walk(root, patterns, rules).files("")


def configuration_files(root: Path, rules: SelectionRules) -> Iterator[str]:
    """The paths, relative to `.dlt/`, of the settings and secrets that are deployed."""
    settings = root / SETTINGS_DIRECTORY
    excluded = tuple(f"{profile}." for profile in rules.local_profiles)
    if not settings.is_dir():
        return
    found = (
        _Walk(settings, (), rules).files("")
        if rules.nested_configuration
        else (entry.name for entry in settings.iterdir() if entry.is_file())
    )
    for path in found:
        if path.endswith(("config.toml", "secrets.toml")) and not path.startswith(excluded or "\0"):
            yield path


def local_settings(root: Path, rules: SelectionRules) -> tuple[str, ...]:
    """The names of settings files that stay here, since their profile is a local one."""
    packed = set(configuration_files(root, rules))
    everything = configuration_files(root, replace(rules, local_profiles=()))
    return tuple(sorted(path for path in everything if path not in packed))


def may_match_inside(pattern: str, directory: str) -> bool:
    """Whether a gitignore pattern may match something below a directory; True where that is hard to tell.

    >>> may_match_inside("data/keep.csv", ".venv"), may_match_inside("data/keep.csv", "data")
    (False, True)
    """
    anchored = "/" in pattern.rstrip("/")
    if not anchored:
        return True
    pairs = zip(pattern.strip("/").split("/"), directory.split("/"), strict=False)
    for wanted, present in pairs:
        if _WILDCARDS.intersection(wanted):
            return True
        if wanted != present:
            return False
    return True


def _ignore_patterns(root: Path) -> Sequence[str]:
    file = root / IGNORE_FILE
    try:
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else DEFAULT_IGNORES
    except (OSError, ValueError) as error:
        raise InvalidError(f"`{file}` cannot be read: {error}", code="ignore_file") from error


class _Walk:
    """Walks a tree in name order, asking the patterns about every file and every directory."""

    def __init__(self, root: Path, patterns: Sequence[str], rules: SelectionRules) -> None:
        self._root = root
        self._rules = rules
        self._spec = _spec(patterns)
        self._negations = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        self._above: set[str] = set()

    def files(self, directory: str) -> Iterator[str]:
        """The selected files below a directory, given relative to the root with a slash at its end, or as ``."""
        real = os.path.realpath(self._root / directory)
        if real in self._above:
            raise InvalidError(
                f"the link `{directory.rstrip('/')}` leads back to a directory it lies in", code="link_cycle"
            )
        self._above.add(real)
        try:
            with os.scandir(self._root / directory) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            raise InvalidError(
                f"`{directory or self._root}` cannot be read: {error.strerror}", code="unreadable"
            ) from error
        for entry in entries:
            yield from self._entry(entry, directory + entry.name)
        self._above.discard(real)

    def _entry(self, entry: "os.DirEntry[str]", path: str) -> Iterator[str]:
        try:
            mode = entry.stat().st_mode
        except OSError:
            return  # a link to nothing is not packed
        if stat.S_ISDIR(mode) and (self._rules.enters_linked_directories or not entry.is_symlink()):
            if self._is_entered(path):
                yield from self.files(f"{path}/")
        elif (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and not self._ignores(path):
            yield path

    def _is_entered(self, directory: str) -> bool:
        if self._rules.skips_ignored_directories:
            probes = [f"{directory}/"]
        else:
            probes = [f"{directory}/{_ANYTHING}", f"{directory}/{_ANYTHING_DEEP}"]
        if not all(self._ignores(probe) for probe in probes):
            return True
        return any(may_match_inside(pattern, directory) for pattern in self._negations)

    def _ignores(self, path: str) -> bool:
        return self._spec is not None and self._spec.match_file(path)


def _spec(patterns: Sequence[str]) -> "PathSpec[Any] | None":
    if not patterns:
        return None
    from pathspec import PathSpec

    return PathSpec.from_lines("gitignore", patterns)
