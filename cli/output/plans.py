"""How a deploy is shown: what changed in the packages, and what becomes of each job."""

from typing import TYPE_CHECKING, Any

from cli.output.console import Column, Output
from cli.output.jobs import short_ref
from cli.syncing import SUBJECTS, SyncResult, describe_delta

if TYPE_CHECKING:
    from runtime.wire.manifests import DeployManifestResponse
    from runtime.wire.packages import PackageResponse

_PLAN_STYLES = {"added": "green", "updated": "cyan", "archived": "yellow", "unchanged": "dim"}
_PLAN_COLUMNS = (
    Column("Change", lambda change: _PLAN_STYLES.get(change, "")),
    Column("Job"),
    Column("Version"),
    Column("Trigger", wraps=True),
)


def show_sync(output: Output, result: SyncResult, *, verbose: bool = False) -> None:
    """One message on what became of a package, and with `verbose` one on each file."""
    subject = SUBJECTS[result.kind]
    if result.status == "unchanged":
        output.message(f"{subject} unchanged (version {result.version.version if result.version else 0})")
    elif result.status == "would_create":
        output.message(f"{subject} would be uploaded: {result.delta}")
    else:
        output.message(
            f"{subject} uploaded as version {result.version.version if result.version else 0}: {result.delta}"
        )
    if verbose:
        for line in describe_delta(result.delta):
            output.message(f"  {line}")


def sync_json(result: SyncResult) -> dict[str, Any]:
    """The result of a sync for programs."""
    return {
        "status": result.status,
        "content_hash": result.package.content_hash,
        "file_count": len(result.package.files),
        "added": list(result.delta.added),
        "updated": list(result.delta.updated),
        "deleted": list(result.delta.deleted),
        "version": result.version.version if result.version else None,
    }


def show_plan(output: Output, plan: "DeployManifestResponse", *, dry_run: bool) -> None:
    """The jobs of a deploy, the warnings, and one line in sum."""
    changes = [
        *(("added", job, None) for job in plan.added),
        *(("updated", changed.script, changed.previous_version) for changed in plan.updated),
        *(("archived", job, None) for job in plan.archived),
        *(("unchanged", job, None) for job in plan.unchanged),
    ]
    rows = [
        (
            change,
            short_ref(job.job_ref),
            f"{before.version} -> {job.version}" if before else str(job.version),
            job.default_trigger or "",
        )
        for change, job, before in changes
    ]
    if rows:
        output.table(_PLAN_COLUMNS, rows)
    for warning in plan.warnings:
        output.warning(warning)
    counts = ", ".join(
        f"{len(jobs)} {name}"
        for name, jobs in (
            ("added", plan.added),
            ("updated", plan.updated),
            ("archived", plan.archived),
            ("unchanged", plan.unchanged),
        )
    )
    output.message(f"{'dry run, nothing changed: ' if dry_run else 'deployed: '}{counts}")


def show_versions(output: Output, versions: "list[PackageResponse]", *, as_json: bool) -> None:
    """Versions of the code or the configuration, the newest last."""
    if as_json:
        output.json([version.to_wire() for version in versions])
        return
    if not versions:
        output.message("no versions")
        return
    columns = [Column("Version"), Column("Created"), Column("By"), Column("Files"), Column("Content hash")]
    with_profiles = hasattr(versions[0], "profiles")
    if with_profiles:
        columns.append(Column("Profiles", wraps=True))
    rows = []
    for version in reversed(versions):
        created = (output.time(version.date_added), version.created_by_email or "")
        row = [str(version.version), *created, str(version.file_count), version.content_hash]
        rows.append([*row, getattr(version, "profiles", "")] if with_profiles else row)
    output.table(columns, rows)


def show_version(output: Output, version: "PackageResponse", *, as_json: bool) -> None:
    """Everything about one version."""
    if as_json:
        output.json(version.to_wire())
        return
    output.fields(
        (
            ("Version", str(version.version)),
            ("Created", output.time(version.date_added)),
            ("By", version.created_by_email or ""),
            ("Files", str(version.file_count)),
            ("Archive", f"{version.size} bytes"),
            ("Content hash", version.content_hash),
            ("Profiles", getattr(version, "profiles", "")),
            ("Id", str(version.id)),
        )
    )
