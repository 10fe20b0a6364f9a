"""An app of a few lines: it answers every request in the same way."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dlt.hub.run as run


class Stand(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"fresh apples")


@run.interactive(idle_timeout="1h")
def stand(run_context: Any = None) -> None:
    print("the stand is open")
    HTTPServer(("127.0.0.1", run_context["run_args"]["port"]), Stand).serve_forever()
