"""Webhooks: their tokens, for the owners of jobs, and the address that the world calls (semantics T7)."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from runtime.api.access import access
from runtime.api.dependencies import Limits, Principal, Services, Settings
from runtime.dispatch.hooks import HookView
from runtime.errors import UnauthenticatedError
from runtime.settings import MIB
from runtime.settings import Settings as DaemonSettings
from runtime.wire.schedules import CreatedHookResponse, HookCallResponse, HookResponse, ListHooksResponse

HOOKS_PREFIX = "/hooks"
MOST_BYTES = MIB
"""Of a call's body (semantics T7)."""


class HookController(Controller):
    """Tokens for the webhooks of one job."""

    path = "/v1/workspaces/{workspace_id:uuid}/scripts/{script_id_or_ref:str}/hooks"
    opt = access("workspace")
    tags = ("webhooks (this runtime's own)",)

    @get(summary="Tokens of a job's webhooks")
    async def list_hooks(
        self, workspace_id: FromPath[UUID], script_id_or_ref: FromPath[str], services: Services, settings: Settings
    ) -> ListHooksResponse:
        """Never their secrets."""
        hooks = await services.hooks.list(workspace_id, script_id_or_ref)
        return ListHooksResponse(items=[HookResponse(**_hook(hook, settings)) for hook in hooks])

    @post(summary="Create a token")
    async def create_hook(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        services: Services,
        settings: Settings,
        principal: Principal,
    ) -> CreatedHookResponse:
        """Shown this once."""
        created = await services.hooks.create(principal, workspace_id, script_id_or_ref)
        return CreatedHookResponse(**_hook(created.hook, settings), token=created.secret)

    @delete("/{hook_id:uuid}", summary="Revoke a token")
    async def revoke_hook(
        self,
        workspace_id: FromPath[UUID],
        script_id_or_ref: FromPath[str],
        hook_id: FromPath[UUID],
        services: Services,
        principal: Principal,
    ) -> None:
        """What uses it is refused from now on; doing it twice changes nothing."""
        await services.hooks.revoke(principal, workspace_id, script_id_or_ref, hook_id)


class HookCallController(Controller):
    """Where webhooks are called: outside the API, and open to all who have a hook's token."""

    path = HOOKS_PREFIX
    opt = access("public")
    tags = ("webhooks (this runtime's own)",)

    @post(
        "/{workspace:str}/{hook_path:path}",
        status_code=202,
        request_max_body_size=None,
        summary="Call a webhook",
    )
    async def call(
        self,
        workspace: FromPath[str],
        hook_path: FromPath[str],
        request: Request[Any, Any, Any],
        services: Services,
        limits: Limits,
    ) -> Response[HookCallResponse]:
        """The token comes as `Authorization: Bearer` or `X-Hook-Token`; 409 says why the job does not start now."""
        try:
            secret = _secret(request)
            await services.hooks.authenticate(workspace, hook_path, secret)
        except UnauthenticatedError:
            limits.hooks.count(request)
            raise
        limits.hooks.count(request, secret)
        services.health.require_room("the run")
        body = await _body(request)
        started = await services.hooks.call(workspace, hook_path, secret, request.headers.multi_items(), body)
        run = None if started.skip else started.run
        answer = HookCallResponse(
            job_ref=started.job.job_ref,
            status=started.skip.outcome if started.skip else "triggered",
            run_id=run.id if run else None,
            run_number=run.number if run else None,
            reason=started.skip.reason if started.skip else None,
        )
        return Response(answer, status_code=409 if started.skip else 202)


def _secret(request: Request[Any, Any, Any]) -> str:
    """The token of a call. Raises UnauthenticatedError if there is none."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    secret = request.headers.get("x-hook-token") or (bearer if scheme.lower() == "bearer" else "")
    if not secret.strip():
        raise UnauthenticatedError(
            "no hook token was sent", code="hook_token", hint="send it as `Authorization: Bearer` or `X-Hook-Token`"
        )
    return secret.strip()


async def _body(request: Request[Any, Any, Any]) -> bytes:
    """The whole body. Raises HTTPException 413 as soon as it is known to be too large."""
    announced = request.headers.get("content-length", "")
    body = bytearray()
    if not announced.isdigit() or int(announced) <= MOST_BYTES:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                break
        else:
            return bytes(body)
    raise HTTPException(status_code=413, detail=f"the body is larger than a webhook takes, {MOST_BYTES:,} bytes")


def _hook(view: HookView, settings: DaemonSettings) -> dict[str, Any]:
    return {
        "id": view.token.id,
        "job_ref": view.job.job_ref,
        "urls": [f"{settings.base_url}{HOOKS_PREFIX}/{view.job.workspace_id}/{path}" for path in view.paths],
        "created_by": view.token.created_by,
        "date_added": view.token.created_at,
        "date_used": view.token.used_at,
        "date_revoked": view.token.revoked_at,
    }
