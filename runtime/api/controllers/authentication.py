"""Logging in by device code, exchanging refresh tokens, logging out; under the base address for authentication."""

from typing import Any

from litestar import Controller, Request, post
from litestar.params import JSONBody

from runtime.api.access import access
from runtime.api.dependencies import Limits, Services, Settings
from runtime.errors import InvalidError
from runtime.wire.auth import (
    DeviceFlowLoginRequest,
    DeviceFlowStartResponse,
    LoginResponse,
    LogoutRequest,
    RefreshRequest,
    RefreshResponse,
    TokenExchangeRequest,
)

_BODY_BYTES = 64 * 1024  # strangers send nothing larger


class AuthenticationController(Controller):
    """Open to all, since it is where credentials come from; bounded, see `runtime.api.rate_limits`."""

    path = "/v1"
    opt = access("public")
    tags = ("authentication",)
    request_max_body_size = _BODY_BYTES

    @post("/workos/device-flow/code", summary="Begin a login")
    async def start(
        self, request: Request[Any, Any, Any], services: Services, settings: Settings, limits: Limits
    ) -> DeviceFlowStartResponse:
        """Hands out a device code to poll with and a user code to have approved."""
        limits.logins.count(request)
        client = request.client  # None for the Unix socket
        login = await services.accounts.start_login(client and client.host, request.headers.get("user-agent"))
        page = f"{settings.public_url or str(request.base_url)}".rstrip("/") + "/activate"
        return DeviceFlowStartResponse(
            device_code=login.device_code,
            interval=login.interval_seconds,
            user_code=login.user_code,
            verification_uri=page,
            verification_uri_complete=f"{page}?user_code={login.user_code}",
        )

    @post("/workos/device-flow/token", summary="Poll a login")
    async def finish(
        self,
        data: JSONBody[DeviceFlowLoginRequest],
        request: Request[Any, Any, Any],
        services: Services,
        limits: Limits,
    ) -> LoginResponse:
        """403 while nobody has approved it, 400 when that will not happen any more, else the session, once."""
        is_known = await services.accounts.knows_device_code(data.device_code)
        limits.credentials.count(request, data.device_code if is_known else None)
        session = await services.accounts.finish_login(data.device_code)
        return LoginResponse(
            id=session.user.id,
            email=session.user.email,
            jwt=session.access_token,
            refresh_token=session.refresh_token,
        )

    @post("/workos/token-exchange", summary="Exchange an identity provider's token")
    async def exchange(
        self,
        data: JSONBody[TokenExchangeRequest],  # noqa: ARG002 - read, so that a wrong body is told apart
        request: Request[Any, Any, Any],
        limits: Limits,
    ) -> LoginResponse:
        """Always refused: this runtime trusts no identity provider whose tokens it could be given."""
        limits.credentials.count(request)
        raise InvalidError(
            "this runtime exchanges no tokens of identity providers",
            code="token_exchange",
            hint="log in by `workos/device-flow/code`",
        )

    @post("/auth/refresh", status_code=200, summary="Exchange a refresh token")
    async def refresh(
        self, data: JSONBody[RefreshRequest], request: Request[Any, Any, Any], services: Services, limits: Limits
    ) -> RefreshResponse:
        """The token sent is spent; one that is sent twice ends its login."""
        await _count(request, services, limits, data.refresh_token)
        session = await services.accounts.refresh(data.refresh_token)
        return RefreshResponse(jwt=session.access_token, refresh_token=session.refresh_token)

    @post("/auth/logout", status_code=204, summary="Log out")
    async def logout(
        self, data: JSONBody[LogoutRequest], request: Request[Any, Any, Any], services: Services, limits: Limits
    ) -> None:
        """Ends the login that the token belongs to; 204 as well where that has ended, or there is no such token."""
        await _count(request, services, limits, data.refresh_token)
        await services.accounts.logout(data.refresh_token)

    @post("/auth/logout-all-devices", status_code=204, summary="Log out everywhere")
    async def logout_everywhere(
        self, data: JSONBody[LogoutRequest], request: Request[Any, Any, Any], services: Services, limits: Limits
    ) -> None:
        """Ends every login of the token's user; with a token that is spent only the one it belongs to."""
        await _count(request, services, limits, data.refresh_token)
        await services.accounts.logout(data.refresh_token, everywhere=True)


async def _count(request: Request[Any, Any, Any], services: Services, limits: Limits, refresh_token: str) -> None:
    is_known = await services.accounts.knows_refresh_token(refresh_token)
    limits.credentials.count(request, refresh_token if is_known else None)
