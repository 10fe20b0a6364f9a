"""From a trigger to the first line, from a written line to a streamed one, and how many lines a second are stored."""

import json
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx
import zstandard

from runtime.wire.addresses import API_PREFIX
from tests.benchmarks.figures import percentile, say, say_ratio, say_seconds
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.processes import DaemonProcess, plain_environment

SOURCE = WORKSPACES / "benchmark"
ROUNDS = 15
FLOOD_LINES = 500_000
LAUNCHER = "dlt._workspace.deployment.launchers.job"


@contextmanager
def _workspace() -> Iterator[DeployedWorkspace]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        daemon = DaemonProcess(Path(folder)).start()
        try:
            workspace = DeployedWorkspace.create(daemon, "benchmark")
            jobs = [batch_job("bench", name) for name in ("first_line", "clock", "flood")]
            workspace.deploy(files_of(SOURCE), *jobs)
            workspace.execute("jobs.bench.first_line")
            yield workspace
        finally:
            daemon.close()


def _stream(workspace: DeployedWorkspace, run_id: UUID) -> Iterator[tuple[float, str]]:
    """Program lines as they arrive: (wall clock, content)."""
    transport = httpx.HTTPTransport(uds=str(workspace.daemon.socket))
    with httpx.Client(transport=transport, base_url=f"http://daemon{API_PREFIX}", timeout=None) as client:
        path = f"/v1/workspaces/{workspace.id}/runs/{run_id}/logs/stream"
        with client.stream("GET", path) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    event = json.loads(line[6:])
                    if event["channel"] == "program":
                        yield time.time(), event["content"]


def first_line() -> None:
    """Trigger to first streamed line, beside the SDK's own launcher started bare in the same virtualenv."""
    with _workspace() as workspace, tempfile.TemporaryDirectory(prefix="bench-bare-") as copy:
        (python,) = (workspace.daemon.state / "envs").glob("*/bin/python")
        for name, content in files_of(SOURCE).items():
            (Path(copy) / name).write_bytes(content)
        (Path(copy) / ".dlt").mkdir()
        (Path(copy) / ".dlt" / ".workspace").touch()
        bare = [_bare(python, Path(copy)) for _ in range(2)]
        bare, ours = [], []
        for _ in range(ROUNDS):
            bare.append(_bare(python, Path(copy)))
            ours.append(_ours(workspace))
    say_seconds("first line, bare launcher", bare)
    say_seconds("first line, triggered and streamed", ours)
    say_ratio("first line, ours / bare", ours, bare, "at most 1.10")


def _bare(python: Path, directory: Path) -> float:
    entry_point = json.dumps({**batch_job("bench", "first_line")["entry_point"], "job_ref": "jobs.bench.first_line"})
    # Not with `-m`: the job's import of dlt.hub works only once `dlt.hub.run` has been imported, as ours does.
    code = f"import dlt.hub.run, runpy; runpy.run_module('{LAUNCHER}', run_name='__main__')"
    argv = [str(python), "-c", code, "--run-id", "bare", "--trigger", "manual:", "--entry-point", entry_point]
    began = time.perf_counter()
    with subprocess.Popen(
        argv,
        cwd=directory,
        stdout=subprocess.PIPE,
        env=plain_environment(HOME=str(directory), WORKSPACE__PROFILE="prod", PYTHONPATH=""),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - began


def _ours(workspace: DeployedWorkspace) -> float:
    began = time.perf_counter()
    run_id = workspace.start("jobs.bench.first_line")
    lines = _stream(workspace, run_id)
    next(lines)
    took = time.perf_counter() - began
    for _ in lines:
        pass
    workspace.wait_for_end(run_id)
    return took


def log_latency() -> None:
    """From the moment a job writes a line to the moment a client has it, beside a bare pipe."""
    with _workspace() as workspace:
        run_id = workspace.start("jobs.bench.clock")
        ours = [arrived - float(line[3:]) for arrived, line in _stream(workspace, run_id) if line.startswith("at ")]
    say_seconds("log line, pipe between two processes", _pipe_latency())
    say_seconds("log line, written to streamed", ours)
    say("log line, p99 written to streamed", f"{percentile(ours, 99) * 1000:.0f} ms", "aim: under 250 ms")


def _pipe_latency() -> list[float]:
    code = "import time\nfor _ in range(300): print(time.time(), flush=True); time.sleep(0.01)"
    with subprocess.Popen(["python3", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        return [time.time() - float(line) for line in process.stdout]


def log_throughput() -> None:
    """Lines a second that are stored, none lost, beside the same lines written to SQLite directly."""
    with _workspace() as workspace:
        run_id = workspace.start("jobs.bench.flood")
        began = None
        last = 0.0
        count = 0
        for arrived, line in _stream(workspace, run_id):
            if line.startswith("from "):
                began = float(line[5:])
            else:
                count, last = count + 1, arrived
        assert began is not None
        workspace.wait_for_end(run_id)
        stored = workspace.lines(run_id)
    assert count == len(stored) - 1 == FLOOD_LINES, (count, len(stored))
    assert stored[-1].endswith(f"number {FLOOD_LINES - 1}")
    ours, floor = FLOOD_LINES / (last - began), _raw_writes()
    say("lines a second, raw SQLite writes", f"{floor:,.0f}")
    say("lines a second, stored and streamed", f"{ours:,.0f}", "aim: 50,000, none lost")
    say("lines a second, ours / raw", f"{ours / floor:.3f}")


def _raw_writes() -> float:
    lines = [
        f"a line of a log as jobs write them, with some 80 characters in it, number {i}" for i in range(FLOOD_LINES)
    ]
    with tempfile.TemporaryDirectory(prefix="bench-raw-") as folder:
        database = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE log (first INTEGER PRIMARY KEY, content BLOB)")
        compressor = zstandard.ZstdCompressor(level=1)
        began = time.perf_counter()
        for first in range(0, FLOOD_LINES, 5000):
            content = compressor.compress("\n".join(lines[first : first + 5000]).encode())
            database.execute("INSERT INTO log VALUES (?, ?)", (first, content))
        took = time.perf_counter() - began
        database.close()
    return FLOOD_LINES / took
