"""What a sandbox may see, as data, and bubblewrap's argument list for it, as a pure function.

The root of a sandbox is empty. A policy adds to it, nothing is taken away, so what is forgotten is missing, not
exposed. Everything is a list of arguments in the end, and is tested as one.

The environment is no part of the arguments: `/proc/<pid>/cmdline` may be read by every user of the machine,
`/proc/<pid>/environ` only by the owner. Whoever starts the list hands `policy.environment` to `execve`; nsenter and
bubblewrap pass it on unchanged (bubblewrap adds PWD), so `--setenv` and `--clearenv` are not needed. `--args FD` would
hide it as well, at the price of one more descriptor that has to be kept from the job.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from runtime.domain.model import Frozen
from runtime.sandbox.tools import SandboxTools

SANDBOX_ID = 1000
"""User and group inside; outside they are the daemon's own, so the files a job leaves belong to the daemon."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - inside, private


class Mount(Frozen):
    """A file or directory of the machine, shown inside at `target` (an absolute path)."""

    source: Path
    target: str
    writable: bool = False


class Link(Frozen):
    """A symbolic link made inside: `path` leads to `target`."""

    path: str
    target: str


class SandboxPolicy(Frozen):
    """One sandbox: its files, environment, network and how it ends.

    Attributes:
        mounts: In this order; a later one may lie inside an earlier one.
        empty_directories: Private, writable, in memory, gone with the sandbox. Mounted before `links` and `mounts`.
        in_memory_bytes: How much each of them may hold, and `/dev/shm`; None leaves it to the kernel, half of the
            machine's memory.
        environment: All of it; names that act on the dynamic loader are refused, since they would act on bubblewrap.
        share_network: True keeps the network namespace the sandbox is started in (a workspace's, entered by
            `NetworkHolders.entry`, or the machine's); False gives an empty one.
        dies_with_parent: Kill everything inside when the starting process ends. Right for builds, wrong for runs,
            which outlive the daemon.
    """

    mounts: tuple[Mount, ...]
    links: tuple[Link, ...] = ()
    empty_directories: tuple[str, ...] = ("/tmp", "/home/job")  # noqa: S108 - inside, private
    in_memory_bytes: int | None = None
    environment: dict[str, str]
    working_directory: str
    share_network: bool
    dies_with_parent: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        inside = [mount.target for mount in self.mounts] + [link.path for link in self.links]
        for path in (*inside, *self.empty_directories, self.working_directory):
            if not path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"a path inside a sandbox is absolute and plain, not `{path}`")
        for name in self.environment:
            if not name or "=" in name or name.startswith(("LD_", "GLIBC_TUNABLES")):
                raise ValueError(f"`{name}` cannot be set for a sandbox")
        return self


def bwrap_argv(
    policy: SandboxPolicy,
    command: Sequence[str],
    *,
    status_fd: int | None = None,
    info_fd: int | None = None,
    seccomp_fd: int | None = None,
    tools: SandboxTools | None = None,
) -> list[str]:
    """The argument list that runs `command` under `policy`; start it with `policy.environment` as environment.

    Args:
        status_fd: Open descriptor for bubblewrap's JSON status: `{"child-pid": N}`, later `{"exit-code": C}`.
        info_fd: Open descriptor that receives `{"child-pid": N, ...}` once and is closed then.
        seccomp_fd: Open descriptor from which bubblewrap reads the filter of system calls (`open_filter`).
        tools: What the machine has; the default assumes a current Debian.
    """
    tools = tools or SandboxTools()
    argv = [tools.bwrap, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if not policy.share_network:
        argv.append("--unshare-net")
    if tools.can_disable_userns:
        argv.append("--disable-userns")
    argv += ["--uid", str(SANDBOX_ID), "--gid", str(SANDBOX_ID), "--hostname", "job"]
    argv += ["--cap-drop", "ALL", "--new-session"]
    if policy.dies_with_parent:
        argv.append("--die-with-parent")
    for descriptor, option in ((status_fd, "--json-status-fd"), (info_fd, "--info-fd"), (seccomp_fd, "--seccomp")):
        if descriptor is not None:
            argv += [option, str(descriptor)]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    is_bounded = policy.in_memory_bytes is not None and tools.can_bound_memory
    size = ["--size", str(policy.in_memory_bytes)] if is_bounded else []
    for directory in (SHARED_MEMORY, *policy.empty_directories):
        argv += [*size, "--tmpfs", directory]
    for link in policy.links:
        argv += ["--symlink", link.target, link.path]
    for mount in policy.mounts:
        argv += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    # Two are tmpfs of bubblewrap's; read-only from here on, so a job writes in its own places only. In /proc are things
    # that a process may say of itself and a job shall not: that the kernel spare it when memory is short.
    for place in ("/proc", "/dev", "/"):
        argv += ["--remount-ro", place]
    argv += ["--chdir", policy.working_directory, "--", *command]
    return argv
