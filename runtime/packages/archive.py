"""Taking in a package: a gzip tar of `files/<path>` members and a final `manifest.yaml`, from a stranger.

A package is accepted as a whole or refused as a whole, with an error that names the entry. Nothing of its names ever
becomes a path on the disk here: contents are written flat, under the digest they were found to have, and what an
entry is called, whether it is a link and where to stay plain data until `materialise` writes a tree from it.
"""

import base64
import hashlib
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from runtime.domain.packages import PackageFile, content_digest, package_hash
from runtime.errors import InvalidError, disk_error
from runtime.packages.file_manifest import MANIFEST_NAME, ManifestFile, read_manifest
from runtime.packages.gzip_stream import GzipStream
from runtime.packages.refusal import refusal
from runtime.packages.tar_stream import TarEntry, TarStream
from runtime.packages.tree import DEPTH, PackageTree
from runtime.settings import LimitSettings

_PREFIX = "files/"
_CHUNK_BYTES = 1024 * 1024
_PERMISSION_BITS = 0o777
_INCOMING = "incoming"
_MANIFEST_BASE_BYTES = 64 * 1024
_MANIFEST_ENTRY_BYTES = 512
_ESCAPED_BYTES = 4
"""What a byte of a name may grow to in YAML, with escapes and folded lines."""

_SETTINGS_FILES = ("config.toml", "secrets.toml")
_DOT_DLT = ".dlt"
_LOCAL = "_local"
_OURS = (".var", ".workspace", "data", "state")


@dataclass(frozen=True, slots=True)
class UnpackedPackage:
    """An accepted package: its entries sorted by path, and the content hash both clients compute."""

    files: tuple[PackageFile, ...]
    content_hash: str


def unpack_archive(archive: Path, into: Path, limits: LimitSettings, max_bytes: int) -> UnpackedPackage:
    """Check a package and write each distinct content of it once, as `content_path(into, sha3_256)`.

    Blocks for as long as the disk takes; call it in a thread. Memory is bounded by the number and names of the
    entries, not by their sizes. Set-user-id, set-group-id and sticky bits are dropped from modes.

    Args:
        archive: The upload; its compressed size is the caller's to limit.
        into: Created, or an empty directory; removed again when the package is refused.
        limits: `package_files` is the most entries (and directories) there may be.
        max_bytes: Largest sum of file sizes.

    Raises:
        InvalidError: the package is refused; code `package`.
        UnavailableError: the disk did not take it.
    """
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise ValueError("contents are unpacked into an empty directory")
    try:
        with archive.open("rb") as raw:
            return _Intake(TarStream(GzipStream(raw)), into, limits.package_files, max_bytes).take()
    except BaseException as error:
        shutil.rmtree(into, ignore_errors=True)
        if isinstance(error, OSError):
            raise disk_error("the package could not be unpacked", error) from error
        raise


def content_path(contents: Path, sha3_256: str) -> Path:
    """Where `unpack_archive` put the content with this base64 digest: its name is the digest in hex."""
    return contents / base64.b64decode(sha3_256, validate=True).hex()


def check_configuration_paths(files: Iterable[PackageFile]) -> None:
    """A configuration holds settings and secrets only, and links that lead to such.

    Raises:
        InvalidError: an entry's path ends in neither `config.toml` nor `secrets.toml`, or it is a link to something
            that is not in the package.
    """
    entries = list(files)
    tree = _tree(entries)
    for file in entries:
        if not file.relative_path.endswith(_SETTINGS_FILES):
            raise refusal(file.relative_path, "is neither a config.toml nor a secrets.toml")
        if tree.file_behind(file.relative_path) is None:
            raise _leads_nowhere(file.relative_path)


def configuration_source(files: Iterable[PackageFile], relative_path: str) -> PackageFile:
    """The file whose content a program reading `relative_path` gets: itself, or what its link leads to.

    A run sees only its own profile's files (semantics J6), so `prod.secrets.toml -> team.secrets.toml` would lead
    nowhere there: write the content of the source under the link's name instead.

    Raises:
        InvalidError: there is no such file in the configuration.
    """
    entries = {file.relative_path: file for file in files}
    source = _tree(entries.values()).file_behind(relative_path)
    if source is None:
        raise _leads_nowhere(relative_path)
    return entries[source]


def check_deployment_paths(files: Iterable[PackageFile]) -> None:
    """A deployment leaves alone the places where a run's settings, state and data are put.

    Raises:
        InvalidError: an entry stands where `.dlt`, `_local` or their per-profile directories will be, is a link
            there, or is a settings file, whose place is the configuration.
    """
    for file in files:
        parts = file.relative_path.split("/")
        if parts[0] == _DOT_DLT:
            if len(parts) == 1 or file.linkname is not None or parts[1] in _OURS:
                raise refusal(file.relative_path, f"stands where a run's own `{_DOT_DLT}` is put")
            if file.relative_path.endswith(_SETTINGS_FILES):
                raise refusal(file.relative_path, "is a settings file, which belongs into the configuration")
        if parts[0] == _LOCAL and len(parts) <= 2 and (len(parts) == 1 or file.linkname is not None):
            raise refusal(file.relative_path, f"stands where a run's own `{_LOCAL}` is put")


def _tree(files: Collection[PackageFile]) -> PackageTree:
    tree = PackageTree(max_directories=len(files) * DEPTH)
    for file in files:
        tree.add(file.relative_path, file.linkname, file.relative_path)
    return tree


def _leads_nowhere(relative_path: str) -> InvalidError:
    return refusal(relative_path, "leads to no file of the configuration")


class _Intake:
    """One pass over one archive."""

    def __init__(self, tar: TarStream, into: Path, max_entries: int, max_bytes: int) -> None:
        self._tar = tar
        self._into = into
        self._entries_left = max_entries
        self._bytes_left = max_bytes
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._tree = PackageTree(max_directories=max_entries)
        self._files: list[PackageFile] = []
        self._manifest: dict[str, ManifestFile] | None = None
        self._manifest_bytes = _MANIFEST_BASE_BYTES

    def take(self) -> UnpackedPackage:
        for entry in self._tar:
            if self._manifest is not None:
                raise refusal(entry.name, f"comes after {MANIFEST_NAME}, which must be the last entry")
            if entry.name == MANIFEST_NAME and entry.linkname is None:
                self._manifest = self._take_manifest(entry)
            else:
                self._files.append(self._take_file(entry))
        if self._manifest is None:
            raise InvalidError(f"the package has no `{MANIFEST_NAME}`", code="package")
        self._tree.check_links()
        files = tuple(sorted(self._files, key=lambda file: file.relative_path))
        _compare(files, self._manifest)
        return UnpackedPackage(files=files, content_hash=package_hash(files))

    def _take_file(self, entry: TarEntry) -> PackageFile:
        path = entry.name.removeprefix(_PREFIX)
        if path == entry.name:
            raise refusal(entry.name, f"lies outside `{_PREFIX}`")
        self._entries_left -= 1
        if self._entries_left < 0:
            raise refusal(entry.name, f"is one entry too many: a package may have {self._max_entries}")
        self._bytes_left -= entry.size
        if self._bytes_left < 0:
            raise refusal(entry.name, f"makes the package larger than {self._max_bytes} bytes")
        self._tree.add(path, entry.linkname, entry.name)
        names = path + (entry.linkname or "")
        self._manifest_bytes += _MANIFEST_ENTRY_BYTES + _ESCAPED_BYTES * len(names.encode())
        digest = self._store() if entry.linkname is None else content_digest(entry.linkname.encode())
        return PackageFile(
            relative_path=path,
            size_bytes=entry.size,
            sha3_256=digest,
            linkname=entry.linkname,
            mode=entry.mode & _PERMISSION_BITS,
        )

    def _store(self) -> str:
        """Write the present member's content under its digest, unless it is there already."""
        incoming = self._into / _INCOMING
        hasher = hashlib.sha3_256()
        with incoming.open("xb") as file:
            while chunk := self._tar.read(_CHUNK_BYTES):
                hasher.update(chunk)
                file.write(chunk)
        incoming.replace(self._into / hasher.hexdigest())
        return base64.b64encode(hasher.digest()).decode()

    def _take_manifest(self, entry: TarEntry) -> dict[str, ManifestFile]:
        if entry.size > self._manifest_bytes:
            raise refusal(entry.name, f"is larger than {len(self._files)} files need")
        return read_manifest(cast(IO[bytes], self._tar))


def _compare(files: Iterable[PackageFile], manifest: dict[str, ManifestFile]) -> None:
    listed = dict(manifest)
    for file in files:
        claim = listed.pop(file.relative_path, None)
        if claim is None:
            raise refusal(file.relative_path, f"is not in {MANIFEST_NAME}")
        if claim.linkname != file.linkname:
            raise refusal(file.relative_path, f"has another link target than {MANIFEST_NAME} says")
        if claim.size_bytes != file.size_bytes:
            raise refusal(file.relative_path, f"has {file.size_bytes} bytes, {MANIFEST_NAME} says {claim.size_bytes}")
        if claim.sha3_256 != file.sha3_256:
            raise refusal(file.relative_path, f"has another content than {MANIFEST_NAME} says")
    for path in listed:
        raise refusal(path, f"is in {MANIFEST_NAME} but not in the archive")
