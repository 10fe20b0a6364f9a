"""Starts runs in two steps, watches them, ends them; knows nothing of states, limits or why.

`prepare` starts the sandbox, whose launcher imports what it needs and then waits on a pipe; `release` says what to run
and closes the pipe. Until then the sandbox ends with the daemon; from then on nothing ties them: stdout and stderr go
to `live/<run_id>.log`, bubblewrap reports to `live/<run_id>.status`, and a later daemon adopts by pid, start time and
boot. The process watched is the sandbox's init: when it is gone, nothing inside is left.
"""

import asyncio
import contextlib
import os
import signal
import stat
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import structlog

import runtime.launchers
from runtime.domain.machines import Machine
from runtime.errors import UnavailableError
from runtime.runner.job_sandbox import WORKSPACE, data_places, job_command, job_policy, state_places
from runtime.runner.launch import (
    UNRELEASED_EXIT_CODE,
    UNRELEASED_LOG_MODE,
    CopiedData,
    Launch,
    LiveProcess,
    ReleaseOrder,
)
from runtime.runner.status import parse_child_pid, read_exit_code
from runtime.sandbox.cgroups import ControlGroups, GroupUsage
from runtime.sandbox.confinement import LimitsInForce, inside, limits_in_force
from runtime.sandbox.detached import (
    end_with_children,
    reap,
    spawn_detached,
    unbreakable_pipe,
    wait_readable,
    wait_writable,
)
from runtime.sandbox.identity import (
    ProcessIdentity,
    boot_id,
    children_of,
    identify,
    is_alive,
    name_of,
    open_pidfd,
    parent_of,
    send_signal,
)
from runtime.sandbox.network import NetworkHolders
from runtime.sandbox.policy import SandboxPolicy, bwrap_argv
from runtime.sandbox.precedence import behind_the_daemon
from runtime.sandbox.quota import taken_bytes
from runtime.sandbox.seccomp import passed_filter
from runtime.sandbox.system_mounts import system_view, write_system_files
from runtime.sandbox.tools import SandboxTools, find_tools

_LAUNCHERS = Path(runtime.launchers.__file__ or "").parent
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_START_SECONDS = 60.0
_REPORT_SECONDS = 5.0
_LATE_REPORT_LOOKS = 50
_LOOK_SECONDS = 0.02
_LAST_WORDS_BYTES = 4096

log = structlog.get_logger()


@dataclass(eq=False)
class PreparedRun:
    """A sandbox whose launcher waits for its order; give it to `release` or `discard`, once."""

    launch: Launch
    live: LiveProcess
    order_fd: int

    @property
    def run_id(self) -> UUID:
        """The run it was prepared for."""
        return self.live.run_id


class Runner:
    """The runs' processes of one daemon; `limits` says by what it keeps them within their machine sizes."""

    def __init__(self, state_dir: Path, network: NetworkHolders, groups: ControlGroups | None = None) -> None:
        """Make `live/` and our files for `/etc` below the state directory."""
        self.limits: LimitsInForce = limits_in_force(groups.controllers if groups else None, kernel_version())
        self._groups = groups
        self.live_dir = state_dir / "live"
        self.live_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.system_files = state_dir / "etc"
        write_system_files(self.system_files, isolated_network=network.mode == "isolated")
        self._network = network
        self._monitors: dict[UUID, ProcessIdentity] = {}

    def log_file(self, run_id: UUID) -> Path:
        """Where the run's stdout and stderr go, interleaved as written."""
        return self.live_dir / f"{run_id}.log"

    async def prepare(self, launch: Launch) -> PreparedRun:
        """Start the run's sandbox; its launcher imports dlt's machinery and waits.

        Raises:
            UnavailableError: the sandbox or the workspace's network cannot be made; the message says why.
        """
        tools = await asyncio.to_thread(find_tools)
        entry = await self._network.entry(launch.run_id if launch.own_network else launch.workspace_id)
        system = system_view(self.system_files, launch.base_prefix)
        policy = job_policy(launch, system, _LAUNCHERS, os.environ)
        _make_mount_points(launch)
        _check_sources(policy)
        spawned = self._spawn(launch, policy, entry, tools)
        try:
            init = await _init_of(spawned)
        except BaseException:
            os.close(spawned.order_fd)
            await end_with_children(spawned.pid)
            raise
        finally:
            os.close(spawned.info_fd)
        if init is None:
            os.close(spawned.order_fd)
            await end_with_children(spawned.pid)
            raise self._not_started(launch.run_id)
        monitor = identify(spawned.pid)
        if monitor is not None:
            self._monitors[launch.run_id] = monitor
        log.debug("A sandbox waits for its order", action="run.prepare", run_id=str(launch.run_id), pid=init.pid)
        return PreparedRun(launch, LiveProcess.of(launch.run_id, init), spawned.order_fd)

    async def release(self, prepared: PreparedRun, order: ReleaseOrder) -> LiveProcess:
        """Tell the launcher what to run, and let go of it: from here on the run outlives the daemon.

        A launcher that has died meanwhile (an import failed) is no error here; `wait` will tell.
        """
        data = memoryview(order.model_dump_json().encode() + b"\n")
        os.set_blocking(prepared.order_fd, False)
        try:
            while data:
                try:
                    data = data[os.write(prepared.order_fd, data) :]
                except BlockingIOError:
                    # More than a pipe holds: the launcher reads on once it has finished importing.
                    await wait_writable(prepared.order_fd)
        except BrokenPipeError:
            log.debug("A launcher ended before its order", action="run.release", run_id=str(prepared.run_id))
        finally:
            os.close(prepared.order_fd)
        return prepared.live

    async def discard(self, prepared: PreparedRun) -> None:
        """End a sandbox that will not be released, and remove its files."""
        os.close(prepared.order_fd)
        self.kill(prepared.live)
        await self.wait(prepared.live)
        self.forget(prepared.run_id)

    def adopt(self, live: LiveProcess) -> bool:
        """Take over a run that an earlier daemon released.

        Returns:
            Whether it still runs. Either way `wait` gives its exit code.
        """
        if not is_alive(live.identity):
            return False
        if (monitor := _monitor_of(live)) is not None:
            self._monitors[live.run_id] = monitor
        return True

    async def wait(self, live: LiveProcess) -> int | None:
        """Wait until the run's process has ended and nothing of it is left, so that its log is complete.

        What the job has left running in its sandbox is killed: the run is over when the job's own process is.

        Returns:
            The exit code (128 + N if signal N ended it); None if the sandbox vanished without reporting one.
        """
        monitor = self._monitors.get(live.run_id) or _monitor_of(live)
        with contextlib.ExitStack() as descriptors:
            init_fd = _watch(live.identity, descriptors)
            monitor_fd = _watch(monitor, descriptors) if monitor else None
            if monitor_fd is not None:
                await wait_readable(*(fd for fd in (init_fd, monitor_fd) if fd is not None))
                # bubblewrap writes the exit code, then ends; both within moments of the init's own end.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_REPORT_SECONDS):
                        await wait_readable(monitor_fd)
            # Without bubblewrap outside nobody will report how the job ends, so it need not go on either.
            if init_fd is not None:
                self.kill(live)
                await wait_readable(init_fd)
        if monitor is not None:
            reap(monitor.pid)
        elif live.identity.boot_id == boot_id():
            await self._late_report(live.run_id)
        self._monitors.pop(live.run_id, None)
        return read_exit_code(self._status_file(live.run_id))

    def was_released(self, live: LiveProcess, exit_code: int | None) -> bool:
        """Whether a process that has ended had got its order; until it is forgotten."""
        if exit_code != UNRELEASED_EXIT_CODE:
            return True
        try:
            mode = stat.S_IMODE(self.log_file(live.run_id).stat().st_mode)
        except FileNotFoundError:
            return True
        return mode != UNRELEASED_LOG_MODE

    async def _late_report(self, run_id: UUID) -> None:
        """Give a monitor that could not be found any more, since its init had just ended, a moment to report."""
        for _ in range(_LATE_REPORT_LOOKS):
            if read_exit_code(self._status_file(run_id)) is not None:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def terminate(self, live: LiveProcess) -> bool:
        """Send SIGTERM to the job's own process, the first child of the sandbox's init; False if it has ended."""
        if not is_alive(live.identity):
            return False
        for pid in children_of(live.pid)[:1]:
            job = identify(pid)
            if job is not None and parent_of(pid) == live.pid:
                return send_signal(job, signal.SIGTERM)
        return False

    def kill(self, live: LiveProcess) -> bool:
        """Send SIGKILL to the sandbox's init, which ends everything inside; False if it has ended."""
        return send_signal(live.identity, signal.SIGKILL)

    def limit_again(self, run_id: UUID, machine: Machine) -> None:
        """Put a live run's limits on its control group once more: what was above it may have been made anew."""
        if self._groups is not None:
            self._groups.limit(str(run_id), machine)

    def usage(self, run_id: UUID) -> GroupUsage | None:
        """What a run's control group has counted; None where it has none."""
        return self._groups.usage(str(run_id)) if self._groups else None

    def keep_groups(self, runs: Set[str]) -> None:
        """Remove the control groups of all but these runs; blocks."""
        if self._groups is not None:
            for name in self._groups.names() - runs:
                self._groups.remove(name)

    def forget(self, run_id: UUID) -> None:
        """Remove a settled run's log and status files, and its control group."""
        if self._groups is not None:
            self._groups.remove(str(run_id))
        self.log_file(run_id).unlink(missing_ok=True)
        self._status_file(run_id).unlink(missing_ok=True)

    def _status_file(self, run_id: UUID) -> Path:
        return self.live_dir / f"{run_id}.status"

    def _spawn(self, launch: Launch, policy: SandboxPolicy, entry: list[str], tools: SandboxTools) -> "_Spawned":
        """Start bubblewrap with stdin, output and status; all else of ours stays here."""
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            stdin, order_fd = os.pipe()
            info_fd, info = unbreakable_pipe()
            # New files: an unreleased sandbox of a daemon that has just died may still write into the old ones.
            self.forget(launch.run_id)
            output = os.open(self.log_file(launch.run_id), _APPEND, 0o600)
            status = os.open(self._status_file(launch.run_id), _APPEND, 0o600)
            for descriptor in (stdin, info, output, status):
                theirs.callback(os.close, descriptor)
            for descriptor in (order_fd, info_fd):
                ours.callback(os.close, descriptor)
            is_counted = self.limits.memory == "control group"
            filters = theirs.enter_context(passed_filter(memory_is_counted=is_counted))
            sandbox = bwrap_argv(
                policy,
                [*self._inside(launch), *job_command(launch)],
                status_fd=status,
                info_fd=info,
                seccomp_fd=next(iter(filters), None),
                tools=tools,
            )
            pid = spawn_detached(
                [*self._outside(launch), *entry, *sandbox],
                environment=policy.environment,
                stdin=stdin,
                output=output,
                pass_fds=(status, info, *filters),
            )
            ours.pop_all()
            return _Spawned(pid, order_fd, info_fd)

    def _outside(self, launch: Launch) -> list[str]:
        try:
            group = self._groups.create(str(launch.run_id), launch.machine) if self._groups else None
        except OSError as error:
            raise UnavailableError(
                f"the run's control group cannot be made: {error.strerror}", code="sandbox_unavailable"
            ) from error
        return behind_the_daemon(group)

    def _inside(self, launch: Launch) -> list[str]:
        disk = launch.machine.disk
        largest = None if disk is None else disk + taken_bytes(launch.working_copy)
        return inside(launch.machine, self.limits, largest)

    def _not_started(self, run_id: UUID) -> UnavailableError:
        said = self.log_file(run_id).read_bytes()[-_LAST_WORDS_BYTES:].decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"bubblewrap said nothing within {_START_SECONDS:g} seconds"
        self.forget(run_id)
        return UnavailableError(f"the sandbox did not start: {reason}", code="sandbox_unavailable")


class _Spawned(NamedTuple):
    pid: int
    order_fd: int
    info_fd: int


def kernel_version() -> tuple[int, int]:
    """Major and minor number of the running kernel."""
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int(minor.partition("-")[0])


async def _init_of(spawned: _Spawned) -> ProcessIdentity | None:
    """The sandbox's init, as bubblewrap announces it; None if bubblewrap gave up before."""
    said = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_SECONDS):
            while True:
                await wait_readable(spawned.info_fd)
                block = os.read(spawned.info_fd, 4096)
                said += block
                if (pid := parse_child_pid(said.decode(errors="replace"))) is not None:
                    return identify(pid)
                if not block:
                    return None
    return None


def _monitor_of(live: LiveProcess) -> ProcessIdentity | None:
    """bubblewrap outside the sandbox, which reports the exit code: the init's parent, unless it was killed."""
    if not is_alive(live.identity):
        return None
    monitor = identify(parent_of(live.pid) or 0)
    return monitor if monitor is not None and name_of(monitor.pid) == "bwrap" else None


def _watch(identity: ProcessIdentity, descriptors: contextlib.ExitStack) -> int | None:
    descriptor = open_pidfd(identity)
    if descriptor is not None:
        descriptors.callback(os.close, descriptor)
    return descriptor


def _make_mount_points(launch: Launch) -> None:
    """bubblewrap would make them, but would follow a link in the working copy while the machine is still mounted."""
    if isinstance(launch.data, CopiedData):
        return  # the working copy has links instead
    for place in (*state_places(launch.profile), *data_places(launch.profile)):
        path = launch.working_copy
        for part in place.removeprefix(f"{WORKSPACE}/").split("/"):
            path = path / part
            if path.is_symlink():
                raise UnavailableError(f"`{place}` in the deployment must not be a link", code="sandbox_unavailable")
            path.mkdir(exist_ok=True)


def _check_sources(policy: SandboxPolicy) -> None:
    for mount in policy.mounts:
        if not mount.source.exists():
            raise UnavailableError(
                f"`{mount.target}` cannot be shown to the job, it is gone", code="sandbox_unavailable"
            )
