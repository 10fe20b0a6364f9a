"""How soon a key shows on the terminal, in a workspace with many jobs and runs while others write logs.

Everything is real: the daemon, the runs that write, `dlt-runtime tui` in a pseudo-terminal. A key is timed from when it
is written until the terminal has been sent what it changes. The list's cursor (`> name`) and a screen's own headings
are sent for no other reason, so nothing that is redrawn meanwhile is taken for the effect. The floor, in turn with it,
is a Textual application of nothing but tables.
"""

import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import zstandard

from runtime.store.columns import to_micros
from tests.benchmarks.crowded_store import fill_store
from tests.benchmarks.figures import percentile, say, say_ratio, say_seconds
from tests.benchmarks.typist import DOWN, PAGE_DOWN, PAGE_UP, UP, Typist
from tests.deployed_workspace import DeployedWorkspace, batch_job
from tests.our_cli import COMMAND
from tests.processes import REPOSITORY, DaemonProcess, plain_environment

JOBS, RUNS, WRITERS = 2_000, 100_000, 20
LINES, LINES_OF_A_CHUNK = 1_000_000, 2_000
ROUNDS, KEYS = 5, 60
LIMIT_SECONDS = 0.05
START_SECONDS = 600.0
NOISE = """
import time

from dlt.hub import run


def write():
    number = 0
    while True:
        print(f"row {number} has been written", flush=True)
        number += 1
        time.sleep(0.05)
""" + "".join(f"\n\n@run.job()\ndef write_{number:02}():\n    write()\n" for number in range(WRITERS))
_DEEPEST = 20
_CURSOR = re.compile(r"> (crowd\.job_\d+(?: #\d+)?)")


def terminal_keys() -> None:
    """From a key to the terminal, in lists and between screens, and to the end of a log of a million lines."""
    with _crowd() as workspace, ExitStack() as screens:
        environment = plain_environment()
        floor = screens.enter_context(
            Typist([sys.executable, "-m", "tests.benchmarks.bare_table", str(JOBS)], REPOSITORY, environment)
        )
        floor.wait_until(lambda shown: "crowd.job_00010" in shown)
        imports = min(_seconds_of_imports(environment) for _ in range(3))
        command = [*COMMAND, "--url", workspace.daemon.socket_url, "--workspace", str(workspace.id), "tui"]
        began, first = time.perf_counter(), list[float]()
        ours = screens.enter_context(Typist(command, REPOSITORY, environment))

        def is_filled(shown: str) -> bool:
            if "Runs next" in shown and not first:
                first.append(time.perf_counter() - began)
            return "noise.write_" in shown

        ours.wait_until(is_filled)
        say("tui, its imports alone", f"{imports:.2f} s")
        say("tui, first screen beyond its imports", f"{first[0] - imports:.2f} s", "aim: at most 0.5 s")
        say("tui, command to workspace shown", f"{time.perf_counter() - began:.2f} s", "2,000 jobs, 100,000 runs")

        at = "> crowd.job_00000"
        ours.press(b"2", lambda shown: "Last runs" in shown and at in shown)
        for _ in range(2):  # what is done for the first time takes longer, and is not what is asked for here
            _moves(floor, lambda name: lambda shown: name in shown)
            _moves(ours, lambda name: lambda shown: f"> {name}" in shown)
        bare, moves = [], []
        computed = [floor.processor_seconds, ours.processor_seconds]
        for _ in range(ROUNDS):
            bare += _moves(floor, lambda name: lambda shown: name in shown)
            moves += _moves(ours, lambda name: lambda shown: f"> {name}" in shown)
        computed = [floor.processor_seconds - computed[0], ours.processor_seconds - computed[1]]
        say_seconds("key, bare table", bare)
        say_seconds("key, cursor in the jobs", moves)
        say_ratio("key, ours / bare", moves, bare, "at most 2")
        each = [f"{seconds * 1000 / len(moves):.2f} ms" for seconds in computed]
        say("key, processor time with all that goes on", each[1], f"bare {each[0]}")
        pages = _pages(ours, at)
        say_seconds("key, page of the jobs", pages)
        bare_changes, changes = _changes(floor), _changes(ours)
        say_seconds("key, another screen of bare tables", bare_changes)
        say_seconds("key, another screen", changes)
        say_ratio("key, another screen, ours / bare", changes, bare_changes, "at most 1")
        opened = _log(ours)
        say("log of 1,000,000 lines open at its end", f"{opened:.2f} s")
    everything = percentile([*moves, *pages, *changes], 99)
    aim = f"aim: below {LIMIT_SECONDS * 1000:.0f} ms; bare {percentile(bare, 99) * 1000:.1f} ms"
    say("key, all of them, p99", f"{everything * 1000:.1f} ms", aim)


def _seconds_of_imports(environment: Mapping[str, str]) -> float:
    """Of a process that imports what `dlt-runtime tui` does for its first screen, and ends."""
    began = time.perf_counter()
    command = [sys.executable, "-c", "import cli.main, cli.commands.tui, tui.app, tui.place, tui.screens.overview"]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    return time.perf_counter() - began


@contextmanager
def _crowd() -> Iterator[DeployedWorkspace]:
    """A workspace of that size in which runs write, 20 lines a second each."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        daemon = DaemonProcess(Path(folder), {"RUNS__MAX_RUNNING": WRITERS}).start()
        try:
            workspace = DeployedWorkspace.create(daemon, "crowd")
            names = [f"write_{number:02}" for number in range(WRITERS)]
            workspace.deploy({"noise.py": NOISE.encode()}, *(batch_job("noise", name) for name in names))
            daemon.stop()
            fill_store(daemon.state / "runtime.db", ["manual:"] * JOBS, runs=RUNS, into=workspace.id)
            _give_long_log(daemon.state / "runtime.db")
            daemon.start()
            runs = [workspace.start(f"jobs.noise.{name}") for name in names]
            for run_id in runs:
                workspace.wait_for_line(run_id, "row 10 has been written", START_SECONDS)
            yield workspace
            assert [workspace.run(run_id).status for run_id in runs] == ["running"] * WRITERS
        finally:
            daemon.close()


def _give_long_log(path: Path) -> None:
    """Give the newest run that has ended a log of a million lines."""
    with closing(sqlite3.connect(path)) as connection, connection:
        (run,) = connection.execute("SELECT id FROM runs ORDER BY created_at DESC LIMIT 1").fetchone()
        text = "\n".join(f"2026-03-10 12:00:00 INFO row {number} of a long log" for number in range(LINES_OF_A_CHUNK))
        content = zstandard.ZstdCompressor(level=1).compress(text.encode())
        connection.executemany(
            "INSERT INTO log_chunks VALUES (?, ?, ?, ?, ?, ?)",
            [
                (run, first, LINES_OF_A_CHUNK, "program", to_micros(datetime.now(UTC)), content)
                for first in range(0, LINES, LINES_OF_A_CHUNK)
            ],
        )


def _moves(typist: Typist, seen: Callable[[str], Callable[[str], bool]]) -> list[float]:
    """Down the list and up again, line by line."""
    rows = [*range(1, KEYS // 2 + 1), *range(KEYS // 2 - 1, -1, -1)]
    keys = [DOWN] * (KEYS // 2) + [UP] * (KEYS // 2)
    return [typist.press(key, seen(f"crowd.job_{row:05}")) for key, row in zip(keys, rows, strict=True)]


def _pages(typist: Typist, at: str) -> list[float]:
    """Pages down and up at random: the cursor is somewhere else."""
    choose, taken, depth = random.Random(7), [], 0
    for _ in range(KEYS):
        key = PAGE_DOWN if depth == 0 else PAGE_UP if depth == _DEEPEST else choose.choice((PAGE_DOWN, PAGE_UP))
        depth += 1 if key == PAGE_DOWN else -1
        places: list[str] = []

        def is_elsewhere(shown: str, places: list[str] = places, at: str = at) -> bool:
            places[:] = [place for place in _CURSOR.findall(shown) if f"> {place}" != at]
            return bool(places)

        taken.append(typist.press(key, is_elsewhere))
        at = f"> {places[-1]}"
    return taken


def _changes(typist: Typist) -> list[float]:
    """To the runs and back to the jobs."""
    taken = []
    for _ in range(KEYS // 2):
        taken.append(typist.press(b"3", lambda shown: "Took" in shown))
        taken.append(typist.press(b"2", lambda shown: "Last runs" in shown))
    return taken[2:]  # a screen is built when it is first looked at


def _log(typist: Typist) -> float:
    """Seconds until the end of the long log is shown."""
    typist.press(b"3", lambda shown: "Took" in shown)
    typist.press(DOWN * WRITERS, lambda shown: bool(_CURSOR.search(shown)))  # the runs that go on come first
    return typist.press(b"\r", lambda shown: f"row {LINES_OF_A_CHUNK - 1} of a long log" in shown)
