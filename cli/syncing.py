"""Bringing a workspace's code and configuration to the daemon: a new version where the content hash differs (J2)."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal
from uuid import UUID

from cli.session import Session
from cli.workspace.packing import Package, read_package, write_archive
from cli.workspace.python import Description, workspace_python
from cli.workspace.selection import (
    SETTINGS_DIRECTORY,
    SelectionRules,
    code_files,
    configuration_files,
    local_settings,
    rules_for,
)

if TYPE_CHECKING:
    from runtime.wire.packages import FilesManifest, PackageResponse
    from runtime.wire.uploads import Progress

Kind = Literal["deployment", "configuration"]
SUBJECTS = {"deployment": "code", "configuration": "configuration"}


@dataclass(frozen=True)
class Delta:
    """How the files here differ from the version on the daemon; paths in order."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.updated)} updated, {len(self.deleted)} deleted"


@dataclass(frozen=True)
class SyncResult:
    """What became of one package. `version` is the active one on the daemon, None if it has none."""

    kind: Kind
    status: Literal["unchanged", "created", "would_create"]
    package: Package
    delta: Delta
    version: "PackageResponse | None"


def describe_workspace(session: Session, module: str | None, *, use_all: bool = True) -> Description:
    """Ask the workspace's dlt; it takes seconds, and says so. Raises as `WorkspacePython.describe`."""
    python = workspace_python(session.root)
    with session.output.waiting(f"reading the workspace with {python.name}"):
        return python.describe(module, use_all=use_all)


def sync_code(session: Session, workspace_id: UUID, description: Description, *, dry_run: bool = False) -> SyncResult:
    """Make the daemon's newest deployment what is in the workspace."""
    requirements = json.dumps(description.requirements).encode()
    package = code_package(session, rules_for(description.dlt_version))

    def upload(archive: BinaryIO, progress: "Progress") -> "PackageResponse":
        return session.client.upload_deployment(workspace_id, archive, requirements, progress)

    newest = session.client.deployment(workspace_id)
    return _sync(session, workspace_id, "deployment", package, newest, upload, dry_run=dry_run)


def sync_configuration(
    session: Session, workspace_id: UUID, rules: SelectionRules, *, dry_run: bool = False
) -> SyncResult:
    """Make the daemon's newest configuration what is in the workspace's `.dlt`."""
    settings = session.root / SETTINGS_DIRECTORY
    package = read_package(settings, configuration_files(session.root, rules), session.root)
    _warn_of_links(session, package)

    def upload(archive: BinaryIO, progress: "Progress") -> "PackageResponse":
        return session.client.upload_configuration(workspace_id, archive, progress)

    newest = session.client.configuration(workspace_id)
    return _sync(session, workspace_id, "configuration", package, newest, upload, dry_run=dry_run)


def code_package(session: Session, rules: SelectionRules) -> Package:
    """The workspace's code; says which links are left out of it."""
    with session.output.waiting("reading files"):
        package = read_package(session.root, code_files(session.root, rules), session.root)
    _warn_of_links(session, package)
    return package


def warn_of_profiles(session: Session, rules: SelectionRules) -> None:
    """Say when deployed jobs will find no settings of their profile (semantics J6)."""
    present = {path.split(".")[0] for path in configuration_files(session.root, rules) if path.count(".") > 1}
    kept = local_settings(session.root, rules)
    if "prod" not in present:
        session.output.warning(
            "there is no `prod` profile in `.dlt`: batch jobs get the settings of `config.toml` and `secrets.toml` only"
            + (f"; {', '.join(f'`{name}`' for name in kept)} stay on this machine" if kept else "")
        )


def compare(package: Package, there: "FilesManifest") -> Delta:
    """How a package differs from a version on the daemon."""
    here = {file.relative_path: (file.sha3_256, file.linkname) for file in package.files}
    known = {file.relative_path: (file.sha3_256, file.linkname) for file in there.files}
    return Delta(
        added=tuple(sorted(here.keys() - known.keys())),
        updated=tuple(sorted(path for path in here.keys() & known.keys() if here[path] != known[path])),
        deleted=tuple(sorted(known.keys() - here.keys())),
    )


def describe_delta(delta: Delta) -> Sequence[str]:
    """One line for every file that differs."""
    return [
        *(f"+ {path}" for path in delta.added),
        *(f"~ {path}" for path in delta.updated),
        *(f"- {path}" for path in delta.deleted),
    ]


def _sync(
    session: Session,
    workspace_id: UUID,
    kind: Kind,
    package: Package,
    newest: "PackageResponse | None",
    upload: "Callable[[BinaryIO, Progress], PackageResponse]",
    *,
    dry_run: bool,
) -> SyncResult:
    if newest is not None and newest.content_hash == package.content_hash:
        return SyncResult(kind, "unchanged", package, Delta(), newest)
    if newest is None:
        delta = Delta(added=tuple(file.relative_path for file in package.files))
    else:
        delta = compare(package, session.client.package_files(workspace_id, f"{kind}s", newest.version))
    if dry_run:
        return SyncResult(kind, "would_create", package, delta, newest)
    with tempfile.TemporaryFile(prefix="dlt-runtime-") as archive:
        with session.output.waiting(f"packing {len(package.files)} files"):
            write_archive(package, archive)
        size = archive.tell()
        archive.seek(0)
        with session.output.progress(f"uploading {SUBJECTS[kind]}", size) as report:
            created = upload(archive, report)
    return SyncResult(kind, "created", package, delta, created)


def _warn_of_links(session: Session, package: Package) -> None:
    for path in package.left_out:
        session.output.warning(f"the link `{path}` is left out: it leads to nothing, or out of the workspace")
