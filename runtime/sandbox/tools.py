"""Finds the programs a sandbox is made with, and tries what they can do on this machine."""

import functools
import shutil
import subprocess

from runtime.domain.model import Frozen
from runtime.errors import UnavailableError

_PROBE_SECONDS = 10
_NAMESPACES_HINT = (
    "unprivileged user namespaces must be allowed: see user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns in sysctl"
)
# The kernel lets nobody see by a new /proc what is hidden in the present one.
_PROC_HINT = (
    "nothing may be mounted over parts of /proc: under systemd, take ProtectKernelTunables, ProtectKernelLogs "
    "and ProcSubset out of the unit"
)


class SandboxTools(Frozen):
    """Where bubblewrap is, and whether it can forbid user namespaces inside (`--disable-userns`).

    It cannot where /proc/sys is read-only, as in some containers: it writes a limit there.
    """

    bwrap: str = "/usr/bin/bwrap"
    can_disable_userns: bool = True


@functools.cache
def find_tools() -> SandboxTools:
    """Look once; a failure is looked at again at the next call. Blocks for some milliseconds.

    Raises:
        UnavailableError: bubblewrap is missing, or the kernel refuses it a user namespace.
    """
    bwrap = find_program("bwrap", "bubblewrap")
    if _try(bwrap, "--disable-userns") is None:
        return SandboxTools(bwrap=bwrap, can_disable_userns=True)
    complaint = _try(bwrap)
    if complaint is not None:
        raise UnavailableError(
            f"bubblewrap cannot make a sandbox: {complaint}",
            code="sandbox_unavailable",
            hint=_PROC_HINT if "mount proc" in complaint else _NAMESPACES_HINT,
        )
    return SandboxTools(bwrap=bwrap, can_disable_userns=False)


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
