"""Applications that a function returns, or that are a server of their own.

What an application is made of is imported inside its function: each job has its own dependency groups.
"""

import dlt.hub.run as run
from sales_pipeline import FRUITS, sold

MCP = {"dependency_groups": ["mcp"]}
WEB = {"dependency_groups": ["web"]}


@run.interactive(interface="mcp", require=MCP)
def returned_tools():
    """An MCP server that a function returns"""
    from fastmcp import FastMCP

    server = FastMCP("fruits")

    @server.tool
    def price(fruit: str) -> float:
        """What one piece of a fruit costs."""
        return FRUITS[fruit]

    return server


@run.interactive(interface="rest_api", require=WEB)
def sales_api():
    """FastAPI, with its documentation at /docs"""
    from fastapi import FastAPI, HTTPException

    api = FastAPI(title="Sales API")

    @api.get("/fruits")
    def fruits() -> list[str]:
        return list(FRUITS)

    @api.get("/sold/{fruit}")
    def days(fruit: str, at_least: int = 0) -> dict[str, int]:
        if fruit not in FRUITS:
            raise HTTPException(404, f"no {fruit} here")
        return {str(day): pieces for day, pieces in sold(fruit, at_least)}

    return api


@run.interactive(interface="rest_api", require=WEB)
def sales_site():
    """Flask, or any other WSGI application"""
    from flask import Flask, url_for

    site = Flask("sales")

    @site.get("/")
    def index():
        links = "".join(f'<li><a href="{url_for("fruit", name=name)}">{name}</a></li>' for name in FRUITS)
        return f"<!doctype html><title>Sales</title><h1>Sales</h1><ul>{links}</ul>"

    @site.get("/fruits/<name>")
    def fruit(name):
        total = sum(pieces for _, pieces in sold(name))
        return f"<!doctype html><title>{name}</title><p>{total} pieces</p>"

    return site


@run.interactive(interface="rest_api", require=WEB)
def echo():
    """Starlette, with a WebSocket at /echo that repeats what it hears"""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute

    async def index(request):
        return PlainTextResponse("a WebSocket is at echo")

    async def repeat(websocket):
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message)

    return Starlette(routes=[Route("/", index), WebSocketRoute("/echo", repeat)])


@run.interactive(interface="rest_api")
def plain_server(run_context: run.TJobRunContext):
    """A function that is its own server, on the port it is given"""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = ", ".join(FRUITS).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("", run_context["run_args"]["port"]), Handler).serve_forever()
