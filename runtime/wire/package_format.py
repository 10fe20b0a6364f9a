"""The package format: what a deployment or configuration archive holds and how its content hash is made.

An archive is a gzip-compressed tar of `files/<relative path>` members and, last, `manifest.yaml`. The content hash is
SHA3-256 over path and digest of every file in path order; permission bits, times and the compressed bytes are not in
it, so two clients that pack the same files agree that nothing changed.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

FILES_PREFIX = "files/"
MANIFEST_NAME = "manifest.yaml"
MANIFEST_ENGINE = 1
ARCHIVE_MEDIA_TYPE = "application/x-tar"  # although it is gzip: the media type the contract's clients send


@dataclass(frozen=True, order=True)
class PackedFile:
    """One file of a package; files sort by path.

    `sha3_256` is the base64 digest of the content or, for a symbolic link, of its target (then `size_in_bytes` is 0).
    """

    relative_path: str
    size_in_bytes: int
    sha3_256: str
    linkname: str | None = None


def encode_digest(digest: bytes) -> str:
    """The text form of a digest: standard base64 with padding."""
    return base64.b64encode(digest).decode("ascii")


def link_digest(linkname: str) -> str:
    """The digest of a symbolic link, which covers its target's name and not what is there."""
    return encode_digest(hashlib.sha3_256(linkname.encode()).digest())


def package_hash(files: Iterable[PackedFile]) -> str:
    """The content hash of a package."""
    total = hashlib.sha3_256()
    for file in sorted(files):
        total.update(file.relative_path.encode())
        total.update(file.sha3_256.encode("ascii"))
    return encode_digest(total.digest())


def manifest_yaml(files: Iterable[PackedFile]) -> bytes:
    """The text of `manifest.yaml`: engine version and the files in path order."""
    import yaml  # here, since most commands never pack

    entries: list[dict[str, str | int]] = []
    for file in sorted(files):
        entry: dict[str, str | int] = {
            "relative_path": file.relative_path,
            "size_in_bytes": file.size_in_bytes,
            "sha3_256": file.sha3_256,
        }
        if file.linkname is not None:
            entry["linkname"] = file.linkname
        entries.append(entry)
    document = {"engine_version": MANIFEST_ENGINE, "files": entries}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml is ten times faster where it is built in
    text: str = yaml.dump(document, Dumper=dumper, allow_unicode=True, default_flow_style=False, sort_keys=False)
    return text.encode()
