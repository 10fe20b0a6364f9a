"""What this machine lets an ordinary user do, tried out: for `doctor`. Everything here blocks for moments."""

import os
import platform
import subprocess
from pathlib import Path

from runtime.domain.checks import Check, fail, kernel_check, namespaces_check, ok, warn
from runtime.errors import UnavailableError
from runtime.sandbox.tools import find_program, find_tools, namespace_settings

_TUN = Path("/dev/net/tun")
# Making a namespace alone is no trial: Ubuntu's AppArmor lets everybody make one, and takes away what it is for. What
# needs the new user's privileges, by a program that is started inside, is.
_NAMESPACES_TRIAL = ("unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/tmp")  # noqa: S108 - inside
_TRY_SECONDS = 10


def machine_checks(network_mode: str) -> list[Check]:
    """Kernel, namespaces, bubblewrap, pasta, control groups.

    Args:
        network_mode: `isolated`, or `host`, which needs no pasta.
    """
    bubblewrap = _bubblewrap()
    # Where bubblewrap makes them it has been let, whatever others may: Ubuntu's AppArmor goes by program.
    complaint = None if bubblewrap.state != "fail" else _complaint([*_NAMESPACES_TRIAL])
    return [
        kernel_check(platform.release()),
        namespaces_check(namespace_settings(), complaint),
        bubblewrap,
        *_network(network_mode),
        _control_groups(),
    ]


def _bubblewrap() -> Check:
    name = "bubblewrap"
    try:
        tools = find_tools()
    except UnavailableError as error:
        return fail(name, error.message, _as_root(error.hint))
    version = _said([tools.bwrap, "--version"])
    if not tools.can_disable_userns:
        return warn(name, f"{version}, but it cannot forbid jobs namespaces of their own here: /proc/sys is read-only")
    return ok(name, f"{version} makes sandboxes")


def _network(mode: str) -> list[Check]:
    if mode == "host":
        why = "jobs share this machine's network: they reach everything on its loopback"
        return [warn("network of jobs", why, 'install pasta and take `network = "host"` out of `[runs]`')]
    checks = []
    for name, package in (("pasta", "passt"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        try:
            checks.append(ok(name, find_program(name, package)))
        except UnavailableError as error:
            checks.append(fail(name, error.message, _as_root(error.hint)))
    checks.append(_tun())
    if os.geteuid() == 0:
        checks.append(fail("network of jobs", "pasta does not work for root", "run the daemon as an ordinary user"))
    elif all(check.state == "ok" for check in checks):
        checks.append(_trial())
    return checks


def _trial() -> Check:
    """Have pasta make a network, as a workspace's is made."""
    closed = [word for option in ("--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns") for word in (option, "none")]
    complaint = _complaint(["pasta", "--config-net", "--no-map-gw", *closed, "--", "true"])
    if complaint is not None:
        remedy = 'see what it says; `network = "host"` in `[runs]` does without'
        return fail("network of jobs", f"pasta cannot make one: {complaint}", remedy)
    return ok("network of jobs", "pasta makes one: outbound only")


def _tun() -> Check:
    name = str(_TUN)
    if not _TUN.exists():
        remedy = "sudo modprobe tun; under systemd, `DeviceAllow=/dev/net/tun rw` and no `PrivateDevices=`"
        return fail(name, "is not there, pasta needs it", remedy)
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return fail(name, "cannot be opened by this user", f"sudo chmod 0666 {_TUN}")
    return ok(name, "can be opened")


def _control_groups() -> Check:
    name, root = "control groups", Path("/sys/fs/cgroup/cgroup.controllers")
    if not root.is_file():
        remedy = "boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line"
        return warn(name, "version 2 is not mounted: limits of jobs are kept by other, weaker means", remedy)
    return ok(name, f"version 2 with {root.read_text().strip() or 'no controllers'}")


def limits_check(shortcomings: list[str]) -> Check:
    """Whether all limits of jobs can be kept, as the daemon has found out."""
    if shortcomings:
        return warn(
            "limits of jobs", "; ".join(shortcomings), "under systemd, `Delegate=yes` in the unit, as installed"
        )
    return ok("limits of jobs", "memory, processors and processes are limited by control groups")


def _as_root(hint: str | None) -> str | None:
    return f"sudo {hint}" if hint and hint.startswith("apt ") else hint


def _complaint(command: list[str]) -> str | None:
    """What a command says when it fails; None if it does not."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TRY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    said = [line for line in lines if "dmesg(1)" not in line]  # where `mount` says that there may be more to read
    return None if done.returncode == 0 else (said[-1] if said else f"exit code {done.returncode}")


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, timeout=_TRY_SECONDS, check=False)
    return done.stdout.decode(errors="replace").strip()
