"""Jobs, under the contract's name for them, scripts."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Limit, Offset, Principal, Services, Settings, Starting
from runtime.api.revalidation import revalidated
from runtime.dispatch.jobs import TriggerInput
from runtime.dispatch.manifests import ManifestInput
from runtime.errors import InvalidError
from runtime.wire.jobs import (
    ArchivedFilter,
    CreateScriptRequest,
    DetailedScriptResponse,
    JobType,
    ListScriptsResponse,
    ListScriptVersionsResponse,
    ScriptResponse,
    ScriptVersionResponse,
    TriggerJobsRequest,
    TriggerJobsResponse,
)

_ARCHIVED: dict[ArchivedFilter, bool | None] = {"all": None, "true": True, "false": False}


class ScriptController(Controller):
    """A job is named by its identifier or its reference."""

    path = "/v1/workspaces/{workspace_id:uuid}/scripts"
    opt = access("workspace")
    tags = ("scripts",)

    @get(opt=revalidated("job", "run", "configuration"), summary="Jobs, by reference")
    async def list_scripts(
        self,
        workspace_id: FromPath[UUID],
        services: Services,
        settings: Settings,
        script_type: FromQuery[JobType | None] = None,
        archived: FromQuery[ArchivedFilter] = "false",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> ListScriptsResponse:
        """A page of them, with their newest runs."""
        page = await services.jobs.list(workspace_id, script_type, _ARCHIVED[archived], limit, offset)
        items = [render.detailed_script(view, settings.app_addresses) for view in page.items]
        return ListScriptsResponse(items=items, limit=limit, offset=offset, total=page.total)

    @post(summary="Add or update one job")
    async def upsert(
        self,
        workspace_id: FromPath[UUID],
        data: JSONBody[CreateScriptRequest],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> ScriptResponse:
        """By its reference; a definition that differs makes a new version. Other jobs stay as they are.

        Name, description and profile count where the definition itself says none.
        """
        manifest = ManifestInput(
            engine_version=data.job_definition_engine_version,
            jobs=[_definition(data)],
            owning_module=data.deployment_module,
        )
        await services.manifests.deploy(principal, workspace_id, manifest, dry_run=False)
        return render.shown_script(await services.jobs.get(workspace_id, data.job_ref), settings.app_addresses)

    @post("/trigger", summary="Start jobs")
    async def trigger(
        self,
        workspace_id: FromPath[UUID],
        data: JSONBody[TriggerJobsRequest],
        request: Request[Any, Any, Any],
        services: Services,
        principal: Principal,
        starting: Starting,
    ) -> TriggerJobsResponse:
        """Those that selectors match and those named; a dry run only says which."""
        wanted = TriggerInput(
            selectors=data.selectors or (),
            job_refs=data.job_refs or (),
            profile=data.profile,
            refresh=data.refresh,
            dry_run=data.dry_run,
        )
        if not wanted.dry_run:
            services.health.require_room("the run")
        triggered = await services.jobs.trigger(principal, workspace_id, wanted)
        for item in triggered:
            if item.run and item.job.version.definition.entry_point.job_type == "batch":
                starting.remember(principal, request.headers.get("user-agent", ""), data, item.run)
        return TriggerJobsResponse(triggered=[render.triggered(item) for item in triggered])

    @get("/{script_id_or_ref:str}", summary="One job")
    async def get_script(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services, settings: Settings
    ) -> DetailedScriptResponse:
        """With its newest run."""
        return render.detailed_script(await services.jobs.get(workspace_id, script_id_or_ref), settings.app_addresses)

    @put("/{script_id_or_ref:str}/archive", summary="Archive a job")
    async def archive(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> ScriptResponse:
        """It keeps its runs and logs and starts no more; doing it twice changes nothing."""
        view = await services.jobs.archive(principal, workspace_id, script_id_or_ref)
        return render.shown_script(view, settings.app_addresses)

    @delete("/{script_id_or_ref:str}/archive", status_code=200, summary="Undo archiving")
    async def unarchive(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> ScriptResponse:
        """Doing it twice changes nothing."""
        view = await services.jobs.unarchive(principal, workspace_id, script_id_or_ref)
        return render.shown_script(view, settings.app_addresses)

    @post("/{script_id_or_ref:str}/public-url", summary="Publish an interactive job")
    async def publish(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> ScriptResponse:
        """Makes its public link; the one before, if any, ends."""
        await services.publishing.publish(principal, workspace_id, script_id_or_ref)
        return render.shown_script(await services.jobs.get(workspace_id, script_id_or_ref), settings.app_addresses)

    @delete("/{script_id_or_ref:str}/public-url", status_code=200, summary="Drop a job's public link")
    async def unpublish(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> ScriptResponse:
        """Doing it twice changes nothing."""
        await services.publishing.unpublish(principal, workspace_id, script_id_or_ref)
        return render.shown_script(await services.jobs.get(workspace_id, script_id_or_ref), settings.app_addresses)

    @get("/{script_id_or_ref:str}/versions", summary="Versions of a job, newest first")
    async def list_versions(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        services: Services,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> ListScriptVersionsResponse:
        """A page of them."""
        page = await services.jobs.versions(workspace_id, script_id_or_ref, limit, offset)
        items = [render.script_version(item) for item in page.items]
        return ListScriptVersionsResponse(items=items, limit=limit, offset=offset, total=page.total)

    @get("/{script_id_or_ref:str}/versions/latest", summary="The current version of a job")
    async def latest_version(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services
    ) -> ScriptVersionResponse:
        """The one that the next run pins."""
        return render.script_version(await services.jobs.version(workspace_id, script_id_or_ref, "latest"))

    @get("/{script_id_or_ref:str}/versions/{script_version_id_or_version:str}", summary="One version of a job")
    async def get_version(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        script_version_id_or_version: FromPath[str],
        services: Services,
    ) -> ScriptVersionResponse:
        """By identifier or number."""
        version = await services.jobs.version(workspace_id, script_id_or_ref, script_version_id_or_version)
        return render.script_version(version)


def _definition(data: CreateScriptRequest) -> dict[str, Any]:
    """The job definition, completed by what the request says beside it."""
    raw = dict(data.job_definition)
    entry_point = raw.get("entry_point")
    if raw.get("job_ref") != data.job_ref:
        raise InvalidError("`job_ref` differs from that of `job_definition`", code="job_definition")
    if not isinstance(entry_point, dict) or entry_point.get("job_type") != data.script_type:
        raise InvalidError("`script_type` differs from that of `job_definition`", code="job_definition")
    if data.description is not None:
        raw.setdefault("description", data.description)
    for part, key, value in (("require", "profile", data.profile), ("expose", "display_name", data.name)):
        present = raw.get(part) or {}
        if value is not None and isinstance(present, dict):
            raw[part] = {key: value, **present}
    return raw
