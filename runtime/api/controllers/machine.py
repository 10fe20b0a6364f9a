"""The machine that runs go on."""

from litestar import Controller, get

from runtime.api.access import access
from runtime.api.dependencies import Services, Settings
from runtime.wire.machine import MachineResponse, MachineSizeResponse


class MachineController(Controller):
    """What it has and has left."""

    path = "/v1/machine"
    opt = access("authenticated")
    tags = ("machine (this runtime's own)",)

    @get(summary="Memory, disk and machine sizes")
    async def look(self, services: Services, settings: Settings) -> MachineResponse:
        """For everybody who has an account: whose run waits for memory or disk wants to know how much there is."""
        view = await services.machine.look()
        return MachineResponse(
            memory_bytes=view.memory,
            memory_available_bytes=view.memory_available,
            disk_bytes=view.disk,
            disk_free_bytes=view.disk_free,
            disk_reserved_bytes=view.disk_reserved,
            disk_is_short=view.disk_free < view.disk_reserved,
            daemon_memory_bytes=view.daemon_memory,
            processors=view.processors,
            base_url=settings.base_url,
            sizes=[
                MachineSizeResponse(
                    name=size.name, memory_bytes=size.memory, cpus=size.cpus, tasks=size.tasks, disk_bytes=size.disk
                )
                for size in view.sizes
            ],
        )
