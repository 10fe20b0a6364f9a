"""Apps that do nothing, and one that answers as fast as it can."""

import http.server

import dlt.hub.run as run


@run.interactive()
def plain(run_context: run.TJobRunContext):
    """A server of the standard library."""
    address = ("0.0.0.0", run_context["run_args"]["port"])
    http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()


@run.interactive()
def quick():
    """An ASGI application: a kibibyte for who asks."""

    async def answer(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1024")]})
            await send({"type": "http.response.body", "body": b"x" * 1024})

    return answer
