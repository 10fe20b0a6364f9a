"""One network namespace per workspace: a way out, no way in, and no way to the machine itself.

pasta makes the namespace and relays its traffic through ordinary sockets, without privileges. It costs 0.25 s, so it
is started once per workspace around a process that only sleeps (the holder), and each sandbox is started inside with
nsenter, which costs milliseconds. Holders outlive the daemon, as runs do, and are found again by a record on disk.

pasta must be told to forward nothing: by default it forwards every listening port, both ways, and so would show the
machine's loopback inside. It copies the machine's first address into the namespace, which makes that one unreachable;
to any other address of the machine (a second card, a container bridge) its relay would connect, so these get a
`prohibit` route. A job cannot take it away: it has no capability in the namespace.
"""

import asyncio
import os
from collections import defaultdict
from pathlib import Path
from typing import Literal
from uuid import UUID

import structlog
from pydantic import ValidationError

from runtime.domain.model import Frozen
from runtime.errors import UnavailableError
from runtime.sandbox.addresses import local_addresses
from runtime.sandbox.detached import kill_and_wait, reap, spawn_detached
from runtime.sandbox.identity import ProcessIdentity, children_of, identify, is_alive, name_of
from runtime.sandbox.system_mounts import DNS_FORWARD_4, DNS_FORWARD_6
from runtime.sandbox.tools import find_program

_SLEEPER = "sleep"
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
    """Hands out the way into a workspace's network."""

    def __init__(self, state_dir: Path, mode: Literal["isolated", "host"]) -> None:
        """Look at nothing yet.

        Args:
            state_dir: The daemon's state; records are kept in `network/` below it.
            mode: `host` shares the machine's network; then there is nothing to enter.
        """
        self.mode = mode
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
            if missing := local_addresses() - holder.closed:
                await _close_off(holder, missing)
                self._remember(workspace_id, holder.model_copy(update={"closed": holder.closed | missing}))
            return _enter(holder)

    async def dismiss(self, workspace_id: UUID) -> None:
        """End a workspace's holder, if there is one; sandboxes still inside lose their way out."""
        async with self._locks[workspace_id]:
            holder = self._recall(workspace_id)
            if holder is not None:
                await _end(holder)
            self._record(workspace_id).unlink(missing_ok=True)

    def _record(self, workspace_id: UUID) -> Path:
        return self._directory / f"{workspace_id}.json"

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
        said = self._directory / f"{workspace_id}.log"
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            pid = spawn_detached(holder_argv(), environment={"PATH": os.defpath}, output=descriptor)
        finally:
            os.close(descriptor)
        holder = await self._until_ready(pid, said)
        self._remember(workspace_id, holder)
        log.info("A network for a workspace", action="network.start", workspace_id=str(workspace_id), pid=pid)
        return holder

    async def _until_ready(self, pid: int, said: Path) -> HolderRecord:
        """pasta starts its command only after the interface is configured: then its child carries that name."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while (relay := identify(pid)) is not None and loop.time() < deadline:
            for child in children_of(pid):
                sleeper = identify(child)
                if sleeper is not None and name_of(child) == _SLEEPER:
                    return HolderRecord(relay=relay, sleeper=sleeper)
            # Once per workspace and boot, for some milliseconds: pasta offers nothing to wait on.
            await asyncio.sleep(_LOOK_SECONDS)
        if relay is not None:
            await kill_and_wait(relay)
        reap(pid)
        lines = said.read_text(errors="replace").strip().splitlines()
        reason = lines[-1].strip() if lines else "it said nothing"
        raise UnavailableError(f"pasta could not make a network: {reason}", code="network_unavailable", hint=_HINT)


def holder_argv() -> list[str]:
    """pasta around a sleeping process: addresses and routes copied from the machine, names forwarded, no ports.

    Raises:
        UnavailableError: pasta is not installed.
    """
    argv = [find_program("pasta", "passt"), "--foreground", "--config-net", "--no-map-gw"]
    for option in ("--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"):
        argv += [option, "none"]
    argv += ["--dns-forward", DNS_FORWARD_4, "--dns-forward", DNS_FORWARD_6]
    return [*argv, "--", _SLEEPER, "infinity"]


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
