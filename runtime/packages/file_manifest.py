"""Reading `manifest.yaml`, the list of files a package claims to hold.

The document is consumed as a stream of YAML events against the one shape it may have. No node graph is built, so
there is nothing that aliases, tags or deep nesting could blow up; 50,000 files take a fraction of a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import yaml

from runtime.errors import InvalidError
from runtime.packages.refusal import refusal, shown

MANIFEST_NAME = "manifest.yaml"
_ENGINE_VERSION = "1"
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EVENT_NAMES: dict[type[yaml.Event], str] = {
    yaml.ScalarEvent: "a text",
    yaml.MappingStartEvent: "a mapping",
    yaml.SequenceStartEvent: "a list",
    yaml.AliasEvent: "an alias",
    yaml.DocumentStartEvent: "another document",
}
_FILE_KEYS = {"relative_path", "size_in_bytes", "sha3_256", "linkname"}


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """What the manifest says of one path."""

    size_bytes: int
    sha3_256: str
    linkname: str | None


def read_manifest(stream: IO[bytes]) -> dict[str, ManifestFile]:
    """The manifest's files by relative path.

    Raises:
        InvalidError: it is not YAML of exactly this shape, of another engine version, or names a path twice.
    """
    events = _Events(stream)
    try:
        return _read_document(events)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise refusal(MANIFEST_NAME, f"is not YAML: {shown(str(problem))}") from error


class _Events:
    """The parser's events, taken one by one by what is expected next."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._events = yaml.parse(stream, Loader=_LOADER)

    def take(self, *expected: type[yaml.Event]) -> yaml.Event:
        event = next(self._events)
        if not isinstance(event, expected) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise _misshapen(_EVENT_NAMES.get(type(event), "an end"))
        return event

    def scalar(self) -> str:
        return str(cast(yaml.ScalarEvent, self.take(yaml.ScalarEvent)).value)

    def keys(self, allowed: set[str]) -> Iterator[str]:
        """The keys of the mapping just begun; the caller takes each key's value before asking for the next."""
        seen: set[str] = set()
        while isinstance(event := self.take(yaml.ScalarEvent, yaml.MappingEndEvent), yaml.ScalarEvent):
            if event.value not in allowed - seen:
                raise _misshapen(f"the key `{shown(event.value)}`")
            seen.add(event.value)
            yield event.value


def _read_document(events: _Events) -> dict[str, ManifestFile]:
    files: dict[str, ManifestFile] = {}
    engine = None
    events.take(yaml.StreamStartEvent)
    events.take(yaml.DocumentStartEvent)
    events.take(yaml.MappingStartEvent)
    for key in events.keys({"engine_version", "files"}):
        if key == "files":
            files = _read_files(events)
        else:
            engine = events.scalar()
    events.take(yaml.DocumentEndEvent)
    events.take(yaml.StreamEndEvent)
    if engine != _ENGINE_VERSION:
        raise refusal(MANIFEST_NAME, f"has the engine version {shown(str(engine))}; this daemon reads 1")
    return files


def _read_files(events: _Events) -> dict[str, ManifestFile]:
    files: dict[str, ManifestFile] = {}
    events.take(yaml.SequenceStartEvent)
    while True:
        if isinstance(events.take(yaml.MappingStartEvent, yaml.SequenceEndEvent), yaml.SequenceEndEvent):
            return files
        path, file = _read_file(events)
        if path in files:
            raise refusal(path, f"is in {MANIFEST_NAME} twice")
        files[path] = file


def _read_file(events: _Events) -> tuple[str, ManifestFile]:
    values = {key: events.scalar() for key in events.keys(_FILE_KEYS)}
    size = values.get("size_in_bytes", "")
    if not (size.isascii() and size.isdecimal() and len(size) < 20):
        raise _misshapen("a file without its size")
    if "relative_path" not in values or "sha3_256" not in values:
        raise _misshapen("a file without path or sha3_256")
    return values["relative_path"], ManifestFile(int(size), values["sha3_256"], values.get("linkname"))


def _misshapen(what: str) -> InvalidError:
    return refusal(MANIFEST_NAME, f"is not a list of files: it has {what} where none belongs")
