"""Operation of the machine; not part of the contract, and for administrators only."""

import asyncio
from collections.abc import AsyncIterator
from typing import IO, Annotated

from litestar import Controller, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.dispatch.notifications import TargetView
from runtime.wire.errors import ErrorResponse
from runtime.wire.operations import (
    CheckResponse,
    DoctorResponse,
    ListNotifyTargetsResponse,
    NotifyTargetResponse,
)

_BLOCK_BYTES = 1024 * 1024
_TAR = "application/x-tar"
_UNAVAILABLE = ResponseSpec(ErrorResponse, generate_examples=False, description="It could not be done")
WithKeys = Annotated[bool, QueryParameter(description="the signing and the sealing key as well")]


class OperationsController(Controller):
    """Whether it is well, backups, messages."""

    path = "/v1/admin"
    opt = access("admin")
    tags = ("administration (this runtime's own)",)

    @get("/doctor", summary="Look at everything the runtime leans on")
    async def doctor(self, services: Services) -> DoctorResponse:
        """Kernel, sandbox, network, Pythons, disk, clock, permissions, database; takes a second or two."""
        checks = [CheckResponse(**check.model_dump()) for check in await services.operations.examine()]
        return DoctorResponse(healthy=all(check.state != "fail" for check in checks), checks=checks)

    @post(
        "/backup",
        status_code=200,
        summary="Take a backup",
        responses={
            200: ResponseSpec(bytes, generate_examples=False, media_type=_TAR, description="A tar archive"),
            503: _UNAVAILABLE,
        },
    )
    async def backup(self, services: Services, principal: Principal, with_keys: WithKeys = False) -> Stream:
        """A tar archive of the database as it is at this moment, while runs go on; 409 while another is taken."""
        taken = await services.operations.backups.take(principal, with_keys=with_keys)
        headers = {"Content-Length": str(taken.size_bytes)}
        return Stream(_blocks(taken.file), media_type=_TAR, headers=headers)

    @get("/notifications", summary="Who is told of what")
    async def targets(self, services: Services) -> ListNotifyTargetsResponse:
        """As the settings have it, without the addresses."""
        return ListNotifyTargetsResponse(items=[_target(view) for view in await services.operations.notifier.targets()])

    @post(
        "/notifications/{target:str}/test",
        status_code=204,
        summary="Send a test message",
        responses={503: _UNAVAILABLE},
    )
    async def test(self, target: FromPath[str], services: Services) -> None:
        """Answered once it is delivered; 503 says that it was not."""
        await services.operations.notifier.test(target)


async def _blocks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while block := await asyncio.to_thread(file.read, _BLOCK_BYTES):
            yield block


def _target(view: TargetView) -> NotifyTargetResponse:
    return NotifyTargetResponse(
        name=view.name,
        kind=view.kind,
        events=list(view.filters.events),
        workspaces=list(view.filters.workspaces),
        tags=list(view.filters.tags),
        waiting=view.waiting,
    )
