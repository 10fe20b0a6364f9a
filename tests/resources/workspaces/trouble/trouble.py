"""Jobs that misbehave. What a test wants to tell a running one, it puts as a file among the local files of `prod`."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Dict

import dlt.hub.run as run

LOCAL = Path("_local/prod")
FLOOD_LINES = 100_000
HUGE = 200_000

QUICK: Any = {"tags": ["quick"]}
PLAIN: Any = {"intercept_signals": False}


@run.job(execute=PLAIN, expose={"tags": ["long"]})
def counts() -> None:
    """Prints numbered lines without a pause longer than some milliseconds until a file `stop` appears."""
    with (LOCAL / "starts").open("a") as starts:
        starts.write("started\n")
    number = 0
    while not (LOCAL / "stop").exists():
        for _ in range(20):
            number += 1
            print(f"counted {number}")
        time.sleep(0.005)
    print(f"stopped at {number}")


@run.job(execute=PLAIN, expose={"tags": ["long"], "display_name": "Sleeps for ever"})
def sleeps() -> None:
    print("sleeping")
    while True:
        time.sleep(3600)


@run.job(execute={"intercept_signals": False, "timeout": {"timeout": 3600, "grace_period": 1}})
def ignores_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf")
    while True:
        time.sleep(3600)


@run.job(execute={"intercept_signals": False, "timeout": {"timeout": 1, "grace_period": 1}}, expose=QUICK)
def runs_too_long() -> None:
    print("starting something long")
    time.sleep(3600)


@run.job(expose=QUICK)
def floods() -> None:
    for number in range(FLOOD_LINES):
        print(f"flood {number}")


@run.job(expose=QUICK)
def exits_3() -> None:
    print("leaving with 3")
    sys.exit(3)


@run.job(expose=QUICK)
def raises() -> None:
    raise ValueError("the pears are bad")


@run.job(expose=QUICK)
def misses_a_module() -> None:
    import a_module_nobody_has  # type: ignore[import-not-found]  # noqa: F401


@run.job(expose=QUICK)
def returns_a_value() -> Dict[str, int]:
    return {"rows": 3}


@run.job(expose=QUICK)
def prints_half_a_line() -> None:
    sys.stdout.write("the end is near")
    sys.stdout.flush()


@run.job(expose=QUICK)
def prints_huge_lines() -> None:
    print("é" * HUGE)
    print("after the huge line")


@run.job(expose=QUICK)
def prints_garbage() -> None:
    sys.stdout.buffer.write(b"before \xff\xfe\x00 after\nwindows\r\n\x1b[31mred\x1b[0m\n\n")
    sys.stdout.buffer.flush()
    print("to stderr", file=sys.stderr)
    print("line\u2028separator")


@run.job(expose=QUICK)
def leaves_a_child() -> None:
    """The child is in a session of its own, holds stdout open and would print for ever."""
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        while True:
            time.sleep(0.01)
            (LOCAL / "heartbeat").write_text(str(time.monotonic()))
    print("the parent is gone")


@run.job(expose=QUICK)
def reads_its_environment() -> None:
    seen = {"environment": dict(os.environ), "stdin": sys.stdin.read(), "cwd": os.getcwd(), "uid": os.getuid()}
    print(json.dumps(seen))
