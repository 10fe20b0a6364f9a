"""Packages: a deployment (a version of the code) and a configuration (a version of settings and secrets), J2."""

import base64
import hashlib
from collections.abc import Iterable
from uuid import UUID

from runtime.domain.model import Frozen, Instant
from runtime.domain.requirements import WorkspaceRequirements


class PackageFile(Frozen):
    """One entry of a package.

    `sha3_256` is the base64 digest of the content, or of the link target for a symbolic link (then `size_bytes` is 0).
    `mode` holds permission bits only.
    """

    relative_path: str
    size_bytes: int
    sha3_256: str
    linkname: str | None = None
    mode: int = 0o644


class Deployment(Frozen):
    """A version of a workspace's code, with the requirements exported beside it; `author` is the creator's email."""

    id: UUID
    workspace_id: UUID
    version: int
    content_hash: str
    file_count: int
    size_bytes: int
    requirements_size_bytes: int
    requirements: WorkspaceRequirements
    created_by: UUID
    author: str = ""
    created_at: Instant


class Configuration(Frozen):
    """A version of a workspace's `.dlt/*.toml` files; their content stays sealed in the store."""

    id: UUID
    workspace_id: UUID
    version: int
    content_hash: str
    file_count: int
    size_bytes: int
    profiles: tuple[str, ...]
    created_by: UUID
    author: str = ""
    created_at: Instant


def content_digest(content: bytes) -> str:
    """Base64 SHA3-256, the form in which packages name contents."""
    return base64.b64encode(hashlib.sha3_256(content).digest()).decode()


def package_hash(files: Iterable[PackageFile]) -> str:
    """The content hash both clients compute: SHA3-256 over path and digest of every file, sorted by path."""
    total = hashlib.sha3_256()
    for file in sorted(files, key=lambda item: item.relative_path):
        total.update(file.relative_path.encode())
        total.update(file.sha3_256.encode("ascii"))
    return base64.b64encode(total.digest()).decode()
