"""The key that configurations are sealed with; not part of the contract, and for administrators only."""

from litestar import Controller, post

from runtime.api.access import access
from runtime.api.dependencies import Principal, Services
from runtime.wire.keys import RotatedKeyResponse


class KeyController(Controller):
    """The key itself never leaves the daemon."""

    path = "/v1/admin/keys"
    opt = access("admin")
    tags = ("administration (this runtime's own)",)

    @post("/rotate", summary="Replace the sealing key")
    async def rotate(self, services: Services, principal: Principal) -> RotatedKeyResponse:
        """Seals every configuration with a new key, and answers once the old one is gone; runs and uploads go on.

        Broken off, it is ended by the next start or the next call. A key that comes from systemd is refused.
        """
        done = await services.keys.rotate(principal)
        return RotatedKeyResponse(key_id=done.key_id, resealed_files=done.resealed, unreadable_files=done.unreadable)
