"""Administration of this machine; not part of the contract, and open only to those who come through its socket."""

import asyncio
from uuid import UUID

from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from runtime.api import render
from runtime.api.access import access
from runtime.api.dependencies import Principal, Services, Settings
from runtime.api.version import VERSION
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from runtime.wire.admin import (
    CreatedTokenResponse,
    CreateTokenRequest,
    CreateUserRequest,
    DeviceApprovalRequest,
    DeviceApprovalResponse,
    ListTokensResponse,
    ListUsersResponse,
    SetPasswordRequest,
    StatusResponse,
    UserResponse,
)
from runtime.wire.certificates import fingerprint_of_file


class AdminController(Controller):
    """Who may log in, and how the daemon is."""

    path = "/v1/admin"
    opt = access("admin")
    tags = ("administration (this runtime's own)",)

    @get("/status", summary="How the daemon is")
    async def status(self, services: Services, settings: Settings) -> StatusResponse:
        """Answered once everything has started."""
        counts = await services.workspaces.counts()
        base, cert = settings.base_url, settings.tls.cert
        return StatusResponse(
            version=VERSION,
            state_dir=str(settings.state_dir),
            socket=str(settings.socket),
            api_base_url=base + API_PREFIX,
            auth_base_url=base + AUTH_PREFIX,
            tls_fingerprint=await asyncio.to_thread(fingerprint_of_file, cert) if cert else None,
            users=counts.users,
            workspaces=counts.workspaces,
            jobs=counts.jobs,
            active_runs=counts.active_runs,
        )

    @post("/device-approvals", summary="Let a login in")
    async def approve(
        self, data: JSONBody[DeviceApprovalRequest], services: Services, principal: Principal
    ) -> DeviceApprovalResponse:
        """As the user named, or as the only one there is."""
        user = await services.accounts.approve_login(principal, data.user_code, data.email)
        return DeviceApprovalResponse(user_code=data.user_code, email=user.email)

    @get("/users", summary="Users")
    async def list_users(self, services: Services) -> ListUsersResponse:
        """Everybody, by email."""
        return ListUsersResponse(items=[render.user(user) for user in await services.accounts.users()])

    @post("/users", summary="Add a user")
    async def add_user(
        self, data: JSONBody[CreateUserRequest], services: Services, principal: Principal
    ) -> UserResponse:
        """They may log in from now on; who was taken out comes back. A password that will not do changes nothing."""
        if data.password is None:
            return render.user(await services.accounts.add_user(principal, data.email))
        password = data.password.get_secret_value()
        services.sign_in.check_new_password(data.email, password)
        user = await services.accounts.add_user(principal, data.email)
        await services.sign_in.set_password(principal, user.email, password)
        return render.user(user)

    @put("/passwords", status_code=204, summary="Set a user's password")
    async def set_password(self, data: JSONBody[SetPasswordRequest], services: Services, principal: Principal) -> None:
        """With which they can sign in at the page that approves logins; their browsers are signed out."""
        await services.sign_in.set_password(principal, data.email, data.password.get_secret_value())

    @get("/tokens", summary="Machine tokens")
    async def list_tokens(self, services: Services) -> ListTokensResponse:
        """All of them, newest first; never the tokens themselves."""
        tokens = await services.accounts.machine_tokens()
        return ListTokensResponse(items=[render.machine_token(token) for token in tokens])

    @post("/tokens", summary="Issue a machine token")
    async def create_token(
        self, data: JSONBody[CreateTokenRequest], services: Services, principal: Principal
    ) -> CreatedTokenResponse:
        """The token is in the answer and nowhere else."""
        token, text = await services.accounts.create_machine_token(
            principal, data.email, data.workspace, data.days, data.role or "owner"
        )
        return CreatedTokenResponse(**dict(render.machine_token(token)), token=text, joined_as=token.joined_as)

    @delete("/tokens/{token_id:uuid}", summary="Revoke a machine token")
    async def revoke_token(self, token_id: FromPath[UUID], services: Services, principal: Principal) -> None:
        """It is refused from now on."""
        await services.accounts.revoke_machine_token(principal, token_id)
