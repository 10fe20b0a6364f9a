"""The application under the real server, on a Unix socket and on TCP, with a real database."""

import asyncio
import contextlib
import hashlib
import os
import pwd
import resource
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.api.app import create_app
from runtime.api.protocol import PeerProtocol
from runtime.auth.tokens import TokenSigner
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.workspaces import WorkspaceService
from runtime.domain.identities import Principal
from runtime.domain.logs import LogLine
from runtime.domain.packages import Deployment
from runtime.settings import AuthSettings, Settings
from runtime.store.database import Database
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.api_client import FakeDeployments, FakeJobs, FakeRuns, fake_services
from tests.factories import NOW, make_deployment

ME = f"{API_PREFIX}/v1/me"

ASK_AS_NOBODY = """
import http.client, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("GET", sys.argv[2])
print(connection.getresponse().status)
"""

SEND_128_MIB = r"""
import http.client, socket, sys
def part(name):
    return f'--xyz\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
size = 128 * 1024 * 1024
tail = b"\r\n" + part("requirements") + b"{}\r\n--xyz--\r\n"
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.putrequest("POST", sys.argv[2])
connection.putheader("Content-Type", "multipart/form-data; boundary=xyz")
connection.putheader("Content-Length", str(len(part("files")) + size + len(tail)))
connection.endheaders(part("files"))
for _ in range(size // 65536):
    connection.send(bytes(65536))
connection.send(tail)
print(connection.getresponse().status)
"""


class LiveRuns(FakeRuns):
    """A run that goes on: lines come when the test says so."""

    def __init__(self, jobs: FakeJobs) -> None:
        super().__init__(jobs)
        self.batches: asyncio.Queue[Sequence[LogLine] | None] = asyncio.Queue()
        self.let_go = asyncio.Event()

    async def follow(
        self, run_id: UUID, from_line: int = 0, reader: Principal | None = None
    ) -> AsyncIterator[Sequence[LogLine]]:
        try:
            while (batch := await self.batches.get()) is not None:
                yield batch
        finally:
            self.let_go.set()


class MeasuringDeployments(FakeDeployments):
    """Keeps no upload, only what tells them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.digests: list[str] = []

    async def upload(self, principal: Principal, workspace_id: UUID, archive: Path, requirements: bytes) -> Deployment:
        self.sizes.append(archive.stat().st_size)
        with archive.open("rb") as file:
            self.digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return make_deployment(workspace_id=workspace_id)


@dataclass(frozen=True)
class Running:
    """A server under test."""

    socket: Path
    url: str
    runs: LiveRuns
    jobs: FakeJobs
    deployments: MeasuringDeployments

    def local(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(self.socket)), base_url="http://localhost")

    def remote(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url)


@pytest.fixture
async def server(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    settings = Settings(
        state_dir=tmp_path, socket=tmp_path / "api.sock", auth=AuthSettings(admin_group="no-such-group")
    )
    jobs, deployments = FakeJobs(), MeasuringDeployments()
    runs = LiveRuns(jobs)
    services = replace(
        fake_services(jobs=jobs, runs=runs, deployments=deployments),
        accounts=AccountService(database, TokenSigner(Ed25519PrivateKey.generate()), settings.auth),
        workspaces=WorkspaceService(database),
    )
    config = uvicorn.Config(
        create_app(services, settings), http=PeerProtocol, proxy_headers=False, log_config=None, lifespan="on"
    )
    uvicorn_server = uvicorn.Server(config)
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        unix.bind(str(settings.socket))
        unix.listen()
        settings.socket.chmod(0o666)
        serving = asyncio.create_task(uvicorn_server.serve(sockets=[unix, tcp]))
        # Clients need not wait: both sockets listen, and what they are asked is answered once the server has started.
        yield Running(settings.socket, f"http://127.0.0.1:{tcp.getsockname()[1]}", runs, jobs, deployments)
        uvicorn_server.should_exit = True
        await serving


async def run_script(script: str, *arguments: str) -> str:
    """What a Python program of its own prints."""
    process = await asyncio.create_subprocess_exec("/usr/bin/python3", "-c", script, *arguments, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().strip()


async def log_in(server: Running) -> str:
    """An access token, by the way a person takes."""
    async with server.local() as admin, server.remote() as client:
        await admin.post(f"{API_PREFIX}/v1/admin/users", json={"email": "ada@example.org"})
        started = (await client.post(f"{AUTH_PREFIX}/v1/workos/device-flow/code")).json()
        await admin.post(f"{API_PREFIX}/v1/admin/device-approvals", json={"user_code": started["user_code"]})
        login = await client.post(f"{AUTH_PREFIX}/v1/workos/device-flow/token", json=started)
    assert login.status_code == 201
    token: str = login.json()["jwt"]
    return token


async def test_the_socket_knows_its_peer_and_tcp_knows_nobody(server: Running) -> None:
    async with server.local() as local, server.remote() as remote:
        for _ in range(2):  # the second request on the same connection too
            me = await local.get(ME)
            assert me.json()["email"] == f"{pwd.getpwuid(os.getuid()).pw_name}@localhost"
        assert (await remote.get(ME)).status_code == 401
        assert (await remote.get(f"{API_PREFIX}/v1/ping")).status_code == 200


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_another_account_on_the_socket_is_refused(server: Running) -> None:
    for directory in server.socket.parents:
        if not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o001)  # the test's own places are closed to other accounts
    assert await run_script(ASK_AS_NOBODY, str(server.socket), ME) == "403"


async def test_a_person_logs_in_over_tcp(server: Running) -> None:
    token = await log_in(server)
    async with server.remote() as client:
        client.headers["Authorization"] = f"Bearer {token}"
        me = (await client.get(ME)).json()
        assert me["email"] == "ada@example.org"
        assert [item["role"] for item in me["workspaces"]] == ["owner"]
        assert (await client.get(f"{API_PREFIX}/v1/admin/users")).status_code == 403
        machine = await client.get(f"{API_PREFIX}/v1/workspaces/{me['last_workspace']['id']}/me")
        assert machine.json()["workspace_role"] == "owner"


async def test_a_machine_token_comes_and_goes(server: Running) -> None:
    async with server.local() as admin, server.remote() as machine:
        await admin.post(f"{API_PREFIX}/v1/admin/users", json={"email": "ci@example.org"})
        workspace = (await admin.get(ME)).json()["last_workspace"]
        body = {"email": "ci@example.org", "workspace": workspace["name"], "days": 7}
        created = (await admin.post(f"{API_PREFIX}/v1/admin/tokens", json=body)).json()
        machine.headers["Authorization"] = f"Bearer {created['token']}"
        assert [item["workspace"]["id"] for item in (await machine.get(ME)).json()["workspaces"]] == [workspace["id"]]
        listed = (await admin.get(f"{API_PREFIX}/v1/admin/tokens")).json()["items"]
        assert [(item["id"], "token" in item) for item in listed] == [(created["id"], False)]
        assert (await admin.delete(f"{API_PREFIX}/v1/admin/tokens/{created['id']}")).status_code == 204
        assert (await machine.get(ME)).status_code == 401


async def test_log_lines_stream_as_they_come_and_the_end_closes(server: Running) -> None:
    url = f"{API_PREFIX}/v1/workspaces/{{}}/runs/{server.jobs.run.id}/logs/stream"
    async with server.local() as client:
        workspace = (await client.get(ME)).json()["last_workspace"]["id"]
        async with client.stream("GET", url.format(workspace)) as answer:  # headers before any line
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert "content-encoding" not in answer.headers
            lines = answer.aiter_lines()
            for number in range(2):
                line = LogLine(line_num=number, phase="program", reported_at=NOW, content=f"fruit {number}")
                server.runs.batches.put_nowait([line])
                assert f"fruit {number}" in await anext(lines)
                assert await anext(lines) == ""
            server.runs.batches.put_nowait(None)
            assert [line async for line in lines] == []


async def test_a_client_that_hangs_up_ends_the_stream(server: Running) -> None:
    async with server.local() as client:
        workspace = (await client.get(ME)).json()["last_workspace"]["id"]
        url = f"{API_PREFIX}/v1/workspaces/{workspace}/runs/{server.jobs.run.id}/logs/stream"
        async with client.stream("GET", url) as answer:
            assert answer.status_code == 200
    await asyncio.wait_for(server.runs.let_go.wait(), 5)


async def test_an_upload_of_some_size_arrives(server: Running) -> None:
    archive = os.urandom(3_000_000)
    async with server.local() as client:
        workspace = (await client.get(ME)).json()["last_workspace"]["id"]
        url = f"{API_PREFIX}/v1/workspaces/{workspace}/deployments"
        answer = await client.post(url, files={"files": archive, "requirements": b"{}"})
    assert answer.status_code == 201, answer.text
    assert server.deployments.digests == [hashlib.sha256(archive).hexdigest()]


async def test_an_upload_that_breaks_off_leaves_nothing(server: Running, tmp_path: Path) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b'--xyz\r\nContent-Disposition: form-data; name="files"; filename="f"\r\n\r\n' + b"x" * 2_000_000
        raise ConnectionAbortedError

    async with server.local() as client:
        workspace = (await client.get(ME)).json()["last_workspace"]["id"]
        url = f"{API_PREFIX}/v1/workspaces/{workspace}/deployments"
        with contextlib.suppress(ConnectionAbortedError):
            await client.post(url, content=half(), headers={"Content-Type": "multipart/form-data; boundary=xyz"})
        while list((tmp_path / "tmp").iterdir()):
            await client.get(f"{API_PREFIX}/v1/ping")
    assert server.deployments.sizes == []


async def test_memory_stays_small_while_a_large_upload_comes_in(server: Running) -> None:
    """128 MiB through the server, which lives in this very process, may not show in its peak memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with server.local() as client:
        workspace = (await client.get(ME)).json()["last_workspace"]["id"]
    url = f"{API_PREFIX}/v1/workspaces/{workspace}/deployments"
    assert await run_script(SEND_128_MIB, str(server.socket), url) == "201"
    assert server.deployments.sizes == [128 * 1024 * 1024]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40 * 1024, f"{grown} KiB"
