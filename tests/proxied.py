"""The apps' proxy in front of an app that is a plain server here: all of it real but the sandbox and who may come."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import uvloop

from runtime.dispatch.app_usage import Backend
from runtime.dispatch.changes import Changes
from runtime.dispatch.visits import Claim, Grant
from runtime.domain.apps import App
from runtime.domain.logs import LogLine
from runtime.domain.runs import Run
from runtime.errors import JobRuntimeError, RefusedError, UnavailableError
from runtime.front import Front
from runtime.proxy.app import AppsProxy
from runtime.server import Server, server_config
from runtime.settings import Settings
from tests.factories import NOW, make_run
from tests.plain_app import PlainApp

Test = Callable[..., Coroutine[Any, Any, None]]

SLUG = "board-0a1b2c3d"
DEPLOYMENT_ID = UUID(int=4)
SECRET = UUID("6a1a4c53-6a57-4dd4-a9a5-3f4a86b1c3c1")
TICKET = "d" * 64
APP = App(job_id=UUID(int=1), workspace_id=UUID(int=2), job_ref="jobs.board", slug=SLUG, label="board")


def on_uvloop(test: Test) -> Callable[..., None]:
    """Run a test on the daemon's own kind of loop, whose transports are not quite asyncio's."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test(*arguments, **named))

    return run


@dataclass
class FakeApps:
    """One app that runs, or not."""

    port: int
    base_path: str = ""
    is_running: bool = True
    in_use: int = 0
    woken: int = 0
    woke: asyncio.Event = field(default_factory=asyncio.Event)
    run: Run | None = None
    told: list[tuple[str, str]] = field(default_factory=list)
    used: asyncio.Event = field(default_factory=asyncio.Event)
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        except OSError as error:
            connection.close()
            raise UnavailableError("nothing listens") from error
        return connection

    async def find(self, slug: str) -> App | None:
        return APP if slug == SLUG else None

    async def of_link(self, secret: UUID) -> App | None:
        return APP if secret == SECRET else None

    async def backend(self, app: App) -> Backend | None:
        return Backend(UUID(int=3), 1, 7, self.base_path, self) if self.is_running else None

    async def latest(self, app: App) -> Run | None:
        return self.run

    async def failure(self, app: App) -> Run | None:
        return self.run if self.run is not None and self.run.status == "failed" else None

    async def cancelled(self, app: App) -> Run | None:
        return self.run if self.run is not None and self.run.status == "cancelled" else None

    async def version_of(self, run: Run) -> int:
        return 7

    async def wake(self, app: App, user_id: UUID | None) -> Run:
        self.woken += 1
        self.woke.set()
        self.run = make_run(status="starting", deployment_id=DEPLOYMENT_ID)
        return self.run

    def tell(self, run_id: UUID, kind: str, words: str) -> None:
        self.told.append((kind, words))

    def using(self, run_id: UUID) -> AbstractContextManager[None]:
        return self._using()

    @contextmanager
    def _using(self) -> Iterator[None]:
        self.in_use += 1
        self.used.set()
        try:
            yield
        finally:
            self.in_use -= 1
            self.unused.set()


@dataclass
class FakeRuns:
    """A log of one line, which goes on until the proxy looks no more, or the run has ended."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, run_id: UUID) -> AsyncIterator[list[LogLine]]:
        yield [LogLine(line_num=0, phase="setup", content="builds <the> environment", reported_at=NOW)]
        await self.ended.wait()

    async def last_lines(self, run_id: UUID, count: int) -> list[LogLine]:
        return [LogLine(line_num=0, phase="program", content="KeyError: <'x'>", reported_at=NOW)]


@dataclass
class FakeVisits:
    """Lets everybody in who shows anything, until it is told otherwise."""

    changes: Changes
    standing: str = "good"
    trouble: JobRuntimeError | None = None
    """What comes of looking again at what is open."""
    looked_again: asyncio.Event = field(default_factory=asyncio.Event)
    noted: list[Claim] = field(default_factory=list)

    async def note(self, grant: Grant) -> None:
        self.noted.append(grant.claim)

    async def is_ours(self, token: str) -> bool:
        return token == "ours"

    @property
    def is_closing(self) -> bool:
        return self.changes.is_closed

    async def look(self, app: App, claim: Claim, *, anew: bool = False) -> Grant:
        if anew:
            self.looked_again.set()
            if self.trouble is not None:
                raise self.trouble
        return Grant(app, claim, cast("Any", self.standing), is_public=claim.link is not None)

    async def ticket_of_link(self, app: App, secret: UUID) -> str:
        return TICKET

    async def enter(self, app: App, ticket: str, marks: Sequence[str] = ()) -> str:
        if ticket != TICKET:
            raise RefusedError("no such ticket")
        return "c" * 64

    async def changed(self, workspace_ids: set[UUID], seconds: float) -> None:
        event = self.changes.event(APP.workspace_id)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return

    def announce(self) -> None:
        self.changes.announce(APP.workspace_id)

    def revoke(self) -> None:
        self.standing = "revoked"
        self.announce()


@dataclass
class Proxied:
    """A proxy that serves."""

    port: int
    apps: FakeApps
    visits: FakeVisits
    runs: FakeRuns

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/apps/{SLUG}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": "dlt-runtime-app=" + "a" * 64}


@asynccontextmanager
async def proxied(app_port: int, folder: Path, *, base_path: str = "", **settings: Any) -> AsyncIterator[Proxied]:
    """Serve, in this event loop."""
    changes = Changes()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    apps, visits, runs = FakeApps(app_port, base_path), FakeVisits(changes), FakeRuns()
    told = Settings(
        state_dir=folder,
        socket=folder / "api.sock",
        apps={"listen": f"127.0.0.1:{port}", **settings},
    )
    services = cast("tuple[Any, Any, Any]", (apps, runs, visits))
    proxy = AppsProxy(*services, told)
    server = Server(server_config(Front(_nothing, proxy, ("127.0.0.1", port)), told), changes)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn sets a flag, no event
        await asyncio.sleep(0.005)
    try:
        yield Proxied(port, apps, visits, runs)
    finally:
        proxy.close()
        server.stop()
        await serving


def client(proxy: Proxied, **headers: str) -> httpx.AsyncClient:
    """Somebody who may visit the app."""
    return httpx.AsyncClient(headers={**proxy.headers, **headers}, timeout=20, trust_env=False)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """The API's place; only its lifespan is asked for."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"the API"})


async def leave_while_used(proxy: Proxied, app: PlainApp, writer: asyncio.StreamWriter, *, is_revoked: bool) -> None:
    """A visitor goes, or loses access, while the app answers; return once the app's side has ended as well."""
    async with asyncio.timeout(5):
        await proxy.apps.used.wait()
        proxy.visits.revoke() if is_revoked else writer.close()
        await app.ended.wait()
        await proxy.apps.unused.wait()
    writer.close()
