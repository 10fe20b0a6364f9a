"""Jobs whose every line is known beforehand, for tests that kill the daemon while they run."""

import http.server
import os
import sys
import time
from pathlib import Path
from typing import Any

import dlt.hub.run as run

RUN_ID = os.environ["RUNTIME__RUN_ID"]
BEGUN = Path("_local/prod/begun")

PLAIN: Any = {"intercept_signals": False, "concurrency": None}
BRIEF: Any = {**PLAIN, "timeout": {"timeout": 4, "grace_period": 1}}


def say(first: int, last: int) -> None:
    """Numbered lines that say whose they are."""
    for number in range(first, last + 1):
        print(RUN_ID, number)


def begin() -> None:
    """Note that the run has begun; at once and whole, however many do it at the same time."""
    with BEGUN.open("a") as begun:
        begun.write(f"{RUN_ID}\n")


def say_for_ever() -> None:
    number = 0
    while True:
        number += 1
        say(number, number)
        time.sleep(0.01)


class Counts(http.server.BaseHTTPRequestHandler):
    """Says whose run it is and how often it was visited; others only ask whether it answers."""

    protocol_version = "HTTP/1.1"
    visits = 0

    def do_GET(self) -> None:
        if self.path.endswith("/visit"):
            Counts.visits += 1
            say(Counts.visits, Counts.visits)
        body = f"{RUN_ID} {Counts.visits}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@run.interactive(execute={"intercept_signals": False})
def board(run_context: dict[str, Any]) -> None:
    http.server.HTTPServer(("0.0.0.0", run_context["run_args"]["port"]), Counts).serve_forever()


@run.job(execute=PLAIN)
def short() -> None:
    begin()
    say(1, 40)


@run.job(execute=PLAIN)
def long() -> None:
    begin()
    for number in range(1, 251):
        say(number, number)
        time.sleep(0.01)


@run.job(execute=PLAIN)
def bursts() -> None:
    begin()
    for first in range(1, 20_001, 1000):
        say(first, first + 999)
        time.sleep(0.05)


@run.job(execute=PLAIN)
def fails() -> None:
    begin()
    say(1, 25)
    sys.exit(3)


@run.job(execute=BRIEF)
def late() -> None:
    begin()
    say_for_ever()


@run.job(execute=PLAIN)
def endless() -> None:
    begin()
    say_for_ever()


@run.job(execute=PLAIN)
def follows() -> None:
    begin()
    say(1, 3)


@run.job(execute=PLAIN)
def mourns() -> None:
    begin()
    say(1, 3)
