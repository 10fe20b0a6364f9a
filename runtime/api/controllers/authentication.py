"""Logging in by device code, exchanging refresh tokens, logging out; under the base address for authentication."""

from typing import Any

from litestar import Controller, Request, post
from litestar.middleware.rate_limit import RateLimitConfig
from litestar.params import JSONBody

from runtime.api.access import access
from runtime.api.dependencies import Services, Settings
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

# Codes and tokens are 256 random bits, so this is not against guessing. It keeps one address from filling the bounded
# table of waiting logins, and leaves room for some people behind one proxy, each polling every other second.
_RATE_LIMIT = RateLimitConfig(rate_limit=("minute", 240), set_rate_limit_headers=False)


_BODY_BYTES = 64 * 1024  # strangers send nothing larger


class AuthenticationController(Controller):
    """Open to all, since it is where credentials come from; bounded for each address."""

    path = "/v1"
    opt = access("public")
    tags = ("authentication",)
    middleware = (_RATE_LIMIT.middleware,)
    request_max_body_size = _BODY_BYTES

    @post("/workos/device-flow/code", summary="Begin a login")
    async def start(
        self, request: Request[Any, Any, Any], services: Services, settings: Settings
    ) -> DeviceFlowStartResponse:
        """Hands out a device code to poll with and a user code to have approved."""
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
    async def finish(self, data: JSONBody[DeviceFlowLoginRequest], services: Services) -> LoginResponse:
        """403 while nobody has approved it, 400 when that will not happen any more, else the session, once."""
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
    ) -> LoginResponse:
        """Always refused: this runtime trusts no identity provider whose tokens it could be given."""
        raise InvalidError(
            "this runtime exchanges no tokens of identity providers",
            code="token_exchange",
            hint="log in by `workos/device-flow/code`",
        )

    @post("/auth/refresh", status_code=200, summary="Exchange a refresh token")
    async def refresh(self, data: JSONBody[RefreshRequest], services: Services) -> RefreshResponse:
        """The token sent is spent; one that is sent twice ends its login."""
        session = await services.accounts.refresh(data.refresh_token)
        return RefreshResponse(jwt=session.access_token, refresh_token=session.refresh_token)

    @post("/auth/logout", status_code=204, summary="Log out")
    async def logout(self, data: JSONBody[LogoutRequest], services: Services) -> None:
        """Ends the login that the token belongs to."""
        await services.accounts.logout(data.refresh_token)

    @post("/auth/logout-all-devices", status_code=204, summary="Log out everywhere")
    async def logout_everywhere(self, data: JSONBody[LogoutRequest], services: Services) -> None:
        """Ends every login of the token's user."""
        await services.accounts.logout(data.refresh_token, everywhere=True)
