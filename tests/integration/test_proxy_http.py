"""HTTP through the proxy: byte for byte where it must be, and streamed both ways."""

import asyncio
import hashlib
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.dispatch.visits import Claim
from runtime.launchers.serving import QuietHandler, ThreadedServer
from tests.plain_app import OK, plain_app
from tests.proxied import SECRET, SLUG, client, on_uvloop, proxied


async def raw(port: int, request: bytes) -> bytes:
    """What comes back for these very bytes, until the other side is done or silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    got = b""
    try:
        async with asyncio.timeout(5):
            while piece := await reader.read(65536):
                got += piece
    finally:
        writer.close()
    return got


@on_uvloop
async def test_path_and_query_reach_the_app_as_they_came(tmp_path: Path) -> None:
    """Percent-encodings, double slashes and dots are the app's to read."""
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy:
        target = f"/apps/{SLUG}//a%2Fb/%2e%2e/..%2fc/%C3%A9?q=%20+&&x=[1]"
        head = f"GET {target} HTTP/1.1\r\nhost: here\r\ncookie: dlt-runtime-app={'a' * 64}\r\nconnection: close\r\n\r\n"
        answer = await raw(proxy.port, head.encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert app.heads[0].startswith(b"GET //a%2Fb/%2e%2e/..%2fc/%C3%A9?q=%20+&&x=[1] HTTP/1.1\r\n")


@on_uvloop
async def test_whoever_takes_the_apps_port_for_the_apis_is_told_so(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        said = [
            (await http.get(f"http://127.0.0.1:{proxy.port}{path}")).json()["detail"]
            for path in ("/api/api/v1/me", "/x")
        ]
    assert "the API has another port" in said[0]
    assert said[1] == "There is no app at this address."


@on_uvloop
async def test_an_encoded_way_up_stays_with_its_app(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        outside = await http.get(f"http://127.0.0.1:{proxy.port}/apps/{SLUG}%2f..%2fother/")
        assert outside.status_code == 404
        head = f"GET /apps/{SLUG}/..%2f..%2fapi HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n"
        await raw(proxy.port, f"{head}connection: close\r\n\r\n".encode())
    assert app.heads[-1].startswith(b"GET /..%2f..%2fapi ")


@on_uvloop
async def test_an_app_with_a_base_path_gets_it(tmp_path: Path) -> None:
    async with (
        plain_app(OK) as app,
        proxied(app.port, tmp_path, base_path=f"/apps/{SLUG}") as proxy,
        client(proxy) as http,
    ):
        await http.get(f"{proxy.url}/x")
        await http.get(f"http://127.0.0.1:{proxy.port}/public/{SECRET}/y")
    assert [head.split(b" ")[1] for head in app.heads] == [f"/apps/{SLUG}/x".encode(), f"/apps/{SLUG}/y".encode()]


@on_uvloop
async def test_headers_that_nobody_else_may_say_are_ours(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        await http.get(
            f"{proxy.url}/",
            headers={
                "X-Forwarded-For": "6.6.6.6",
                "X-Forwarded-User": "root",
                "X_Forwarded_For": "6.6.6.6",
                "Forwarded": "for=6.6.6.6",
                "Connection": "keep-alive, X-Secret",
                "X-Secret": "hop",
                "Cookie": f"dlt-runtime-session=1; mine=2; dlt-runtime-app={'a' * 64}",
                "Authorization": "Basic bWU6bWU=",
            },
        )
    head = app.heads[0].decode().lower()
    assert "x-forwarded-for: 127.0.0.1\r\n" in head
    assert f"x-forwarded-prefix: /apps/{SLUG}\r\n" in head
    assert "x-forwarded-proto: http\r\n" in head
    assert f"x-forwarded-host: 127.0.0.1:{proxy.port}\r\n" in head
    assert "cookie: mine=2\r\n" in head
    assert "authorization: basic" in head
    for absent in ("6.6.6.6", "root", "x-secret", "dlt-runtime", "connection:"):
        assert absent not in head


@pytest.mark.parametrize("domain", [None, "apps.test"], ids=["path", "host"])
@on_uvloop
async def test_an_app_does_not_learn_the_secret_of_a_link(domain: str | None, tmp_path: Path) -> None:
    """A program uses the link as the address; a page that is there says so in many headers. Redirects work."""
    told = f"/apps/{SLUG}" if domain is None else ""
    answer = f"HTTP/1.1 302 Found\r\nlocation: {told}/next\r\ncontent-length: 0\r\n\r\n"
    async with plain_app(answer.encode()) as app, proxied(app.port, tmp_path, domain=domain) as proxy:
        base = f"http://127.0.0.1:{proxy.port}"
        link = f"{base}/public/{SECRET}/"
        headers = {"Referer": f"{link}page", "X-Original-URI": "/other", "HX-Current-URL": link.upper()}
        async with client(proxy) as http:
            got = await http.get(f"{link}x", headers=headers)
        assert got.headers["location"] == f"/public/{SECRET}/next"
        head = app.heads[0].decode().lower()
        assert str(SECRET) not in head
        assert f"referer: {base}/\r\n" in head
        assert "x-original-uri" not in head
        assert ("x-forwarded-prefix" in head) == (domain is None)


@on_uvloop
async def test_a_page_at_a_link_that_leads_to_the_app_does_not_tell_it(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        own = f"{proxy.url}/public/css"
        for referer in (f"http://127.0.0.1:{proxy.port}/public/{SECRET}/page", own):
            await http.get(f"{proxy.url}/", headers={"Referer": referer})
    assert str(SECRET).encode() not in app.heads[0]
    assert f"referer: {own}\r\n".encode() in app.heads[1].lower()


@on_uvloop
async def test_our_token_is_not_passed_on(tmp_path: Path) -> None:
    async with (
        plain_app(OK) as app,
        proxied(app.port, tmp_path) as proxy,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        assert (await http.get(f"{proxy.url}/", headers={"Authorization": "Bearer ours"})).status_code == 200
    assert b"authorization" not in app.heads[0].lower()


@on_uvloop
async def test_every_use_of_an_app_is_a_visit_to_be_noted_and_nobody_elses_is(tmp_path: Path) -> None:
    """Programs too, with a token or a link; who is turned away, or led on, has not visited."""
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy:
        link = f"http://127.0.0.1:{proxy.port}/public/{SECRET}/"
        async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
            await http.get(f"{proxy.url}/", headers={"Authorization": "Bearer ours"})
            await http.get(link)
            await http.get(link, headers={"Accept": "text/html"})
            proxy.visits.standing = "no_member"
            await http.get(f"{proxy.url}/", headers={"Authorization": "Bearer ours"})
    assert proxy.visits.noted == [Claim(token="ours"), Claim(link=SECRET)]


@on_uvloop
async def test_answers_are_moved_to_the_prefix(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 302 Found\r\nLocation: http://localhost:8080/next?a=1\r\n"
        b"Set-Cookie: a=1; Path=/; Domain=evil.test\r\n"
        b"Set-Cookie: dlt-runtime-session=x\r\nClear-Site-Data: *\r\nStrict-Transport-Security: max-age=9\r\n"
        b"Service-Worker-Allowed: /\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n"
    )
    async with plain_app(answer) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        got = await http.get(f"{proxy.url}/")
    assert got.headers["location"] == f"/apps/{SLUG}/next?a=1"
    assert got.headers.get_list("set-cookie") == [f"a=1; Path=/apps/{SLUG}/"]
    assert not {"clear-site-data", "strict-transport-security", "service-worker-allowed", "x-hop"} & set(got.headers)
    assert got.headers["x-dlt-runtime-version"] == "7"


@on_uvloop
async def test_the_slash_after_the_prefix_is_put_there(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        got = await http.get(f"{proxy.url}?a=b")
    assert (got.status_code, got.headers["location"]) == (308, f"/apps/{SLUG}/?a=b")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("length", [b"", b"content-length: 12\r\n"], ids=["no length", "a length"])
@on_uvloop
async def test_answers_without_a_body(status: bytes, length: bytes, tmp_path: Path) -> None:
    """304 may say the length that there would be."""
    async with (
        plain_app(b"HTTP/1.1 " + status + b"\r\netag: x\r\n" + length + b"\r\n") as app,
        proxied(app.port, tmp_path) as proxy,
        client(proxy) as http,
    ):
        first, second = await http.get(f"{proxy.url}/"), await http.get(f"{proxy.url}/")
    assert str(first.status_code).encode() == status[:3]
    assert (second.content, app.connections) == (b"", 1)


@on_uvloop
async def test_head_keeps_the_length_it_was_told(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n"
    async with plain_app(answer) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        first, second = await http.head(f"{proxy.url}/"), await http.head(f"{proxy.url}/")
    assert first.headers["content-length"] == second.headers["content-length"] == "12345"


@on_uvloop
async def test_interim_answers_are_passed_over(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK
    async with plain_app(answer) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        assert (await http.get(f"{proxy.url}/")).text == "ok"


@on_uvloop
async def test_a_body_goes_up_and_down_without_being_held(tmp_path: Path) -> None:
    """64 MiB each way at once; the app echoes as it reads."""
    size, digest = 64 * 1024 * 1024, hashlib.sha256()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        left = size
        while left:
            data = await reader.read(min(left, 262144))
            left -= len(data)
            writer.write(data)
            await writer.drain()

    async def send(writer: asyncio.StreamWriter) -> None:
        for number in range(size // 65536):
            piece = bytes([number % 251]) * 65536
            digest.update(piece)
            writer.write(piece)
            await writer.drain()

    back, length = hashlib.sha256(), 0
    async with plain_app(echo) as app, proxied(app.port, tmp_path) as proxy:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = f"POST /apps/{SLUG}/ HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n"
        writer.write(f"{head}connection: close\r\ncontent-length: {size}\r\n\r\n".encode())
        sending = asyncio.create_task(send(writer))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        while (chunk := int(await reader.readline(), 16)) > 0:
            back.update((await reader.readexactly(chunk + 2))[:-2])
            length += chunk
        await sending
        writer.close()
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (length, back.digest()) == (size, digest.digest())
    assert grown_kib < 16 * 1024


@on_uvloop
async def test_events_come_as_they_are_sent(tmp_path: Path) -> None:
    told = asyncio.Event()

    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await told.wait()
        writer.write(b"data: 2\n\n")

    async with (
        plain_app(events) as app,
        proxied(app.port, tmp_path) as proxy,
        client(proxy) as http,
        http.stream("GET", f"{proxy.url}/") as answer,
    ):
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"data: 1\n\n"
        told.set()
        assert await anext(pieces) == b"data: 2\n\n"


@pytest.mark.parametrize(
    ("domain", "policies"), [("apps.test", ["default-src *", "sandbox"]), (None, ["default-src *"])]
)
@on_uvloop
async def test_an_app_is_no_page_at_the_apis_host(domain: str | None, policies: list[str], tmp_path: Path) -> None:
    """What browsers show of it by a link there, a form's answer or an embedded object, runs no scripts."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-security-policy: default-src *\r\ncontent-length: 2\r\n\r\nok"
    async with plain_app(answer) as app, proxied(app.port, tmp_path, domain=domain) as proxy, client(proxy) as http:
        link, headers = f"http://127.0.0.1:{proxy.port}/public/{SECRET}/", {"Sec-Fetch-Mode": "navigate"}
        for got in (await http.post(link, headers=headers), await http.get(link, headers={"Accept": "*/*"})):
            assert got.headers.get_list("content-security-policy") == policies
        own = {"Host": f"{SLUG}.apps.test" if domain else "here"}
        path = "/" if domain else f"/apps/{SLUG}/"
        got = await http.get(f"http://127.0.0.1:{proxy.port}{path}", headers=own)
        assert got.headers.get_list("content-security-policy") == ["default-src *"]


@on_uvloop
async def test_an_answer_before_the_body_has_been_sent(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
        await writer.drain()
        await reader.read()

    async with plain_app(refuse) as app, proxied(app.port, tmp_path) as proxy:
        head = (
            f"POST /apps/{SLUG}/ HTTP/1.1\r\nhost: h\r\ncookie: dlt-runtime-app={'a' * 64}\r\n"
            "content-length: 99999999\r\nconnection: close\r\n\r\nbegin"
        )
        assert (await raw(proxy.port, head.encode())).startswith(b"HTTP/1.1 413")


@contextmanager
def wsgi_app() -> Iterator[int]:
    """An application of the standard library's server, as a job without waitress has it; its port."""

    def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert "HTTP_TRANSFER_ENCODING" not in environ
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
        return [body]

    with ThreadedServer(("127.0.0.1", 0), QuietHandler) as server:
        server.set_app(echo)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()


@on_uvloop
async def test_an_upload_in_chunks_reaches_a_wsgi_application(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(40):
            yield bytes([number]) * 65_000

    with wsgi_app() as port:
        async with proxied(port, tmp_path) as proxy, client(proxy) as http:
            whole = await http.post(f"{proxy.url}/", content=b"known to be short")
            chunked = await http.post(f"{proxy.url}/", content=pieces())
    assert whole.content == b"known to be short"
    assert chunked.content == b"".join(bytes([number]) * 65_000 for number in range(40))
