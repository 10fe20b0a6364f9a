"""Exchanges with an app that do not come to their end: it fails, the browser goes, or access or the daemon ends."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.plain_app import OK, plain_app
from tests.proxied import SLUG, client, leave_while_used, on_uvloop, proxied


@on_uvloop
async def test_who_goes_away_ends_the_request_at_the_app(tmp_path: Path) -> None:
    async def forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with plain_app(forever) as app, proxied(app.port, tmp_path) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(f"GET /apps/{SLUG}/ HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n\r\n".encode())
        await proxy.apps.used.wait()
        writer.close()
        async with asyncio.timeout(5):
            await app.ended.wait()
            await proxy.apps.unused.wait()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-a: " + b"y" * 200_000 + b"\r\n\r\n", "too large"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-a: 1\r\n" * 5000 + b"\r\n", "too many headers"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "not asked for"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "no HTTP"),
    ],
    ids=["another protocol", "a long header", "many headers", "an upgrade", "two lengths"],
)
@on_uvloop
async def test_an_app_that_speaks_badly_gets_502(answer: bytes, words: str, tmp_path: Path) -> None:
    async with plain_app(answer) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        got = await http.get(f"{proxy.url}/a%2Fb?secret=1")
        ((kind, told),) = proxy.apps.told
    assert got.status_code == 502
    assert words in got.json()["detail"]
    assert (kind, told.startswith("visitors get 502: "), told.endswith("(GET /a%2Fb)")) == ("502", True, True)
    assert words in told


@on_uvloop
async def test_an_app_that_hangs_up_gets_502(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say nothing."""

    async with plain_app(hang_up) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        assert (await http.get(f"{proxy.url}/")).status_code == 502


@on_uvloop
async def test_half_an_answer_is_not_made_a_whole_one(tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")

    async with plain_app(half) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{proxy.url}/")


@on_uvloop
async def test_an_answer_that_does_not_come_is_504(tmp_path: Path) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with plain_app(never) as app, proxied(app.port, tmp_path, answer_seconds=0.2) as proxy, client(proxy) as http:
        got = await http.get(f"{proxy.url}/", headers={"Accept": "text/html"})
    assert got.status_code == 504
    assert "has not answered within 0.2 s" in got.text


@on_uvloop
async def test_an_app_that_does_not_take_a_body_is_504(tmp_path: Path) -> None:
    size = 64 * 1024 * 1024

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with plain_app(deaf) as app, proxied(app.port, tmp_path, answer_seconds=0.3) as proxy, client(proxy) as http:
        got = await http.post(f"{proxy.url}/", content=b"z" * size)
        ((kind, told),) = proxy.apps.told
    assert (got.status_code, kind) == (504, "504")
    assert "has not taken the request within 0.3 s" in got.json()["detail"]
    assert "has not taken the request within 0.3 s" in told


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("is_revoked", [False, True], ids=["by itself", "without access"])
@on_uvloop
async def test_a_browser_that_goes_is_not_the_apps_failure(method: str, is_revoked: bool, tmp_path: Path) -> None:
    """The app's log is for what its visitors do not get."""

    async def forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with plain_app(forever) as app, proxied(app.port, tmp_path) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = f"{method} /apps/{SLUG}/ HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n"
        writer.write(head.encode() + (b"content-length: 2\r\n\r\nab" if method == "POST" else b"\r\n"))
        await leave_while_used(proxy, app, writer, is_revoked=is_revoked)
        assert not proxy.apps.told


@on_uvloop
async def test_losing_access_ends_what_streams(tmp_path: Path) -> None:
    async def forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        await reader.read()

    async with plain_app(forever) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        async with http.stream("GET", f"{proxy.url}/") as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"first"
            proxy.visits.revoke()
            async with asyncio.timeout(1):
                with pytest.raises(httpx.RemoteProtocolError):
                    await anext(pieces)
        assert (await http.get(f"{proxy.url}/")).status_code == 410


@on_uvloop
async def test_a_dead_connection_is_not_the_next_requests_trouble(tmp_path: Path) -> None:
    """What the app closes between two requests is noticed, and asking again is for the proxy to do."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # the second request on this connection gets no answer

    async with plain_app(once) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        assert (await http.get(f"{proxy.url}/")).text == "ok"
        assert (await http.get(f"{proxy.url}/")).text == "ok"
    assert app.connections == 2


@on_uvloop
async def test_a_daemon_that_ends_lets_go_of_what_streams(tmp_path: Path) -> None:
    """Its end is not held up by an open page, and no answer that broke off looks whole."""

    async def forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        await reader.read()

    async with plain_app(forever) as app:
        async with proxied(app.port, tmp_path) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            head = f"GET /apps/{SLUG}/ HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n\r\n"
            writer.write(head.encode())
            await reader.readuntil(b"first")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"0\r\n\r\n")
        writer.close()
