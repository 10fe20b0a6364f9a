"""The machine that runs go on. This runtime's own."""

from runtime.wire.connection import Connection
from runtime.wire.model import WireModel


class MachineSizeResponse(WireModel):
    """A size that jobs may ask for; what is left out has no limit."""

    name: str
    memory_bytes: int | None = None
    cpus: float | None = None
    tasks: int | None = None
    disk_bytes: int | None = None


class MachineResponse(WireModel):
    """What it has and has left; `disk` is the file system of the state directory, a part of which is kept in reserve
    for the ends of runs (`disk_is_short`: that has been touched, new work is refused), `daemon` the runtime's own
    process, and `base_url` how browsers reach it, as far as it knows."""

    memory_bytes: int
    memory_available_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    disk_reserved_bytes: int
    disk_is_short: bool
    daemon_memory_bytes: int
    processors: int
    base_url: str
    sizes: list[MachineSizeResponse]


def ask_machine(connection: Connection) -> MachineResponse:
    """The machine at this moment; raises as `runtime.wire.client`."""
    return connection.ask(MachineResponse, "GET", "/v1/machine")
