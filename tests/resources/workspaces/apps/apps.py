"""Apps of the tests, each a function with a server of its own on the port it is given."""

import http.server
import os
import socket
import sys
import threading
import time
from typing import Any

import dlt.hub.run as run

VERSION = "one"
ADDRESSES: tuple[str, ...] = ()
PLAIN: Any = {"intercept_signals": False}


class Answers(http.server.BaseHTTPRequestHandler):
    """Says who answers; `/exit` ends the process, `/slow` takes its time."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.endswith("/exit"):
            print("told to crash", flush=True)
            os._exit(3)
        body = f"{VERSION} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _serve(host: str, port: int) -> None:
    with http.server.ThreadingHTTPServer((host, port), Answers) as server:
        print(f"listening on {host} {port}", flush=True)
        server.serve_forever()


@run.interactive(execute=PLAIN)
def everywhere(run_context: dict[str, Any]) -> None:
    """Listens on all addresses, as most do."""
    print("arguments", run_context["run_args"], flush=True)
    _serve("0.0.0.0", run_context["run_args"]["port"])


@run.interactive(execute=PLAIN)
def loopback(run_context: dict[str, Any]) -> None:
    """Listens on the loopback alone."""
    _serve("127.0.0.1", run_context["run_args"]["port"])


class _Six(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


@run.interactive(execute=PLAIN)
def six(run_context: dict[str, Any]) -> None:
    """Listens on the loopback of IPv6 alone."""
    with _Six(("::1", run_context["run_args"]["port"]), Answers) as server:
        server.serve_forever()


@run.interactive(execute=PLAIN)
def elsewhere() -> None:
    """Listens on a port of its own choice."""
    _serve("127.0.0.1", 5000)


@run.interactive(execute=PLAIN)
def silent() -> None:
    """Never listens."""
    print("thinking", flush=True)
    time.sleep(3600)


@run.interactive(execute=PLAIN)
def mute(run_context: dict[str, Any]) -> None:
    """Listens and never answers."""
    with socket.create_server(("0.0.0.0", run_context["run_args"]["port"])):
        time.sleep(3600)


class _Flood(Answers):
    """Answers with more headers than anybody reads."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Flood", "x" * 200_000)
        self.end_headers()


@run.interactive(execute=PLAIN)
def floods(run_context: dict[str, Any]) -> None:
    """Listens, and answers what cannot be passed on."""
    with http.server.ThreadingHTTPServer(("0.0.0.0", run_context["run_args"]["port"]), _Flood) as server:
        print("flooding", flush=True)
        server.serve_forever()


@run.interactive(execute=PLAIN)
def leaves() -> None:
    """Ends well, and at once."""
    print("nothing to do", flush=True)


@run.interactive(execute=PLAIN)
def fails() -> None:
    """Ends badly, and at once."""
    raise ValueError("no such notebook")


@run.interactive(execute=PLAIN)
def stubborn(run_context: dict[str, Any]) -> None:
    """Does not end when told to."""
    import signal

    threading.Thread(target=_serve, args=("0.0.0.0", run_context["run_args"]["port"])).start()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@run.job(execute=PLAIN)
def intruder() -> None:
    """A batch job that looks for the apps beside it: on its own loopback, its own addresses, and the given ones."""
    for address in ("127.0.0.1", "::1", _own_address(), *ADDRESSES):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as trying:
            trying.settimeout(2)
            answer = trying.connect_ex((address, 8080))
        print(f"reached {address}" if answer == 0 else f"closed {address}", flush=True)
    sys.stdout.flush()


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))
        return str(asking.getsockname()[0])
