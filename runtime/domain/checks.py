"""What `doctor` says: one line for each thing a runtime leans on, and the way out where it is not as it should be."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from runtime.domain.model import Frozen

_UNSYNCHRONISED = 0x0040  # <linux/timex.h>: STA_UNSYNC

CheckState = Literal["ok", "warn", "fail"]


class Check(Frozen):
    """One thing that was looked at.

    `warn`: it works, but not as well or as safely as it could. `fail`: jobs, or the daemon, will not work. `remedy` is
    the command or the setting that mends it.
    """

    name: str
    state: CheckState
    message: str
    remedy: str | None = None


def ok(name: str, message: str) -> Check:
    """All is well."""
    return Check(name=name, state="ok", message=message)


def warn(name: str, message: str, remedy: str | None = None) -> Check:
    """It could be better."""
    return Check(name=name, state="warn", message=message, remedy=remedy)


def fail(name: str, message: str, remedy: str | None = None) -> Check:
    """It does not work."""
    return Check(name=name, state="fail", message=message, remedy=remedy)


def kernel_check(release: str) -> Check:
    """Whether the kernel is new enough, by what `uname -r` says."""
    numbers = tuple(int(part) for part in release.replace("-", ".").split(".")[:2] if part.isdigit())
    if numbers < (5, 4):
        return fail(
            "kernel", f"Linux {release} is older than 5.4", "upgrade the kernel: Debian 11 and Ubuntu 20.04 have it"
        )
    return ok("kernel", f"Linux {release}")


NAMESPACE_SETTINGS = (
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "user.max_user_namespaces",
)
"""The settings of the kernel that decide who may make user namespaces."""


def namespaces_obstacle(sysctls: Mapping[str, int | None]) -> tuple[str, str] | None:
    """What keeps ordinary users from user namespaces, and the command that mends it; None if no setting does.

    Args:
        sysctls: `NAMESPACE_SETTINGS`, None where the kernel has none of that name.
    """
    if sysctls.get("kernel.unprivileged_userns_clone") == 0:
        return "this kernel keeps them from ordinary users", _sysctl("kernel.unprivileged_userns_clone=1")
    if sysctls.get("user.max_user_namespaces") == 0:
        return "there may be none on this machine", _sysctl("user.max_user_namespaces=15000")
    if sysctls.get("kernel.apparmor_restrict_unprivileged_userns") == 1:
        # Not the setting's opposite, which would let every program of every user make them.
        why = "AppArmor keeps them from ordinary users, as on Ubuntu 23.10 and later"
        return why, "sudo ./install.sh --allow-userns"
    return None


def namespaces_check(sysctls: Mapping[str, int | None], complaint: str | None) -> Check:
    """Whether an ordinary user may make namespaces.

    Args:
        sysctls: As for `namespaces_obstacle`.
        complaint: What trying it gave; None if it works.
    """
    name = "user namespaces"
    if complaint is None:
        return ok(name, "an ordinary user can make them")
    if obstacle := namespaces_obstacle(sysctls):
        why, remedy = obstacle
        return fail(name, f"{why}: {complaint}", remedy)
    return fail(
        name, f"they cannot be made: {complaint}", "allow them: see `man 7 user_namespaces`; in a container, nesting"
    )


def _sysctl(setting: str) -> str:
    return f"echo {setting} | sudo tee /etc/sysctl.d/60-dlt-runtime.conf && sudo sysctl --system"


def clock_check(status: int | None, timedatectl: str | None, now: datetime) -> Check:
    """Whether anything keeps the clock right.

    Args:
        status: What `adjtimex` says, its `status`; None where the kernel may not be asked, as under the unit.
        timedatectl: Its `NTPSynchronized` then, `yes` or `no`; None or anything else where it does not know.
    """
    name = "clock"
    is_kept = timedatectl == "yes" if status is None else not status & _UNSYNCHRONISED
    if is_kept:
        return ok(name, f"synchronised; {now:%Y-%m-%d %H:%M:%S} UTC")
    if status is None and timedatectl != "no":
        return ok(name, "whether it is kept right cannot be found out from here; `timedatectl` says")
    return warn(name, "nothing keeps it right: schedules go by it", "sudo timedatectl set-ntp true")


def disk_check(what: str, free: int, total: int, reserve: int) -> Check:
    """Whether there is room, in bytes."""
    name, room = f"disk of {what}", f"{_gib(free)} of {_gib(total)} GiB free"
    if free < reserve:
        return fail(name, f"{room}: less than the reserve, nothing new begins", "make room, or see `[retention]`")
    if free < max(4 * reserve, total // 20):
        return warn(name, room, "make room soon; `[retention]` says what is kept")
    return ok(name, room)


def inodes_check(what: str, free: int, total: int) -> Check:
    """Whether files can still be made; some file systems do not count them."""
    name = f"inodes of {what}"
    if total == 0:
        return ok(name, "not limited")
    if free < 10_000:
        return fail(name, f"{free:,} of {total:,} left", "remove files: `df -i` shows where they are")
    return warn(name, f"{free:,} of {total:,} left") if free < total // 20 else ok(name, f"{free:,} of {total:,} left")


def _gib(number: int) -> str:
    return f"{number / 1024**3:,.1f}"
