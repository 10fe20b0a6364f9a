"""Runs: looking at them, starting one, cancelling."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Limit, Limits, Offset, Principal, PrincipalOrNobody, Services, Starting
from runtime.api.revalidation import revalidated
from runtime.api.zones import in_zone, moment
from runtime.auth.throttling import network_of
from runtime.dispatch.jobs import Triggered, TriggerInput
from runtime.dispatch.lookup import uuid_or_text
from runtime.dispatch.runs import RunView
from runtime.errors import NotFoundError, RefusedError
from runtime.store.runs import RunFilter
from runtime.wire.jobs import JobType, TriggeredJob
from runtime.wire.run_details import DetailedRunResponse, ListRunsResponse
from runtime.wire.runs import BulkCancelRequest, BulkCancelResponse, CreateRunRequest, RunStatus, RunStatusFilter

_BODY_BYTES = 64 * 1024  # of a request that strangers may send

_CAUSE = "only runs that this run has started (this runtime's own)"
_ZONE = "IANA zone in which `start` and `end` are meant where they carry no offset"


class RunController(Controller):
    """Runs of one workspace."""

    path = "/v1/workspaces/{workspace_id:uuid}/runs"
    opt = access("workspace")
    tags = ("runs",)

    @get(opt=revalidated("run", "job"), summary="Runs, newest first")
    async def list_runs(
        self,
        workspace_id: FromPath[UUID],
        services: Services,
        script_id: FromQuery[UUID | None] = None,
        status: FromQuery[RunStatus | None] = None,
        status_filter: FromQuery[RunStatusFilter | None] = None,
        script_type: FromQuery[JobType | None] = None,
        start: Annotated[str | None, moment("runs created then or later")] = None,
        end: Annotated[str | None, moment("runs created before")] = None,
        tz: Annotated[str, QueryParameter(description=_ZONE)] = "UTC",
        prev_run_id: Annotated[UUID | None, QueryParameter(description=_CAUSE)] = None,
        include_system_runs: FromQuery[bool] = False,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> ListRunsResponse:
        """A page of them; those of the runtime's own jobs only if asked for."""
        wanted = RunFilter(
            job_id=script_id,
            status=status,
            status_filter=status_filter,
            job_type=script_type,
            start=in_zone("start", start, tz),
            end=in_zone("end", end, tz),
            prev_run_id=prev_run_id,
            include_system=include_system_runs,
        )
        page = await services.runs.list(workspace_id, wanted, limit, offset)
        items = [render.detailed_run(view) for view in page.items]
        return ListRunsResponse(items=items, limit=limit, offset=offset, total=page.total)

    @post(opt=access("workspace_or_link"), request_max_body_size=_BODY_BYTES, summary="Start one run")
    async def create_run(
        self,
        workspace_id: FromPath[UUID],
        data: JSONBody[CreateRunRequest],
        request: Request[Any, Any, Any],
        services: Services,
        limits: Limits,
        principal: PrincipalOrNobody,
    ) -> TriggeredJob:
        """`mode` `when_not_running` answers with the active run if there is one.

        A job may also be named by the secret of its public link, which needs no credentials and starts the app as it is
        declared, unless it runs.
        """
        if principal is None:
            return render.triggered(await _visit(request, services, limits, workspace_id, data))
        wanted = TriggerInput(profile=data.profile, refresh=data.refresh, skip_freshness=data.skip_freshness)
        services.health.require_room("the run")
        started = await services.jobs.start(
            principal,
            workspace_id,
            data.script_id_or_ref_or_secret,
            data.trigger,
            wanted,
            when_not_running=data.mode == "when_not_running",
        )
        return render.triggered(started)

    @post("/cancel", summary="Cancel the newest active run of each job")
    async def cancel_many(
        self, workspace_id: FromPath[UUID], data: JSONBody[BulkCancelRequest], services: Services, principal: Principal
    ) -> BulkCancelResponse:
        """A dry run only says which those are."""
        done = await services.runs.cancel_jobs(principal, workspace_id, data.job_refs, dry_run=data.dry_run)
        return render.cancelled(done)

    @get("/latest", summary="The newest run")
    async def latest(
        self, workspace_id: FromPath[UUID], services: Services, script_id: FromQuery[UUID | None] = None
    ) -> DetailedRunResponse:
        """Of the workspace or of one job."""
        return render.detailed_run(await services.runs.latest(workspace_id, script_id))

    @get("/{run_id:uuid}", opt=revalidated(), summary="One run")
    async def get_run(
        self,
        workspace_id: FromPath[UUID],
        run_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        services: Services,
        principal: Principal,
        starting: Starting,
        script_id: FromQuery[UUID | None] = None,
    ) -> DetailedRunResponse:
        """With its job."""
        view = await find_run(services, workspace_id, run_id, script_id)
        status = starting.status(principal, request.headers.get("user-agent", ""), view.run)
        return render.detailed_run(view, status)

    @post("/{run_id:uuid}/cancel", summary="Cancel one run")
    async def cancel(
        self, workspace_id: FromPath[UUID], run_id: FromPath[UUID], services: Services, principal: Principal
    ) -> DetailedRunResponse:
        """It is asked to stop, then made to (semantics S2)."""
        return render.detailed_run(await services.runs.cancel(principal, workspace_id, run_id))


async def _visit(
    request: Request[Any, Any, Any], services: Services, limits: Limits, workspace_id: UUID, data: CreateRunRequest
) -> Triggered:
    """What a public link's holder may do: have the app run. NotFoundError unless the link is live, and leads here."""
    secret = uuid_or_text(data.script_id_or_ref_or_secret)
    app = await services.apps.of_link(secret) if isinstance(secret, UUID) else None
    if app is None or app.workspace_id != workspace_id:
        limits.links.count(request)
        raise NotFoundError("no public link of this workspace has this secret", code="link_not_found")
    # For one link and one network: neither who tries out links nor who overdoes it with this one stops anybody else.
    limits.links.count(request, f"{secret} {network_of(request.client and request.client.host)}")
    if data.profile is not None or data.refresh or data.skip_freshness:
        raise RefusedError("a public link starts the app as it is declared, without a profile or a refresh")
    services.health.require_room("the run")
    run = await services.apps.wake(app, None)
    job = (await services.jobs.get(workspace_id, str(run.job_id))).job
    return Triggered(job, run.trigger, (run.trigger,), "triggered", run)


async def find_run(services: Services, workspace_id: UUID, run_id: UUID, script_id: UUID | None) -> RunView:
    """A run of the workspace, and of one job if that is given; NotFoundError if there is none such."""
    view = await services.runs.get(workspace_id, run_id)
    if script_id not in (None, view.job.id):
        raise NotFoundError(f"job `{view.job.job_ref}` has this run, not the job asked for", code="run_not_found")
    return view
