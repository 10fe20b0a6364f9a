"""From the domain to the wire: one function for each object of the contract."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from runtime.dispatch.jobs import JobView, Triggered
from runtime.dispatch.manifests import Deployed
from runtime.dispatch.runs import Cancelled, RunView
from runtime.domain.apps import AppAddresses
from runtime.domain.identities import Member, Organization, User, Workspace
from runtime.domain.jobs import Job, JobDefinition, JobVersion
from runtime.domain.packages import Configuration, Deployment, PackageFile
from runtime.domain.runs import Run, RunStatus
from runtime.domain.schedules import describe_schedule
from runtime.domain.summaries import PipelineSummary
from runtime.store.credentials import MachineToken
from runtime.wire.admin import TokenResponse, UserResponse
from runtime.wire.identities import OrganizationResponse, WorkspaceResponse
from runtime.wire.jobs import DetailedScriptResponse, ScriptResponse, ScriptVersionResponse, TriggeredJob
from runtime.wire.manifests import DeployManifestResponse, UpdatedScript
from runtime.wire.members import OrganizationMemberResponse, WorkspaceMemberResponse
from runtime.wire.packages import ConfigurationResponse, DeploymentResponse, FilesManifest, PackageFileItem
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import BulkCancelResponse, CancelledRunInfo, PipelineRunSummaryResponse, RunResponse

_PROVIDER = "local"  # jobs run on this machine, whatever provider a definition wishes for
_FILES_ENGINE = 1


def organization(item: Organization) -> OrganizationResponse:
    """An organization."""
    return OrganizationResponse(
        id=item.id,
        name=item.name,
        description=item.description,
        date_added=item.created_at,
        date_updated=item.updated_at,
    )


def workspace(item: Workspace) -> WorkspaceResponse:
    """A workspace."""
    return WorkspaceResponse(
        id=item.id,
        name=item.name,
        description=item.description,
        access_data=item.access_data,
        date_added=item.created_at,
        date_updated=item.updated_at,
    )


def user(item: User) -> UserResponse:
    """A user, for administrators."""
    return UserResponse(
        id=item.id,
        email=item.email,
        local=item.local_uid is not None,
        disabled=item.disabled_at is not None,
        date_added=item.created_at,
    )


def workspace_member(item: Member) -> WorkspaceMemberResponse:
    """A member of a workspace."""
    return WorkspaceMemberResponse(user_id=item.user.id, email=item.user.email, role=item.role)


def organization_member(item: User) -> OrganizationMemberResponse:
    """A member of the organization; accounts of the machine own it."""
    role = "member" if item.local_uid is None else "owner"
    return OrganizationMemberResponse(user_id=item.id, identity_id=item.id, email=item.email, role=role)


def machine_token(item: MachineToken) -> TokenResponse:
    """A machine token, for administrators."""
    return TokenResponse(
        id=item.id,
        email=item.email,
        workspace_id=item.workspace_id,
        workspace_name=item.workspace_name,
        date_added=item.created_at,
        date_expires=item.expires_at,
        date_revoked=item.revoked_at,
        member=item.is_member,
    )


def deployment(item: Deployment) -> DeploymentResponse:
    """A version of the code."""
    return DeploymentResponse(**_package(item), requirements_size=item.requirements_size_bytes)


def configuration(item: Configuration) -> ConfigurationResponse:
    """A version of the settings."""
    return ConfigurationResponse(**_package(item), profiles=",".join(item.profiles))


def files_manifest(files: list[PackageFile]) -> FilesManifest:
    """The files of a package, as its own manifest lists them."""
    return FilesManifest(
        engine_version=_FILES_ENGINE,
        files=[
            PackageFileItem(
                relative_path=file.relative_path,
                size_in_bytes=file.size_bytes,
                sha3_256=file.sha3_256,
                linkname=file.linkname,
            )
            for file in files
        ],
    )


def script(item: Job, profile: str | None = None) -> ScriptResponse:
    """A job; `profile` is the one it runs with, where that is known."""
    return ScriptResponse(**_script(item, profile))


def shown_script(view: JobView, addresses: AppAddresses) -> ScriptResponse:
    """A job with its schedule, and its address and public link where it has them."""
    return ScriptResponse(**_shown(view, addresses))


def detailed_script(view: JobView, addresses: AppAddresses) -> DetailedScriptResponse:
    """As `shown_script`, with the job's newest run."""
    last_run = run(view.last_run, view.job.version, summaries=view.summaries) if view.last_run else None
    return DetailedScriptResponse(**_shown(view, addresses), last_run=last_run)


def script_version(version: JobVersion) -> ScriptVersionResponse:
    """One version of a job."""
    return ScriptVersionResponse(
        **_defined(version),
        id=version.id,
        script_id=version.job_id,
        date_added=version.created_at,
        date_updated=version.created_at,
        created_by=version.created_by,
        profile=version.definition.required_profile,
        max_run_time_seconds=int(version.definition.timeout_seconds or 0),
        provider=_PROVIDER,
    )


def run(item: Run, version: JobVersion, *, summaries: Sequence[PipelineSummary] = ()) -> RunResponse:
    """A run."""
    return RunResponse(**_run(item, version, summaries))


def detailed_run(view: RunView, status: RunStatus | None = None) -> DetailedRunResponse:
    """A run with its job; `status` is shown in place of its own, for clients that need that."""
    shown = _run(view.run, view.version, view.summaries)
    return DetailedRunResponse(
        **{**shown, "status": status or view.run.status}, script=script(view.job, profile=view.run.profile)
    )


def summary(item: PipelineSummary) -> PipelineRunSummaryResponse:
    """What a pipeline said of itself."""
    return PipelineRunSummaryResponse(**dict(item))


def triggered(item: Triggered) -> TriggeredJob:
    """What became of one job that was to start."""
    return TriggeredJob(
        script_id=item.job.id,
        job_ref=item.job.job_ref,
        trigger=item.trigger,
        matched_triggers=list(item.matched),
        status=item.outcome,
        run_id=item.run.id if item.run else None,
        run=run(item.run, item.job.version) if item.run else None,
        reason=item.reason,
    )


def cancelled(item: Cancelled) -> BulkCancelResponse:
    """What a bulk cancel did."""
    return BulkCancelResponse(
        cancelled=[
            CancelledRunInfo(
                job_ref=stopped.job_ref,
                run_id=stopped.id,
                run_number=stopped.number,
                previous_status=stopped.status,
            )
            for stopped in item.cancelled
        ],
        not_running=item.not_running,
    )


def deployed(item: Deployed, deployment_module: str | None) -> DeployManifestResponse:
    """What a manifest changed, or would change."""
    plan, jobs = item.plan, item.jobs
    return DeployManifestResponse(
        added=[script(jobs[definition.job_ref]) for definition in plan.added],
        updated=[
            UpdatedScript(
                script=script(jobs[definition.job_ref]),
                previous_version=script_version(item.previous[definition.job_ref]),
            )
            for definition in plan.updated
        ],
        archived=[script(jobs[job_ref]) for job_ref in plan.archived],
        unchanged=[script(jobs[job_ref]) for job_ref in plan.unchanged],
        warnings=list(plan.warnings),
        deployment_module=deployment_module,
    )


def _package(item: Deployment | Configuration) -> dict[str, Any]:
    return {
        "id": item.id,
        "workspace_id": item.workspace_id,
        "version": item.version,
        "content_hash": item.content_hash,
        "file_count": item.file_count,
        "size": item.size_bytes,
        "created_by": item.created_by,
        "created_by_email": item.author or None,
        "date_added": item.created_at,
        "date_updated": item.created_at,
    }


def _script(item: Job, profile: str | None) -> dict[str, Any]:
    return {
        **_defined(item.version),
        "id": item.id,
        "workspace_id": item.workspace_id,
        "archived": item.archived_at is not None,
        "created_by": item.created_by,
        "date_added": item.created_at,
        "date_updated": item.updated_at,
        "profile": profile or item.version.definition.required_profile,
    }


def _clocked(view: JobView) -> dict[str, Any]:
    is_paused = view.schedule.paused_at is not None
    words = describe_schedule(view.job.version.definition, view.schedule.override, is_paused=is_paused)
    return {
        "next_scheduled_run": view.next_tick_at,
        "paused": is_paused,
        "schedule_override": view.schedule.override,
        "schedule_in_words": words or None,
    }


def _shown(view: JobView, addresses: AppAddresses) -> dict[str, Any]:
    return {**_script(view.job, view.profile), **_clocked(view), **_visited(view, addresses)}


def _visited(view: JobView, addresses: AppAddresses) -> dict[str, Any]:
    secret = view.public_secret
    return {
        "script_url": addresses.app_url(view.slug) if view.slug else None,
        "public_secret": secret,
        "public_url": addresses.public_url(secret) if secret else None,
    }


def _defined(version: JobVersion) -> dict[str, Any]:
    definition = version.definition
    return {
        "job_ref": definition.job_ref,
        "script_type": definition.entry_point.job_type,
        "version": version.version,
        "job_definition": definition.raw,
        "job_definition_engine_version": version.engine_version,
        "job_definition_hash": version.definition_hash,
        "deployment_module": version.deployment_module,
        "name": definition.label,
        "description": definition.description,
        "default_trigger": definition.default_trigger,
        "triggers": definition.triggers,
        "freshness": list(definition.freshness),
        "interval_start": _bound(definition, "interval_start"),
        "interval_end": _bound(definition, "interval_end"),
        "pipeline_name": definition.pipeline_name,
    }


def _bound(definition: JobDefinition, field: Literal["interval_start", "interval_end"]) -> datetime | None:
    """A bound of the declared interval; without an offset it is meant in the job's own zone."""
    text: str | None = getattr(definition, field)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None  # the definition itself is shown too, as it is
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(definition.timezone))


def _run(item: Run, version: JobVersion, summaries: Sequence[PipelineSummary]) -> dict[str, Any]:
    return {
        "id": item.id,
        "workspace_id": item.workspace_id,
        "script_version_id": item.job_version_id,
        "deployment_id": item.deployment_id,
        "configuration_id": item.configuration_id,
        "number": item.number,
        "status": item.status,
        "trigger": item.trigger,
        "date_added": item.created_at,
        "date_updated": item.updated_at,
        "duration": item.duration_seconds,
        "interval_start": item.interval_start,
        "interval_end": item.interval_end,
        "prev_run_id": item.prev_run_id,
        "profile": item.profile,
        "time_started": item.started_at,
        "time_ended": item.ended_at,
        "triggered_by": item.triggered_by,
        "job_ref": item.job_ref,
        "job_name": version.definition.label,
        "reason": item.reason,
        "exit_code": item.exit_code,
        "scheduled_at": item.scheduled_at,
        "outcome": item.outcome,
        "skip_count": item.skip_count if item.outcome else None,
        "pipeline_run_summaries": [summary(one) for one in summaries] or None,
    }
