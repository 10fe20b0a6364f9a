"""By what each limit of a machine size is kept on this machine, and what comes right before the program inside. Pure.

Limits of the process are put on inside, last before the program: the number of processes counts per user namespace
there (since Linux 5.14), outside it would count those of all runs together.
"""

from dataclasses import dataclass, field
from typing import Literal

from runtime.domain.machines import Machine
from runtime.domain.model import Frozen
from runtime.sandbox.cgroups import ControlGroups
from runtime.sandbox.ledger import DiskLedger

_COUNTS_PER_NAMESPACE = (5, 14)
_PRLIMIT = "/usr/bin/prlimit"  # by its full name: the first in the search path is the job's own environment
_OWN_TASKS = 1  # bubblewrap's init
_FEWEST_BYTES_IN_MEMORY = 64 * 1024**2

How = Literal["control group", "watched", "process limit", "not"]


class LimitsInForce(Frozen):
    """By what each limit of a machine size is kept here."""

    memory: How
    cpus: How
    tasks: How
    disk: How = "watched"

    @property
    def shortcomings(self) -> list[str]:
        """What cannot be had here, in sentences for the log and for `doctor`."""
        found = []
        if self.memory == "watched":
            found.append(
                "memory is looked at some times a second, not limited by the kernel, and not while the daemon is down"
            )
        if self.cpus == "not":
            found.append("the processor time of a run is not limited; runs only come after the daemon")
        if self.tasks == "not":
            found.append("the number of a run's processes is not limited: Linux 5.14 or control groups would do it")
        return found


@dataclass(frozen=True)
class Confinement:
    """A machine size, and what keeps a sandbox within it; `groups` is None where there are no control groups."""

    machine: Machine
    limits: LimitsInForce
    groups: ControlGroups | None = None
    ledger: DiskLedger = field(default_factory=DiskLedger)


def limits_in_force(controllers: frozenset[str] | None, kernel: tuple[int, int]) -> LimitsInForce:
    """What is enforced with these controllers of control groups (None: no groups) on this kernel."""
    given = controllers or frozenset()
    return LimitsInForce(
        memory="control group" if "memory" in given else "watched",
        cpus="control group" if "cpu" in given else "not",
        tasks=("control group" if "pids" in given else "process limit" if kernel >= _COUNTS_PER_NAMESPACE else "not"),
    )


def inside(machine: Machine, limits: LimitsInForce, largest_file: int | None) -> list[str]:
    """What comes right before the program inside.

    Args:
        largest_file: Bytes; no file grows beyond.
    """
    argv = [_PRLIMIT, "--core=0"]
    if limits.tasks == "process limit" and machine.tasks is not None:
        argv.append(f"--nproc={machine.tasks + _OWN_TASKS}")
    if largest_file is not None:
        argv.append(f"--fsize={largest_file}")
    return [*argv, "--"]


def in_memory_bytes(machine: Machine) -> int | None:
    """How much each directory that is kept in memory may hold: half of the machine's memory."""
    return None if machine.memory is None else max(machine.memory // 2, _FEWEST_BYTES_IN_MEMORY)
