"""Jobs that wait for files and print, for tests in which the machine has no room or no time for what they say."""

import time
from pathlib import Path

from dlt.hub import run


@run.job
def quick():
    print("quick")

@run.job
def hoard():
    Path("_local/prod/hoard").write_bytes(b"x" * 12_000_000)

@run.interactive
def board(run_context):
    print("never comes to this without its data")

@run.job
def talk():
    place = Path("_local/prod")
    print("ready", flush=True)
    while not (place / "go").exists():
        time.sleep(0.01)
    for number in range(2000):
        print(f"line {number}", flush=True)
    (place / "go").unlink()
    while (place / "stay").exists():
        time.sleep(0.01)
    print("done", flush=True)
