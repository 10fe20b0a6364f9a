"""Deployment manifests: what a workspace's jobs should be, and what that changes."""

from typing import Any

from runtime.wire.jobs import ScriptResponse, ScriptVersionResponse
from runtime.wire.model import Flag, WholeNumber, WireModel


class DeployManifestRequest(WireModel):
    """All jobs of a deployment module.

    `deployment_module` None is an ad-hoc deploy, which archives nothing (semantics J3). `jobs` are plain job
    definitions; `job_definition_hash` covers the whole manifest.
    """

    job_definition_engine_version: WholeNumber
    job_definition_hash: str
    jobs: list[dict[str, Any]]
    deployment_module: str | None = None
    description: str | None = None
    dry_run: Flag = False


class UpdatedScript(WireModel):
    """A job that changes, and the version it had."""

    script: ScriptResponse
    previous_version: ScriptVersionResponse | None = None


class DeployManifestResponse(WireModel):
    """What the deploy did, or would do; the jobs are complete also for those that do not exist yet."""

    added: list[ScriptResponse]
    updated: list[UpdatedScript]
    archived: list[ScriptResponse]
    unchanged: list[ScriptResponse]
    warnings: list[str]
    deployment_module: str | None = None
