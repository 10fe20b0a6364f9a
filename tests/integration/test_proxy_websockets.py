"""WebSockets through the proxy: two ends that hardly notice that there is something between them."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from runtime.api.protocol import MOST_CONNECTIONS
from runtime.errors import DiskFullError, JobRuntimeError, UnauthenticatedError
from runtime.proxy.crowding import MOST_OPEN
from tests.factories import make_run
from tests.plain_app import plain_app
from tests.proxied import SECRET, SLUG, Proxied, leave_while_used, on_uvloop, proxied

Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def app_with(
    handler: Handler, folder: Path, settings: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Proxied]:
    """A proxy before an app that is one WebSocket handler."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with proxied(port, folder, **(settings or {})) as proxy:
            yield proxy


def visiting(proxy: Proxied, path: str = "/ws", **options: Any) -> connect:
    return connect(
        f"ws://127.0.0.1:{proxy.port}/apps/{SLUG}{path}", additional_headers=proxy.headers, proxy=None, **options
    )


async def closing(connection: Any) -> tuple[int, str]:
    """The code and reason that a WebSocket is closed with from over there."""
    try:
        async with asyncio.timeout(5):
            while True:
                await connection.recv()
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@on_uvloop
async def test_ten_thousand_messages_come_back(tmp_path: Path) -> None:
    async with app_with(echo, tmp_path) as proxy, visiting(proxy) as connection:

        async def send() -> None:
            for number in range(10_000):
                await connection.send(str(number) if number % 2 else b"%d" % number)

        sending = asyncio.create_task(send())
        for number in range(10_000):
            assert await connection.recv() == (str(number) if number % 2 else b"%d" % number)
        await sending


@on_uvloop
async def test_what_the_ends_agree_on_is_theirs(tmp_path: Path) -> None:
    """The subprotocol and the extension are negotiated by the two ends; a fragmented message stays one message."""
    async with (
        app_with(echo, tmp_path, subprotocols=[Subprotocol("b")]) as proxy,
        visiting(proxy, subprotocols=[Subprotocol("a"), Subprotocol("b")]) as connection,
    ):
        assert connection.subprotocol == "b"
        assert connection.response is not None
        assert "permessage-deflate" in connection.response.headers["sec-websocket-extensions"]
        assert connection.response.headers["x-dlt-runtime-version"] == "7"
        await connection.send(["in ", "three ", "pieces"])
        assert await connection.recv() == "in three pieces"
        await (await connection.ping())  # answered by the app itself


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4000, 4999])
@on_uvloop
async def test_the_app_closes_with_code_and_reason(code: int, tmp_path: Path) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(code, "enough — genug")

    async with app_with(close, tmp_path) as proxy, visiting(proxy) as connection:
        assert await closing(connection) == (code, "enough — genug")


@on_uvloop
async def test_the_browser_closes_with_code_and_reason(tmp_path: Path) -> None:
    seen: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def watch(connection: ServerConnection) -> None:
        await connection.wait_closed()
        seen.set_result((connection.close_code or 0, connection.close_reason or ""))

    async with app_with(watch, tmp_path) as proxy, visiting(proxy) as connection:
        await connection.close(4321, "bye")
        assert await asyncio.wait_for(seen, 5) == (4321, "bye")


@on_uvloop
async def test_a_browser_that_vanishes_is_gone_for_the_app(tmp_path: Path) -> None:
    seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def watch(connection: ServerConnection) -> None:
        await connection.wait_closed()
        seen.set_result(connection.close_code or 0)

    async with app_with(watch, tmp_path) as proxy:
        async with visiting(proxy) as connection:
            connection.transport.abort()
            assert await asyncio.wait_for(seen, 5) == 1006
        assert proxy.apps.in_use == 0


@on_uvloop
async def test_an_app_that_dies_closes_its_websockets(tmp_path: Path) -> None:
    async def die(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with app_with(die, tmp_path) as proxy, visiting(proxy) as connection:
        await connection.send("x")
        assert await closing(connection) == (1014, "the app has ended")


@on_uvloop
async def test_losing_access_closes_an_open_websocket_within_a_second(tmp_path: Path) -> None:
    async with app_with(echo, tmp_path) as proxy, visiting(proxy) as connection:
        await connection.send("x")
        await connection.recv()
        async with asyncio.timeout(1):
            proxy.visits.revoke()
            assert await closing(connection) == (1008, "access to this app has ended")


@pytest.mark.parametrize(
    ("trouble", "ends"),
    [(DiskFullError("no room"), False), (UnauthenticatedError("the token is revoked"), True)],
    ids=["the daemon's", "the visitor's"],
)
@on_uvloop
async def test_only_what_is_wrong_with_the_visitor_ends_a_websocket(
    trouble: JobRuntimeError, ends: bool, tmp_path: Path
) -> None:
    async with app_with(echo, tmp_path) as proxy, visiting(proxy) as connection:
        await connection.send("x")
        await connection.recv()
        proxy.visits.trouble = trouble
        proxy.visits.announce()
        async with asyncio.timeout(5):
            await proxy.visits.looked_again.wait()
            if not ends:
                await connection.send("y")
                assert await connection.recv() == "y"
                proxy.visits.trouble = None
                proxy.visits.revoke()  # it is still being looked at
            assert await closing(connection) == (1008, "access to this app has ended")


@on_uvloop
async def test_a_reader_that_does_not_keep_up_stops_the_writer(tmp_path: Path) -> None:
    """200 MB that nobody reads are not held by the proxy: the app cannot get rid of them."""
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(200):
            await connection.send(b"x" * 1_000_000)
            sent += 1

    async with app_with(flood, tmp_path, compression=None, write_limit=65536) as proxy:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with visiting(proxy, max_queue=1, compression=None) as connection:
            await connection.recv()
            last = -1
            while last != sent:
                last = sent
                await asyncio.sleep(0.2)
            grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            connection.transport.abort()
    assert sent < 50
    assert grown_kib < 64 * 1024


@on_uvloop
async def test_a_refusal_of_the_app_is_passed_on(tmp_path: Path) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(418, "no tea")

    async with app_with(echo, tmp_path, process_request=refuse) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            await visiting(proxy)
    assert refused.value.response.status_code == 418
    assert refused.value.response.body == b"no tea"


@on_uvloop
async def test_a_refusal_that_breaks_off_is_not_made_a_whole_one(tmp_path: Path) -> None:
    """Nor does a second answer come after it."""

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 1000\r\n\r\nhalf")

    async with plain_app(half) as app, proxied(app.port, tmp_path) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = f"GET /apps/{SLUG}/ws HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n"
        writer.write(f"{head}connection: upgrade\r\nupgrade: websocket\r\n\r\n".encode())
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := await reader.read(65536):
                got += piece
        writer.close()
    assert got.count(b"HTTP/1.1") <= 1
    assert len(got) < 1000


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\nhalf"], ids=["nothing", "half"]
)
@pytest.mark.parametrize("is_revoked", [False, True], ids=["by itself", "without access"])
@on_uvloop
async def test_a_browser_that_goes_before_the_app_has_answered_holds_nothing(
    said: bytes, is_revoked: bool, tmp_path: Path
) -> None:
    """Nor is it the app's failure."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()

    async with plain_app(slow) as app, proxied(app.port, tmp_path) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = f"GET /apps/{SLUG}/ws HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n"
        writer.write(f"{head}connection: upgrade\r\nupgrade: websocket\r\n\r\n".encode())
        await leave_while_used(proxy, app, writer, is_revoked=is_revoked)
        assert not proxy.apps.told


@pytest.mark.parametrize(("origin", "status"), [("https://evil.test", 401), ("null", 401), ("http://[", 401)])
@on_uvloop
async def test_another_sites_page_opens_no_websocket(origin: str, status: int, tmp_path: Path) -> None:
    async with app_with(echo, tmp_path) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            await visiting(proxy, origin=origin)
    assert refused.value.response.status_code == status


@on_uvloop
async def test_the_apps_own_page_opens_one(tmp_path: Path) -> None:
    async with (
        app_with(echo, tmp_path) as proxy,
        visiting(proxy, origin=f"http://127.0.0.1:{proxy.port}") as connection,
    ):
        await connection.send("x")
        assert await connection.recv() == "x"


@on_uvloop
async def test_who_asks_without_the_slash_is_told_where_the_app_is(tmp_path: Path) -> None:
    async with app_with(echo, tmp_path) as proxy, visiting(proxy, "") as connection:
        await connection.send("x")
        assert await connection.recv() == "x"


@on_uvloop
async def test_a_program_comes_by_a_public_link(tmp_path: Path) -> None:
    async with (
        app_with(echo, tmp_path) as proxy,
        connect(f"ws://127.0.0.1:{proxy.port}/public/{SECRET}/ws", proxy=None) as connection,
    ):
        await connection.send("x")
        assert await connection.recv() == "x"


@on_uvloop
async def test_an_app_that_is_no_websocket_server(tmp_path: Path) -> None:
    async with (
        plain_app(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") as app,
        proxied(app.port, tmp_path) as proxy,
    ):
        with pytest.raises(InvalidStatus) as refused:
            await visiting(proxy)
    assert refused.value.response.status_code == 200
    assert b"upgrade: websocket" in app.heads[0].lower()


@on_uvloop
async def test_a_resting_app_is_not_woken_by_a_tab_that_was_left_open(tmp_path: Path) -> None:
    async with app_with(echo, tmp_path) as proxy:
        proxy.apps.is_running = False
        with pytest.raises(InvalidStatus) as refused:
            await visiting(proxy)
    assert refused.value.response.status_code == 503


@on_uvloop
async def test_who_holds_a_public_link_shuts_neither_members_nor_others_apps_out(tmp_path: Path) -> None:
    """However many quiet WebSockets they open."""
    limits = {"most_open": 3, "most_open_by_link": 2}
    async with app_with(echo, tmp_path, limits) as proxy, AsyncExitStack() as open_ones:
        by_link = f"ws://127.0.0.1:{proxy.port}/public/{SECRET}/ws"
        for _ in range(2):
            await open_ones.enter_async_context(connect(by_link, proxy=None))
        with pytest.raises(InvalidStatus) as refused:
            await connect(by_link, proxy=None)
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["retry-after"] == "5"
        async with visiting(proxy) as member:
            await member.send("x")
            assert await member.recv() == "x"
            with pytest.raises(InvalidStatus) as refused:
                await visiting(proxy)
            assert refused.value.response.status_code == 503
        assert [kind for kind, _ in proxy.apps.told] == ["429", "503"]
        await open_ones.aclose()
        async with asyncio.timeout(5):
            while proxy.apps.in_use:
                proxy.apps.unused.clear()
                await proxy.apps.unused.wait()
        async with connect(by_link, proxy=None) as again:
            await again.send("y")
            assert await again.recv() == "y"


@on_uvloop
async def test_apps_together_leave_connections_to_the_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_OPEN < MOST_CONNECTIONS
    monkeypatch.setattr("runtime.proxy.crowding.MOST_OPEN", 1)
    async with app_with(echo, tmp_path) as proxy, visiting(proxy):
        with pytest.raises(InvalidStatus) as refused:
            await visiting(proxy)
    assert refused.value.response.status_code == 503
    assert "to all apps" in proxy.apps.told[0][1]


@on_uvloop
async def test_who_waits_for_an_app_to_start_counts_too(tmp_path: Path) -> None:
    """A waiting page holds a connection as long as an app does."""
    async with app_with(echo, tmp_path, {"most_open_by_link": 1}) as proxy:
        proxy.apps.is_running = False
        proxy.apps.run = make_run(status="starting")
        events = f"http://127.0.0.1:{proxy.port}/public/{SECRET}/.dlt-runtime/log"
        async with httpx.AsyncClient(timeout=20, trust_env=False) as http, http.stream("GET", events) as first:
            assert first.status_code == 200
            assert (await http.get(events)).status_code == 429
