"""An app for a browser: a page with a WebSocket, a cookie, and questions it should get no answer to."""

import asyncio
import http
import time
from typing import Any

import dlt.hub.run as run
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

PAGE = """<!doctype html><html lang="en"><title>Board</title>
<h1>The board</h1><p id="heard">nothing heard</p><p id="ended"></p>
<script>
const socket = new WebSocket(new URL("ws", location.href).href.replace(/^http/, "ws"));
socket.onopen = () => socket.send("hello");
socket.onmessage = (event) => { document.getElementById("heard").textContent = "heard " + event.data; };
socket.onclose = (event) => { document.getElementById("ended").textContent = "ended " + event.code; };
</script>"""
SEEN: list[str] = []


def page(connection: ServerConnection, request: Request) -> Response | None:
    if request.headers.get("Upgrade") == "websocket":
        return None
    SEEN.extend(request.headers.get_all("Cookie"))
    headers = Headers()
    if request.path.endswith("/cookies"):
        body = repr(SEEN)
        headers["Content-Type"] = "text/plain"
    else:
        body = PAGE
        headers["Content-Type"] = "text/html"
        headers["Set-Cookie"] = "taste=sweet; Path=/; Domain=localhost"
    headers["Content-Length"] = str(len(body))
    return Response(http.HTTPStatus.OK, "OK", headers, body.encode())


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def listen(port: int) -> None:
    async with serve(echo, "127.0.0.1", port, process_request=page) as server:
        await server.serve_forever()


@run.interactive(execute={"intercept_signals": False})
def board(run_context: dict[str, Any]) -> None:
    """Shows the page."""
    print("the board opens", flush=True)
    asyncio.run(listen(run_context["run_args"]["port"]))


@run.interactive(execute={"intercept_signals": False})
def broken() -> None:
    """Never gets that far."""
    raise LookupError("the board is not there")


@run.interactive(execute={"intercept_signals": False})
def slow() -> None:
    """Never gets that far either, and takes its time."""
    print("still thinking", flush=True)
    time.sleep(3600)
