"""Started by `network_testbed.sh` on a machine of its own: looks at networks of workspaces from all sides.

Prints one JSON object, name of an observation -> what was seen; `test_network.py` judges. `serve ADDRESS` as argument
makes it a listener instead, the machine's neighbour.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

from runtime.sandbox.detached import kill_and_wait
from runtime.sandbox.identity import is_alive
from runtime.sandbox.network import HolderRecord, NetworkHolders
from runtime.sandbox.policy import SandboxPolicy
from runtime.sandbox.process import run_in_sandbox
from runtime.sandbox.system_mounts import system_view, write_system_files

PORT = 18470
NEIGHBOUR = "198.51.100.2"
OWN_ADDRESSES = ("127.0.0.1", "198.51.100.1", "203.0.113.1", "::1")
PYTHON = str(Path(sys.executable).resolve())

CONNECT = """
import socket, sys
for target in sys.argv[1:]:
    address, _, port = target.rpartition("@")
    try:
        with socket.create_connection((address, int(port)), timeout=5) as connection:
            print(target, connection.recv(20).decode())
    except OSError as error:
        print(target, type(error).__name__)
"""

LISTEN = """
import socket
with socket.create_server(("0.0.0.0", 18471)) as listener:
    print("listening", flush=True)
    for _ in range(9):
        with listener.accept()[0] as connection:
            connection.sendall(b"job")
"""


def serve(address: str, banner: bytes, port: int = PORT) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as listener:
        print("ready", flush=True)
        while True:
            with listener.accept()[0] as connection:
                connection.sendall(banner)


def answer_names() -> None:
    """A resolver on the machine's loopback, as systemd-resolved is: every name is the neighbour."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.53", 53))
        while True:
            query, peer = listener.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            is_a = query[end - 4 : end - 2] == b"\0\1"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(NEIGHBOUR) if is_a else b""
            counts = b"\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
            listener.sendto(query[:2] + b"\x81\x80" + counts + query[12:end] + record, peer)


class Machine:
    """The daemon's side of the testbed."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.holders = NetworkHolders(state, "isolated")
        write_system_files(state / "etc", isolated_network=True)

    async def inside(
        self, entry: Sequence[str], command: Sequence[str], ready: asyncio.Event | None = None
    ) -> list[str]:
        view = system_view(self.state / "etc", Path(sys.base_prefix))
        policy = SandboxPolicy(
            mounts=view.mounts,
            links=view.links,
            environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            working_directory="/tmp",
            share_network=True,
        )
        lines: list[str] = []

        def take(line: str) -> None:
            lines.append(line)
            if ready is not None:
                ready.set()

        await run_in_sandbox(policy, command, network_entry=entry, on_line=take, timeout_seconds=60)
        return lines

    async def connect(self, entry: Sequence[str], *targets: str) -> dict[str, str]:
        lines = await self.inside(entry, [PYTHON, "-c", CONNECT, *targets])
        return dict(line.split(" ", 1) for line in lines)


def connect_from_machine(*targets: str) -> dict[str, str]:
    done = subprocess.run([PYTHON, "-c", CONNECT, *targets], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


async def observe(machine: Machine) -> dict[str, object]:
    seen: dict[str, object] = {}
    mine, other = uuid4(), uuid4()
    entry, other_entry = await machine.holders.entry(mine), await machine.holders.entry(other)
    own = [f"{address}@{PORT}" for address in OWN_ADDRESSES]
    seen["own addresses from the machine"] = connect_from_machine(*own)
    seen["own addresses from a job"] = await machine.connect(entry, *own)
    seen["neighbour"] = await machine.connect(entry, f"{NEIGHBOUR}@{PORT}")
    seen["neighbour by name"] = await machine.connect(entry, f"neighbour.example@{PORT}")
    drop_route = ["ip", "route", "del", "prohibit", "203.0.113.1/32"]
    seen["taking a route away"] = await machine.inside(entry, drop_route)

    listening = asyncio.Event()
    job = asyncio.create_task(machine.inside(entry, [PYTHON, "-c", LISTEN], listening))
    await listening.wait()
    targets = ("127.0.0.1@18471", "198.51.100.1@18471")
    seen["a job's port from its workspace"] = await machine.connect(entry, targets[0])
    seen["a job's port from another workspace"] = await machine.connect(other_entry, *targets)
    seen["a job's port from the machine"] = connect_from_machine(*targets)
    job.cancel()
    await asyncio.wait({job})

    seen.update(await observe_holders(machine, mine, entry))
    await machine.holders.dismiss(other)
    return seen


async def observe_holders(machine: Machine, workspace_id: UUID, entry: list[str]) -> dict[str, object]:
    seen: dict[str, object] = {}
    target = f"{NEIGHBOUR}@{PORT}"
    record = machine.state / "network" / f"{workspace_id}.json"
    seen["same for a later daemon"] = await NetworkHolders(machine.state, "isolated").entry(workspace_id) == entry
    for part in ("relay", "sleeper"):
        before = HolderRecord.model_validate_json(record.read_bytes())
        victim = before.relay if part == "relay" else before.sleeper
        await kill_and_wait(victim)
        again = await machine.holders.entry(workspace_id)
        seen[f"replaced when the {part} died"] = again != entry
        seen[f"works when the {part} was replaced"] = await machine.connect(again, target)
        seen[f"nothing left of the holder whose {part} died"] = not (is_alive(before.relay) or is_alive(before.sleeper))
        entry = again

    # A daemon that is killed as hard as can be, right after it has started a holder.
    code = (
        "import asyncio, os, pathlib, sys, uuid; from runtime.sandbox.network import NetworkHolders;"
        "asyncio.run(NetworkHolders(pathlib.Path(sys.argv[1]), 'isolated').entry(uuid.UUID(sys.argv[2])));"
        "os.kill(os.getpid(), 9)"
    )
    third = uuid4()
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(machine.state), str(third))
    await killed.wait()
    left = HolderRecord.model_validate_json((machine.state / "network" / f"{third}.json").read_bytes())
    entry_after = await machine.holders.entry(third)
    seen["daemon killed"] = killed.returncode == -signal.SIGKILL
    seen["holder outlived it"] = str(left.sleeper.pid) in entry_after and is_alive(left.relay)
    seen["works after it"] = await machine.connect(entry_after, target)
    await machine.holders.dismiss(third)
    await machine.holders.dismiss(workspace_id)
    seen["dismissed"] = not (is_alive(left.relay) or is_alive(left.sleeper)) and not record.exists()
    return seen


async def main() -> None:
    for address in OWN_ADDRESSES:
        threading.Thread(target=serve, args=(address, b"machine"), daemon=True).start()
    threading.Thread(target=answer_names, daemon=True).start()
    with tempfile.TemporaryDirectory() as state:
        machine = Machine(Path(state))
        try:
            seen = await observe(machine)
        finally:
            for record in Path(state, "network").glob("*.json"):
                await machine.holders.dismiss(UUID(record.stem))
    Path(os.environ["OBSERVATIONS"]).write_text(json.dumps(seen))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], b"neighbour")
    asyncio.run(main())
