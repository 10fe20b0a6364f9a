"""Jobs that are measured."""

import sys
import time

from dlt.hub import run


@run.job()
def first_line() -> None:
    print("here", flush=True)


@run.job()
def clock() -> None:
    for _ in range(500):
        print(f"at {time.time():.6f}", flush=True)
        time.sleep(0.01)


@run.job()
def flood() -> None:
    line = "a line of a log as jobs write them, with some 80 characters in it, number "
    print(f"from {time.time():.6f}", flush=True)
    for block in range(100):
        sys.stdout.write("".join(f"{line}{block * 5000 + number}\n" for number in range(5000)))
    sys.stdout.flush()
