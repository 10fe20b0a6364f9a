"""Requests a second and their 99th percentile, beside a bare handler that sends the same bytes."""

import asyncio
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from runtime.wire.addresses import API_PREFIX
from runtime.wire.admin_client import AdminClient
from runtime.wire.member_client import MemberClient
from tests.benchmarks.crowded_store import fill_store
from tests.benchmarks.figures import percentile, say
from tests.processes import DaemonProcess, plain_environment, wait_for

JOBS, RUNS = 1_000, 100_000
CONNECTIONS = 8
OWNER = "ada@example.org"
SECONDS = 2.0
WARM_UP = 50
ROUNDS = 3


@dataclass(frozen=True)
class Target:
    """Where it is asked, and for what."""

    address: tuple[str, int]
    path: str
    headers: tuple[str, ...] = ()


@dataclass
class Load:
    """What the rounds have come to: durations of requests, and how long the rounds took, in seconds."""

    samples: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.samples) / self.seconds

    @property
    def p99(self) -> float:
        return percentile(self.samples, 99)


def api_requests() -> None:
    """`me`, `GET scripts` and `GET runs?limit=100` of a daemon with 1,000 jobs and 100,000 runs.

    Asked over TCP by an owner with an access token, as clients do. Eight connections ask without a pause; rounds of
    ours and of the floor take turns. Two more figures are for clients that poll: the same lists when nothing has
    changed, so that they are answered by 304.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        daemon = DaemonProcess(folder / "daemon")
        daemon.state.mkdir(mode=0o700)
        fill_store(daemon.state / "runtime.db", ["manual:"] * JOBS, runs=RUNS)
        daemon.start()
        try:
            workspace = _workspace(daemon)
            token = _token_of_owner(daemon, workspace)
            base = f"{API_PREFIX}/v1/workspaces/{workspace}"
            paths = {"me": f"{API_PREFIX}/v1/me", "scripts": f"{base}/scripts", "runs": f"{base}/runs?limit=100"}
            for what, path in paths.items():
                _compare(what, folder, Target(_address(daemon), path, (f"Authorization: Bearer {token}",)))
        finally:
            daemon.close()


def _address(daemon: DaemonProcess) -> tuple[str, int]:
    host, _, port = daemon.listen.rpartition(":")
    return host, int(port)


def _workspace(daemon: DaemonProcess) -> UUID:
    """The only one there is."""
    with closing(sqlite3.connect(f"file:{daemon.state}/runtime.db?mode=ro", uri=True)) as database:
        ((workspace,),) = database.execute("SELECT id FROM workspaces").fetchall()
    return UUID(bytes=workspace)


def _token_of_owner(daemon: DaemonProcess, workspace: UUID) -> str:
    """The access token of somebody whose workspace it is, and who has logged in."""
    admin = AdminClient(daemon.client.connection)
    admin.add_user(OWNER)
    MemberClient(daemon.client.connection, workspace).add(OWNER, "owner")
    flow = daemon.client.start_device_login()
    admin.approve_device(flow.user_code, OWNER)
    return wait_for(lambda: daemon.client.poll_device_login(flow.device_code), "the login is approved").jwt


def _compare(name: str, folder: Path, target: Target) -> None:
    answer, body = asyncio.run(_ask_once(target))
    tag = next((line for line in answer.splitlines() if line.lower().startswith("etag:")), "")
    unchanged = replace(target, headers=(*target.headers, f"If-None-Match: {tag.partition(':')[2].strip()}"))
    floor, ours, same = Load(), Load(), Load()
    with _bare(folder / name, body) as bare:
        for _ in range(ROUNDS):
            asyncio.run(_load(bare, floor))
            asyncio.run(_load(target, ours))
            if tag:
                asyncio.run(_load(unchanged, same))
    _say(f"{name} ({len(body):,} bytes), bare handler", floor)
    _say(f"{name}, ours", ours, floor)
    if tag:
        _say(f"{name}, ours, nothing has changed", same, floor)


def _say(name: str, load: Load, floor: Load | None = None) -> None:
    note = f"p99 {load.p99 * 1000:.1f} ms"
    if floor:
        note += f", {load.rate / floor.rate:.2f} of the bare rate, {load.p99 / floor.p99:.1f} times its p99"
    say(name, f"{load.rate:,.0f} / s", note)


@contextmanager
def _bare(body_file: Path, body: bytes) -> Iterator[Target]:
    """A bare application, in a process of its own as the daemon is."""
    body_file.write_bytes(body)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    argv = [sys.executable, "-m", "tests.benchmarks.bare_app", str(address[1]), str(body_file)]
    process = subprocess.Popen(argv, env=plain_environment())

    def answers() -> bool:
        with suppress(OSError), socket.create_connection(address):
            return True
        return False

    try:
        wait_for(answers, "the bare application serves")
        yield Target(address, "/")
    finally:
        process.terminate()
        process.wait()


async def _load(target: Target, into: Load) -> None:
    """Ask over and over, on some connections at once."""
    await _connection(target, 0.0, WARM_UP)
    began = time.perf_counter()
    taken = await asyncio.gather(*(_connection(target, began + SECONDS, 1) for _ in range(CONNECTIONS)))
    into.seconds += time.perf_counter() - began
    into.samples += [sample for one in taken for sample in one]


async def _connection(target: Target, until: float, at_least: int) -> list[float]:
    """The durations of requests on one connection, one after another."""
    request = _request(target)
    reader, writer = await asyncio.open_connection(*target.address, limit=1 << 20)
    samples = list[float]()
    while len(samples) < at_least or time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        await _answer(reader)
        samples.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()
    return samples


async def _ask_once(target: Target) -> tuple[str, bytes]:
    reader, writer = await asyncio.open_connection(*target.address, limit=1 << 20)
    writer.write(_request(target))
    head, body = await _answer(reader)
    writer.close()
    await writer.wait_closed()
    assert " 200 " in head.splitlines()[0], head
    return head, body


async def _answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The head and the body of an answer that says how long it is."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lengths = [int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")]
    return head, await reader.readexactly(lengths[0] if lengths else 0)


def _request(target: Target) -> bytes:
    lines = [f"GET {target.path} HTTP/1.1", "Host: daemon", "Accept: application/json", *target.headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")
