"""Machine sizes: how much memory, processor, processes and disk a run may use, and which size a job asks for.

A job names a size, `require.machine` (manifest engine 1) or `require.instance.size` (engine 2); one that names none
gets the size `default`. What each size means is the operator's to say, in the settings.
"""

from collections.abc import Mapping
from typing import Literal

from runtime.domain.model import Frozen
from runtime.errors import InvalidError
from runtime.sizes import bytes_text

DEFAULT_MACHINE = "default"

StopCause = Literal["memory", "disk"]


class Machine(Frozen):
    """What a run of this size may use; None is no limit.

    Attributes:
        memory: Bytes, of all its processes together, with what they keep in memory as files.
        cpus: Processors' worth of time, 0.5 for half of one.
        tasks: Processes and threads at a time.
        disk: Bytes its working copy and scratch files take, and it adds to its persistent data.
    """

    name: str = DEFAULT_MACHINE
    memory: int | None = None
    cpus: float | None = None
    tasks: int | None = None
    disk: int | None = None


class Overuse(Frozen):
    """Why the runtime stopped a run: what it used and what it might have used, in bytes.

    `detail` says what cannot be said in numbers.
    """

    cause: StopCause
    used: int
    limit: int
    machine: str = DEFAULT_MACHINE
    detail: str | None = None


def choose_machine(sizes: Mapping[str, Machine], wanted: str | None) -> Machine:
    """The size a job runs on.

    Raises:
        InvalidError: the operator has not described that size.
    """
    machine = sizes.get(wanted or DEFAULT_MACHINE)
    if machine is None:
        raise InvalidError(
            unknown_machine_message(sizes, wanted or DEFAULT_MACHINE),
            code="machine",
            hint=f"describe it in the daemon's settings, [machines.{wanted}], or ask for another",
        )
    return machine


def unknown_machine_message(sizes: Mapping[str, Machine], wanted: str) -> str:
    """Says which sizes there are when `wanted` is none of them."""
    known = ", ".join(f"`{name}`" for name in sorted(sizes)) or "none"
    return f"there is no machine size `{wanted}` here; there are {known}"


def overuse_reason(overuse: Overuse) -> str:
    """One line a person can act on (semantics S6)."""
    amount = f"{bytes_text(overuse.used)} of the {bytes_text(overuse.limit)} of machine size `{overuse.machine}`"
    if overuse.cause == "memory":
        return f"killed for memory: it used {amount}"
    if overuse.detail is not None:
        return f"killed for disk space: {overuse.detail}"
    return f"killed for disk space: its files took {amount}"
