"""From what a workspace declares to what the daemon has: the manifest request, and picking a job to launch."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cli.selectors import candidates, matching_triggers
from cli.session import Session
from cli.workspace.python import Description
from cli.workspace.root import DEPLOYMENT_MODULE
from runtime.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from runtime.wire.manifests import DeployManifestResponse


def require_deployment_module(root: Path) -> str:
    """The name of the deployment module.

    Raises:
        NotFoundError: the workspace has none.
    """
    if not (root / f"{DEPLOYMENT_MODULE}.py").exists() and not (root / DEPLOYMENT_MODULE).is_dir():
        raise NotFoundError(
            f"there is no `{DEPLOYMENT_MODULE}.py` in `{root}`",
            code="deployment_module_missing",
            hint="write one that imports your jobs and lists them in `__all__`, or launch a single file: "
            "`dlt-runtime launch my_script.py`",
        )
    return DEPLOYMENT_MODULE


def declared(session: Session, file: str) -> str:
    """The path of a Python file relative to the workspace, as the SDK takes it; a module's name is left alone.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it lies outside the workspace.
    """
    if not file.lower().endswith(".py") and "/" not in file:
        return file
    absolute = (Path.cwd() / file).resolve()
    if not absolute.is_file():
        absolute = (session.root / file).resolve()
    if not absolute.is_file():
        raise NotFoundError(f"there is no file `{file}`", code="file_missing")
    if not absolute.is_relative_to(session.root):
        raise InvalidError(
            f"`{file}` lies outside the workspace `{session.root}`, so it cannot be deployed", code="file_outside"
        )
    return absolute.relative_to(session.root).as_posix()


def put_manifest(
    session: Session,
    workspace_id: UUID,
    description: Description,
    *,
    deployment_module: str | None,
    dry_run: bool = False,
) -> "DeployManifestResponse":
    """Reconcile the daemon's jobs with the manifest; module None deploys ad hoc and archives nothing (J3)."""
    from runtime.wire.manifests import DeployManifestRequest

    manifest = description.manifest or {}
    request = DeployManifestRequest(
        job_definition_engine_version=manifest.get("engine_version", 1),
        job_definition_hash=description.manifest_hash or "",
        jobs=manifest.get("jobs", []),
        deployment_module=deployment_module,
        description=manifest.get("description"),
        dry_run=dry_run,
    )
    return session.client.deploy_manifest(workspace_id, request)


def pick_job(description: Description, text: str | None, *, selector: str, refused_type: str) -> Mapping[str, Any]:
    """The one job of a local manifest that a command is about.

    Args:
        text: A name, reference or selector; None goes by `selector`.
        refused_type: Jobs of this type do not count: `launch` is for batch jobs, `serve` for interactive ones.

    Raises:
        NotFoundError: nothing matches.
        InvalidError: several do, only jobs of the other kind do, or the job may not be started by hand.
    """
    jobs: list[Mapping[str, Any]] = (description.manifest or {}).get("jobs", [])
    named = candidates(text, [job["job_ref"] for job in jobs]) if text else []
    if len(named) > 1:
        raise InvalidError(f"`{text}` may be any of {', '.join(sorted(named))}", code="job_ambiguous")
    wanted = f"manual:{named[0]}" if named else text or selector
    found = [job for job in jobs if _is_meant(job, wanted, description.triggers)]
    allowed = [job for job in found if job["entry_point"]["job_type"] != refused_type]
    if len(allowed) == 1:
        return allowed[0]
    raise _no_single_job(found, allowed, text or (selector if selector != "manual:" else None), bool(named))


def _is_meant(job: Mapping[str, Any], wanted: str, triggers: Mapping[str, list[str]]) -> bool:
    expanded = triggers.get(job["job_ref"], [])
    if wanted.startswith("manual:jobs."):
        return wanted in expanded  # exactly: the reference is no pattern
    return bool(matching_triggers(wanted, job["entry_point"]["job_type"], expanded))


def _no_single_job(
    found: list[Mapping[str, Any]], allowed: list[Mapping[str, Any]], text: str | None, is_named: bool
) -> InvalidError | NotFoundError:
    if allowed:
        refs = ", ".join(job["job_ref"] for job in allowed)
        what = f"`{text}` may be" if text else "say which job:"
        return InvalidError(f"{what} any of {refs}", code="job_ambiguous")
    if found:
        kind = found[0]["entry_point"]["job_type"]
        refs = ", ".join(job["job_ref"] for job in found)
        other = "serve" if kind == "interactive" else "launch"
        return InvalidError(f"{refs} is {kind}", code="job_type", hint=f"`dlt-runtime {other}` is for such jobs")
    if is_named:
        return InvalidError(
            f"`{text}` may not be started by hand: it says `expose.manual` is false",
            code="job_not_manual",
            hint="`dlt-runtime trigger SELECTOR` starts jobs by a trigger of their own",
        )
    return NotFoundError(
        f"the workspace declares no job `{text}`" if text else "the workspace declares no job to start by hand",
        code="job_unknown",
        hint="`dlt-runtime deploy --dry-run` lists what it declares",
    )
