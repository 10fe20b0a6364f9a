"""An app asked directly, through the apps' proxy, and through nginx where there is one: in turn, in the same run.

App, proxy and nginx are processes of their own with one worker each; this one asks.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from websockets.asyncio.client import connect

from tests.benchmarks.figures import percentile, say
from tests.proxied import SLUG, proxied

NGINX = os.environ.get("NGINX") or shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
CONNECTIONS, SECONDS, ROUNDS = 32, 3.0, 2
MESSAGES, SOCKETS = 4000, 4
COOKIE = "dlt-runtime-app=" + "a" * 64
_NGINX_CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;
  upstream app {{ server 127.0.0.1:{app}; keepalive 64; }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Host $host; proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


def proxy_beside_nginx() -> None:
    """Requests and WebSocket messages per second, and the 99th percentile of waiting for an answer."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as parts:
        folder = Path(name)
        app = parts.enter_context(_child("app", folder))
        ways = {"directly": (app, ""), "through the proxy": (0, f"/apps/{SLUG}")}
        ways["through the proxy"] = (parts.enter_context(_child("proxy", folder, str(app))), f"/apps/{SLUG}")
        if NGINX is None:
            say("nginx", "not installed", "set NGINX to its path")
        else:
            ways["through nginx"] = (parts.enter_context(_nginx(NGINX, folder, app)), "")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            for way, (port, prefix) in ways.items():
                waits: list[float] = []
                rates = [runner.run(ask(port, prefix, waits)) for _ in range(ROUNDS)]
                say(f"requests {way}", f"{max(rates):.0f}/s", f"p99 {percentile(waits, 99) * 1000:.1f} ms")
            for way, (port, prefix) in ways.items():
                say(f"WebSocket messages {way}", f"{runner.run(_talk(port, prefix)):.0f}/s", "there and back")


async def ask(port: int, prefix: str, waits: list[float], cookie: str = COOKIE) -> float:
    """Ask for a kibibyte over and over; requests per second, and in `waits` how long each took."""
    end, request = time.monotonic() + SECONDS, f"GET {prefix}/ HTTP/1.1\r\nhost: bench\r\ncookie: {cookie}\r\n\r\n"

    async def keep_asking() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while (began := time.monotonic()) < end:
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            if b"chunked" in head.lower():
                await reader.readuntil(b"0\r\n\r\n")
            else:
                await reader.readexactly(1024)
            waits.append(time.monotonic() - began)
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(keep_asking() for _ in range(CONNECTIONS)))) / SECONDS


async def _talk(port: int, prefix: str) -> float:
    async def talk() -> None:
        uri, headers = f"ws://127.0.0.1:{port}{prefix}/ws", {"Cookie": COOKIE}
        async with connect(uri, additional_headers=headers, proxy=None, compression=None) as connection:
            for _ in range(MESSAGES):
                await connection.send("x" * 100)
                await connection.recv()

    began = time.monotonic()
    await asyncio.gather(*(talk() for _ in range(SOCKETS)))
    return MESSAGES * SOCKETS / (time.monotonic() - began)


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """A kibibyte for who asks, and an echo for who opens a WebSocket."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"1024")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * 1024})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if "text" in message:
                await send({"type": "websocket.send", "text": message["text"]})


async def _serve(role: str, folder: Path, app_port: int) -> None:
    if role == "proxy":
        async with proxied(app_port, folder) as proxy:
            print(proxy.port, flush=True)
            await asyncio.Event().wait()
    configuration = uvicorn.Config(_app, port=0, log_level="error", access_log=False, ws="websockets-sansio")
    server = uvicorn.Server(configuration)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it sets a flag, no event
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


@contextmanager
def _child(role: str, folder: Path, *more: str) -> Iterator[int]:
    """A process of this module in another role; the port it has taken."""
    command = [sys.executable, "-m", "tests.benchmarks.proxy", role, str(folder), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)


@contextmanager
def _nginx(program: str, folder: Path, app_port: int) -> Iterator[int]:
    port = app_port + 1 if app_port < 65535 else app_port - 1
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX_CONFIGURATION.format(folder=folder, app=app_port, port=port))
    with subprocess.Popen([program, "-c", str(configuration)], stderr=subprocess.DEVNULL) as process:
        time.sleep(0.5)
        try:
            yield port
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(
        _serve(sys.argv[1], Path(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]))
    )
