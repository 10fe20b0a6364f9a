"""An app that shows a warehouse, and the job that loads it."""

import http.server
import os
import time
from pathlib import Path
from typing import Any

import dlt.hub.run as run
import duckdb

PLAIN: Any = {"intercept_signals": False}
LOCAL = Path("_local") / os.environ.get("WORKSPACE__PROFILE", "prod")
WAREHOUSE = LOCAL / "warehouse.duckdb"
GO_ON = LOCAL / "go-on"


@run.job(execute=PLAIN)
def load() -> None:
    """Adds a row, and then goes on writing for as long as there is a file that says so."""
    with duckdb.connect(str(WAREHOUSE)) as warehouse:
        warehouse.execute("CREATE TABLE IF NOT EXISTS sales (day INTEGER)")
        warehouse.execute("CREATE TABLE IF NOT EXISTS busy (moment DOUBLE)")
        warehouse.execute("INSERT INTO sales SELECT count(*) FROM sales")
        if GO_ON.exists():
            print("writing", flush=True)
        while GO_ON.exists():
            warehouse.execute("INSERT INTO busy VALUES (?)", [time.time()])


@run.interactive(execute=PLAIN)
def board(run_context: dict[str, Any]) -> None:
    """Tells how many days there are: over a connection that it holds open, and over one that it opens anew."""
    held = duckdb.connect(str(WAREHOUSE.resolve()), read_only=True)

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/held":
                body = days_in(held)
            else:
                # By its real path: DuckDB takes one path for one database while any connection to it is open.
                with duckdb.connect(str(WAREHOUSE.resolve()), read_only=True) as anew:
                    body = days_in(anew)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.HTTPServer(("0.0.0.0", run_context["run_args"]["port"]), Answers) as server:
        server.serve_forever()


def days_in(connection: duckdb.DuckDBPyConnection) -> bytes:
    """How many days there are."""
    row = connection.execute("SELECT count(*) FROM sales").fetchone()
    return str(row[0] if row else None).encode()
