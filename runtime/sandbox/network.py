"""One network namespace per workspace, and one per app: a way out, no way in, no way to the machine itself.

pasta makes the namespace and relays its traffic through ordinary sockets, without privileges. It costs 0.25 s, so it
is started once per workspace around a process that only sleeps (the holder), and each sandbox is started inside with
nsenter, which costs milliseconds. Holders outlive the daemon, as runs do, and are found again by a record on disk.

pasta must be told to forward nothing: by default it forwards every listening port, both ways, and so would show the
machine's loopback inside. It copies the machine's first address into the namespace, which makes that one unreachable;
to any other address of the machine (a second card, a container bridge) its relay would connect, so these get a
`prohibit` route, as do the metadata services of clouds. A job cannot take it away: it has no capability in the
namespace.

A holder goes on only once its record is on disk: until then its process waits for a word from the daemon and ends with
it, so a daemon that dies at the wrong moment leaves no holder that nobody knows of.
"""

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import Container
from pathlib import Path
from typing import Literal
from uuid import UUID

import structlog
from pydantic import ValidationError

from runtime.domain.model import Frozen
from runtime.errors import UnavailableError
from runtime.sandbox.addresses import local_addresses, metadata_addresses
from runtime.sandbox.detached import end_with_children, kill_and_wait, spawn_detached
from runtime.sandbox.identity import ProcessIdentity, children_of, identify, is_alive, name_of
from runtime.sandbox.system_mounts import DNS_FORWARD_4, DNS_FORWARD_6
from runtime.sandbox.tools import find_program

_WAITER = "sh"
_SLEEP_ONCE_TOLD = "read -r _ && exec sleep infinity"
_START_SECONDS = 10.0
_LOOK_SECONDS = 0.005
_HINT = 'see that /dev/net/tun can be opened by the daemon\'s user, or set `network = "host"` under [runs]'

log = structlog.get_logger()


class HolderRecord(Frozen):
    """What is remembered of a holder: the relay, the process that keeps the namespace, the addresses closed off."""

    relay: ProcessIdentity
    sleeper: ProcessIdentity
    closed: frozenset[str] = frozenset()


class NetworkHolders:
    """Hands out the way into the network of a workspace, or of an app, which is named by its run."""

    def __init__(self, state_dir: Path, mode: Literal["isolated", "host"], *, cloud_metadata: bool = False) -> None:
        """Look at nothing yet.

        Args:
            cloud_metadata: Whether jobs reach the service that tells this machine its credentials in a cloud.
            state_dir: The daemon's state; records are kept in `network/` below it.
            mode: `host` shares the machine's network; then there is nothing to enter.
        """
        self.mode = mode
        self._always_closed = frozenset() if cloud_metadata else metadata_addresses()
        self._directory = state_dir / "network"
        self._locks: defaultdict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def entry(self, workspace_id: UUID) -> list[str]:
        """What to put before bubblewrap's arguments so that it starts in the workspace's network; [] in mode `host`.

        Starts the workspace's holder if there is none, or if either of its processes has died.

        Raises:
            UnavailableError: pasta is missing or does not work here.
        """
        if self.mode == "host":
            return []
        async with self._locks[workspace_id]:
            holder = self._recall(workspace_id)
            if holder is None or not (is_alive(holder.relay) and is_alive(holder.sleeper)):
                if holder is not None:
                    log.warning("A network holder is gone, starting another", workspace_id=str(workspace_id))
                    await _end(holder)
                holder = await self._start(workspace_id)
            # Asked each time: a container bridge may have come up since.
            if missing := (local_addresses() | self._always_closed) - holder.closed:
                await _close_off(holder, missing)
                self._remember(workspace_id, holder.model_copy(update={"closed": holder.closed | missing}))
            return _enter(holder)

    async def present(self, holder_id: UUID) -> list[str] | None:
        """As `entry`, of a network that is there; None if it is gone, and with it the way to what was started in it."""
        if self.mode == "host":
            return []
        async with self._locks[holder_id]:
            holder = self._recall(holder_id)
        return _enter(holder) if holder is not None and is_alive(holder.sleeper) else None

    async def dismiss(self, workspace_id: UUID) -> None:
        """End a workspace's holder, if there is one; sandboxes still inside lose their way out."""
        async with self._locks[workspace_id]:
            holder = self._recall(workspace_id)
            if holder is not None:
                await _end(holder)
            for path in (self._record(workspace_id), self._said(workspace_id)):
                path.unlink(missing_ok=True)

    async def sweep(self, keep: Container[UUID]) -> None:
        """End every holder that is not for one of `keep`, and remove what was noted of it; call before `entry`."""
        for path in await asyncio.to_thread(lambda: sorted(self._directory.glob("*"))):
            with contextlib.suppress(ValueError):
                holder_id = UUID(path.stem)
                if holder_id not in keep:
                    await self.dismiss(holder_id)
                    path.unlink(missing_ok=True)

    def _record(self, workspace_id: UUID) -> Path:
        return self._directory / f"{workspace_id}.json"

    def _said(self, workspace_id: UUID) -> Path:
        return self._directory / f"{workspace_id}.log"

    def _recall(self, workspace_id: UUID) -> HolderRecord | None:
        try:
            return HolderRecord.model_validate_json(self._record(workspace_id).read_bytes())
        except (OSError, ValidationError):
            return None

    def _remember(self, workspace_id: UUID, holder: HolderRecord) -> None:
        scratch = self._record(workspace_id).with_suffix(".new")
        scratch.write_text(holder.model_dump_json())
        scratch.replace(self._record(workspace_id))

    async def _start(self, workspace_id: UUID) -> HolderRecord:
        if _is_root_of_the_machine():
            raise UnavailableError(
                "pasta does not work for root, it turns into `nobody`",
                code="network_unavailable",
                hint='run the daemon as an ordinary user, or set `network = "host"` under [runs]',
            )
        self._directory.mkdir(parents=True, exist_ok=True)
        said = self._said(workspace_id)
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        waiting, word = os.pipe()
        with os.fdopen(word, "wb", buffering=0) as tell:
            try:
                argv, environment = holder_argv(), {"PATH": os.defpath}
                pid = spawn_detached(argv, environment=environment, stdin=waiting, output=descriptor)
            finally:
                os.close(descriptor)
                os.close(waiting)
            try:
                holder = await self._until_ready(pid, said)
                self._remember(workspace_id, holder)
            except BaseException:  # cancelled, too
                await end_with_children(pid)
                raise
            # One that has died meanwhile is no error here: whoever enters next finds that out.
            with contextlib.suppress(BrokenPipeError):
                tell.write(b"\n")
        log.info("A network for a workspace", action="network.start", workspace_id=str(workspace_id), pid=pid)
        return holder

    async def _until_ready(self, pid: int, said: Path) -> HolderRecord:
        """pasta starts its command only after the interface is configured: then its child carries that name."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while (relay := identify(pid)) is not None and loop.time() < deadline:
            for child in children_of(pid):
                sleeper = identify(child)
                if sleeper is not None and name_of(child) == _WAITER:
                    return HolderRecord(relay=relay, sleeper=sleeper)
            # Once per workspace and boot, for some milliseconds: pasta offers nothing to wait on.
            await asyncio.sleep(_LOOK_SECONDS)
        lines = said.read_text(errors="replace").strip().splitlines()
        reason = lines[-1].strip() if lines else "it said nothing"
        raise UnavailableError(f"pasta could not make a network: {reason}", code="network_unavailable", hint=_HINT)


def holder_argv() -> list[str]:
    """pasta around a process that sleeps once told to: the machine's addresses and routes, names forwarded, no ports.

    Raises:
        UnavailableError: pasta is not installed.
    """
    argv = [find_program("pasta", "passt"), "--foreground", "--config-net", "--no-map-gw"]
    for option in ("--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"):
        argv += [option, "none"]
    argv += ["--dns-forward", DNS_FORWARD_4, "--dns-forward", DNS_FORWARD_6]
    return [*argv, "--", _WAITER, "-c", _SLEEP_ONCE_TOLD]


def _is_root_of_the_machine() -> bool:
    """As pasta asks it: root of a user namespace, as in a rootless container, is an ordinary user outside."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split()[2] == "4294967295"


def _enter(holder: HolderRecord) -> list[str]:
    nsenter = find_program("nsenter", "util-linux")
    return [nsenter, "-t", str(holder.sleeper.pid), "-U", "-n", "--preserve-credentials"]


async def _close_off(holder: HolderRecord, addresses: frozenset[str]) -> None:
    """Make the machine's addresses unreachable inside; one of the namespace's own stays what it is there."""
    process = await asyncio.create_subprocess_exec(
        *_enter(holder),
        find_program("ip", "iproute2"),
        "-batch",
        "-",
        env={},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    lines = "".join(f"route replace prohibit {address}\n" for address in sorted(addresses))
    _, errors = await process.communicate(lines.encode())
    if process.returncode != 0:
        said = errors.decode(errors="replace").strip().partition("\n")[0]
        raise UnavailableError(
            f"the machine's own addresses could not be closed off from jobs: {said}", code="network_unavailable"
        )


async def _end(holder: HolderRecord) -> None:
    # The sleeper is the first process of its namespace, and such a one heeds only SIGKILL from outside.
    for identity in (holder.sleeper, holder.relay):
        await kill_and_wait(identity)
