"""The moments at which the daemon is killed, each hit from outside (see the package's own words)."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.processes import DaemonProcess

PATIENCE_SECONDS = 4.0
"""A moment that does not come within this time is not waited for any longer: the daemon is killed all the same."""
_LOOK_SECONDS = 0.0005


class Moment(Protocol):
    """When to kill; `kill` says whether the moment came."""

    @property
    def name(self) -> str:
        """For the report."""
        ...

    @property
    def at_start(self) -> bool:
        """Counted from the daemon's first breath, not from when it serves: it dies while it takes up what it finds."""
        ...

    def wait(self, daemon: DaemonProcess) -> bool:
        """Return at the moment; True if it came. The daemon may be dead by then."""
        ...


@dataclass(frozen=True)
class AfterTime:
    """A while after it serves, or after it was started."""

    seconds: float
    at_start: bool = False

    @property
    def name(self) -> str:
        return "while it starts" if self.at_start else "at any time"

    def wait(self, daemon: DaemonProcess) -> bool:
        time.sleep(self.seconds)
        return True


@dataclass(frozen=True)
class WhenSeen:
    """Some microseconds after something has changed on the disk; `look` gives what is compared."""

    name: str
    look: Callable[[Path], object]
    after: float
    at_start: bool = False

    def wait(self, daemon: DaemonProcess) -> bool:
        before, until = self.look(daemon.state), time.monotonic() + PATIENCE_SECONDS
        while self.look(daemon.state) == before:
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_SECONDS)
        until = time.perf_counter() + self.after
        while time.perf_counter() < until:
            pass  # too short to sleep
        return True


@dataclass(frozen=True)
class AtCall:
    """As the daemon enters its `count`-th system call of a kind, counted for each of its threads."""

    name: str
    calls: str
    count: int
    at_start: bool = False

    def wait(self, daemon: DaemonProcess) -> bool:
        # What the daemon starts is let go of as soon as it is another program.
        strace = ["strace", "-f", "-qq", "-b", "execve", "-o", "/dev/null", "-e", f"trace={self.calls}"]
        strace += ["-e", f"inject={self.calls}:signal=SIGKILL:when={self.count}", "-p", str(daemon.pid)]
        with subprocess.Popen(strace, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracing:
            try:
                return tracing.wait(PATIENCE_SECONDS) == 0
            except subprocess.TimeoutExpired:
                return False
            finally:
                # Asked to end, it would first wait for each of its threads to stop, and one that waits for what it
                # has forked, itself stopped, never does; the kernel lets go of all at once.
                tracing.kill()


def _size(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _names(directory: Path) -> frozenset[str]:
    return frozenset(path.name for path in directory.glob("*"))


def _sizes(directory: Path) -> dict[str, int]:
    return {path.name: _size(path) for path in directory.glob("*.log")}


SEEN: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("when the database is written", lambda state: _size(state / "runtime.db-wal")),
    ("when a working copy comes or goes", lambda state: _names(state / "runs")),
    ("when a log or status file comes or goes", lambda state: _names(state / "live")),
    ("when a log grows", lambda state: _sizes(state / "live")),
)
CALLS: tuple[tuple[str, str, int], ...] = (
    ("entering a write to the database", "pwrite64", 40),
    ("entering a sync of the database", "fdatasync", 12),
    ("entering a mkdir", "/^mkdir", 12),
    ("entering a fork", "/^v?fork|^clone", 3),
    ("opening a process", "pidfd_open", 4),
    ("entering an unlink", "/^unlink", 8),
    ("entering a rmdir", "/^rmdir|^unlinkat", 6),
)


def can_trace() -> bool:
    """Whether moments at system calls can be had: strace is there, and the kernel lets it look at a neighbour."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return shutil.which("strace") is not None and (not scope.exists() or scope.read_text().strip() == "0")


def moments(seed: int, kills: int, *, traced: bool) -> list[Moment]:
    """The same moments for the same seed: a fifth at any time, a fifth in its start, the others where it hurts."""
    dice = random.Random(seed)
    found: list[Moment] = []
    for number in range(kills):
        kind = number % 5
        if kind == 0:
            found.append(AfterTime(dice.uniform(0, 1.5)))
        elif kind == 1:
            found.append(AfterTime(dice.uniform(0, 2.5), at_start=True))
        elif kind == 2 or not traced:
            name, look = dice.choice(SEEN)
            found.append(WhenSeen(name, look, dice.uniform(0, 0.004)))
        else:
            label, calls, most = dice.choice(CALLS)
            found.append(AtCall(label, calls, dice.randint(1, most)))
    return found
