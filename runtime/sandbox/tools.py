"""Finds the programs a sandbox is made with, and tries what they can do on this machine."""

import functools
import shutil
import subprocess
from pathlib import Path

from runtime.domain.checks import NAMESPACE_SETTINGS, namespaces_obstacle
from runtime.domain.model import Frozen
from runtime.errors import UnavailableError

_PROBE_SECONDS = 10
_SYSCTLS = Path("/proc/sys")
_NAMESPACES_HINT = "user namespaces must be allowed: see `man 7 user_namespaces`; in a container, nesting"
# The kernel lets nobody see by a new /proc what is hidden in the present one.
_PROC_HINT = (
    "nothing may be mounted over parts of /proc: under systemd, take ProtectKernelTunables, ProtectKernelLogs "
    "and ProcSubset out of the unit"
)


class SandboxTools(Frozen):
    """Where bubblewrap is, and whether it can forbid user namespaces inside (`--disable-userns`).

    It cannot where /proc/sys is read-only, as in some containers: it writes a limit there. Before version 0.7 it cannot
    bound the directories it keeps in memory either (`--size`).
    """

    bwrap: str = "/usr/bin/bwrap"
    can_disable_userns: bool = True
    can_bound_memory: bool = True


@functools.cache
def find_tools() -> SandboxTools:
    """Look once; a failure is looked at again at the next call. Blocks for some milliseconds.

    Raises:
        UnavailableError: bubblewrap is missing, or the kernel refuses it a user namespace.
    """
    bwrap = find_program("bwrap", "bubblewrap")
    can_bound = _try(bwrap, "--size", "65536", "--tmpfs", "/tmp") is None  # noqa: S108 - inside
    if _try(bwrap, "--disable-userns") is None:
        return SandboxTools(bwrap=bwrap, can_disable_userns=True, can_bound_memory=can_bound)
    complaint = _try(bwrap)
    if complaint is not None:
        raise _no_sandbox(complaint)
    return SandboxTools(bwrap=bwrap, can_disable_userns=False, can_bound_memory=can_bound)


def find_program(name: str, package: str) -> str:
    """The absolute path of a program.

    Raises:
        UnavailableError: it is not on the PATH; the hint names the Debian package.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        raise UnavailableError(
            f"the program `{name}` is not installed", code="sandbox_unavailable", hint=f"apt install {package}"
        )
    return found


def namespace_settings() -> dict[str, int | None]:
    """What this kernel says of `NAMESPACE_SETTINGS`; None for those it has not."""
    return {name: _sysctl(name) for name in NAMESPACE_SETTINGS}


def _sysctl(name: str) -> int | None:
    try:
        return int((_SYSCTLS / name.replace(".", "/")).read_text())
    except (OSError, ValueError):
        return None


def _no_sandbox(complaint: str) -> UnavailableError:
    message, hint = f"bubblewrap cannot make a sandbox: {complaint}", _NAMESPACES_HINT
    if "mount proc" in complaint:
        hint = _PROC_HINT
    elif obstacle := namespaces_obstacle(namespace_settings()):
        why, hint = obstacle
        message = f"{message}; user namespaces: {why}"
    return UnavailableError(message, code="sandbox_unavailable", hint=hint)


def _try(bwrap: str, *options: str) -> str | None:
    command = [bwrap, "--unshare-user", "--unshare-pid", *options, "--ro-bind", "/", "/", "--proc", "/proc"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
