"""What anybody may ask: whether the runtime is there, and how to approve a login."""

from litestar import Controller, get
from litestar.params import FromQuery

from runtime.api.access import access
from runtime.auth.codes import is_user_code, normalise_user_code
from runtime.wire.ping import PingResponse


class PingController(Controller):
    """Liveness, for both base addresses."""

    path = "/v1/ping"
    opt = access("public")
    tags = ("health",)

    @get(summary="Whether the runtime is there")
    async def ping(self) -> PingResponse:
        """Answers without credentials."""
        return PingResponse(message="pong", service="dlt-runtime")


class ActivationController(Controller):
    """Where a device login sends its person."""

    path = "/activate"
    opt = access("public")

    @get(media_type="text/plain", include_in_schema=False)
    async def activate(self, user_code: FromQuery[str | None] = None) -> str:
        """Says what to do on the machine; approval is a matter for its administrators, not for this page."""
        known = user_code is not None and is_user_code(user_code)
        code = normalise_user_code(user_code) if known and user_code else "CODE"
        return (
            "To let this login in, an administrator runs on the runtime's machine:\n\n"
            f"    dlt-runtime auth approve {code}\n\n"
            "with --email EMAIL where the machine has several users.\n"
        )
