"""Limits by control groups (version 2): the kernel counts and enforces, for all processes of a run together.

The daemon owns a part of the tree: under systemd the unit's, which `Delegate=yes` hands over. No group may hold both
processes and groups with limits, so the daemon moves itself, and whatever else is there, into `daemon`; each run gets
`runs/<run id>`. Runs outlive the daemon in theirs, and the next daemon finds them by their names. Builds, which end
with the daemon, have theirs beside them, `runs/build-<random>`.

Where there is no version 2, no controller, or no right to it, `ControlGroups.open` gives None.
"""

import contextlib
import os
import secrets
import time
from pathlib import Path

import structlog

from runtime.domain.machines import Machine
from runtime.domain.model import Frozen

CGROUP_ROOT = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
WANTED = ("memory", "pids", "cpu")

_DAEMON, _RUNS, _BUILD = "daemon", "runs", "build-"
_PERIOD_MICROSECONDS = 100_000
_DAEMON_WEIGHT, _RUNS_WEIGHT = 400, 100  # of the processor, where there is not enough for all
_REMOVE_LOOKS, _LOOK_SECONDS = 40, 0.005

log = structlog.get_logger()


class GroupUsage(Frozen):
    """What a run's group has seen: the most memory at a time, in bytes, and how many processes died for want of it."""

    peak_memory: int | None
    memory_kills: int


class ControlGroups:
    """The groups of one daemon's runs.

    Attributes:
        controllers: Which of `WANTED` are in force.
    """

    def __init__(self, base: Path, controllers: frozenset[str]) -> None:
        """Use `open`."""
        self._runs = base / _RUNS
        self.controllers = controllers

    @classmethod
    def open(cls, root: Path = CGROUP_ROOT, own: Path = OWN_CGROUP) -> "ControlGroups | None":
        """Take the daemon's part of the tree into use; None where it has none with a controller of use.

        Args:
            root: Where version 2 is mounted.
            own: Says which group this process is in.
        """
        base = _base_of(root, own)
        if base is None or not os.access(base / "cgroup.procs", os.W_OK) or not _is_handed_over(base):
            return None
        offered = _words(base / "cgroup.controllers") & set(WANTED)
        if "memory" not in offered:
            return None
        try:
            for name in (_DAEMON, _RUNS):
                (base / name).mkdir(exist_ok=True)
            _move_all(base, base / _DAEMON)
            given = frozenset(name for name in WANTED if name in offered and _enable(base, name))
            enabled = frozenset(name for name in given if _enable(base / _RUNS, name))
        except OSError as error:
            log.warning("The control group cannot be used", action="cgroups.open", group=str(base), error=str(error))
            return None
        if "memory" not in enabled:
            return None
        if "cpu" in enabled:
            _write(base / _DAEMON / "cpu.weight", _DAEMON_WEIGHT)
            _write(base / _RUNS / "cpu.weight", _RUNS_WEIGHT)
        return cls(base, enabled)

    def create(self, name: str, machine: Machine) -> Path:
        """A new group with the machine's limits; a process joins by writing itself into its `cgroup.procs`.

        Raises:
            OSError: it cannot be made.
        """
        self.remove(name)
        group = self._runs / name
        group.mkdir()
        self.limit(name, machine)
        return group

    def limit(self, name: str, machine: Machine) -> None:
        """Put a machine's limits on a group, if it is there.

        Raises:
            OSError: they cannot be put on it.
        """
        group = self._runs / name
        if not group.is_dir():
            return
        for file, value in limits_of(machine, self.controllers).items():
            _write(group / file, value)
        # A job of which one process was killed is not a job that goes on.
        with contextlib.suppress(OSError):
            _write(group / "memory.oom.group", 1)

    def usage(self, name: str) -> GroupUsage | None:
        """What a run's group has counted so far; None if there is no such group."""
        group = self._runs / name
        try:
            events = dict(line.split() for line in (group / "memory.events").read_text().splitlines())
        except (OSError, ValueError):
            return None
        peak: int | None = None
        for file in ("memory.peak", "memory.current"):  # the first since Linux 5.19
            with contextlib.suppress(OSError, ValueError):
                peak = int((group / file).read_text())
                break
        return GroupUsage(peak_memory=peak, memory_kills=int(events.get("oom_kill", 0)))

    def remove(self, name: str) -> None:
        """Remove a run's group, ending what is left in it; blocks for a moment where something is."""
        group = self._runs / name
        for _ in range(_REMOVE_LOOKS):
            try:
                group.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                with contextlib.suppress(OSError):
                    _write(group / "cgroup.kill", 1)
                time.sleep(_LOOK_SECONDS)  # the kernel offers nothing to wait on but a file per group
            else:
                return
        log.warning("A run's control group could not be removed", action="cgroups.remove", group=str(group))

    def names(self) -> set[str]:
        """The runs that have a group."""
        return {name for name in self._all() if not name.startswith(_BUILD)}

    def create_for_build(self, machine: Machine) -> Path:
        """A new group for a build, as `create` makes it for a run; `remove` it by its name.

        Raises:
            OSError: it cannot be made.
        """
        return self.create(f"{_BUILD}{secrets.token_hex(8)}", machine)

    def remove_builds(self) -> None:
        """Remove the groups of builds that an earlier daemon did not finish; only while none runs."""
        for name in self._all() - self.names():
            self.remove(name)

    def _all(self) -> set[str]:
        return {path.name for path in self._runs.iterdir() if path.is_dir()}


def _base_of(root: Path, own: Path) -> Path | None:
    """The daemon's part of the tree, also where the process asking is in the group `daemon` of it already."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if path is None or not (root / "cgroup.controllers").exists():
        return None
    base = root / path
    return base.parent if base.name == _DAEMON else base


def _is_handed_over(base: Path) -> bool:
    """Whether systemd has given this group away: what a user may write is not the user's to rearrange yet.

    It marks such groups since version 251; before, being a service's main process has to do.
    """
    with contextlib.suppress(OSError):
        if os.getxattr(base, "user.delegate") == b"1":
            return True
    return os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def limits_of(machine: Machine, controllers: frozenset[str]) -> dict[str, str | int]:
    """A machine size as the files of a group and what to write into them. Pure."""
    limits: dict[str, str | int] = {}
    if machine.memory is not None:
        limits |= {"memory.max": machine.memory, "memory.swap.max": 0}
    if machine.tasks is not None and "pids" in controllers:
        # Two more for bubblewrap's own: the one outside and the init.
        limits["pids.max"] = machine.tasks + 2
    if machine.cpus is not None and "cpu" in controllers:
        limits["cpu.max"] = f"{int(machine.cpus * _PERIOD_MICROSECONDS)} {_PERIOD_MICROSECONDS}"
    return limits


def _move_all(base: Path, leaf: Path) -> None:
    """Whatever is in the base, the daemon first of all, and what an earlier one left there."""
    for pid in [str(os.getpid()), *(base / "cgroup.procs").read_text().split()]:
        with contextlib.suppress(ProcessLookupError):
            _write(leaf / "cgroup.procs", pid)


def _enable(group: Path, controller: str) -> bool:
    try:
        _write(group / "cgroup.subtree_control", f"+{controller}")
    except OSError as error:
        log.debug("A controller cannot be enabled", group=str(group), controller=controller, error=str(error))
        return False
    return True


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _write(file: Path, value: str | int) -> None:
    """As the kernel wants it: one `write`, into a file that is there."""
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)
