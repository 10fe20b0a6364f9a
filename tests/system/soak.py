"""A daemon at work for hours, as an ordinary user: `python -m tests.system.soak [--minutes N]`; says whether it grows.

Every few seconds: short runs that succeed and fail, followups, a timed one, a chatty one, cancels, log readers that
come and go, lists, visits of an app that rests and wakes, an upload of changed code, an upload of changed settings.
Sampled: resident memory, descriptors, threads, the database with its write-ahead log, rows of runs, files of live runs.
Judged: the median of the last third against that of the second; the first is warming up. Runs, logs, packages and the
audit log are kept for half of the first third and no longer, so that from then on as much goes as comes.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from uuid import UUID

import httpx

from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import socket_endpoint
from runtime.wire.failures import ApiError, InConflictError
from runtime.wire.jobs import TriggerJobsRequest
from tests.chaos.work import APP, JOBS
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, files_of
from tests.factories import JOB_LAUNCHER, make_raw_definition
from tests.processes import DaemonProcess

_TIMED = make_raw_definition(
    "jobs.chaos.timed",
    entry_point={"module": "chaos", "function": "short", "job_type": "batch", "launcher": JOB_LAUNCHER},
    triggers=["every:1m"],
)
DEPLOYED = (*JOBS, APP, _TIMED)
_SAMPLE_SECONDS = 5.0
_SAID_EVERY = 12
_PAUSE_SECONDS = 1.0
_MOST_LIVE = 4
_REST_SECONDS = 20
_GROWTH = {
    "memory MiB": 0.08,
    "descriptors": 0.05,
    "threads": 0.0,
    "files of live runs": 0.5,
    "database MiB": 0.1,
    "rows of runs": 0.2,
}
"""By which part of itself a figure may be larger in the last third than in the second, and not be called growing."""
_SLACK = {"database MiB": 0.1}
"""And by how much besides, so that one descriptor more is not called growing; else 1."""


@dataclass(frozen=True)
class Sample:
    """The daemon at one moment."""

    figures: dict[str, float]
    runs: int


def bounds(minutes: float) -> dict[str, object]:
    """Settings of retention with which a soak of this length has a plateau from the end of its first third on."""
    days = minutes / (6 * 24 * 60)
    return {
        "RETENTION__EVERY_SECONDS": max(1, min(60, int(minutes))),
        "RETENTION__RUN_DAYS": days,
        "RETENTION__LOG_DAYS": days / 2,
        "RETENTION__AUDIT_DAYS": days,
        "RETENTION__KEEP_RUNS": 5,
        "RETENTION__PACKAGE_VERSIONS": 3,
    }


def sample(daemon: DaemonProcess, runs: int) -> Sample:
    """Look at it from outside."""
    process = Path(f"/proc/{daemon.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    figures = {
        "memory MiB": int(status["VmRSS"].split()[0]) / 1024,
        "descriptors": sum(1 for _ in (process / "fd").iterdir()),
        "threads": int(status["Threads"]),
        "files of live runs": sum(1 for place in ("live", "runs") for _ in (daemon.state / place).iterdir()),
        "database MiB": sum(path.stat().st_size for path in daemon.state.glob("runtime.db*")) / 1024**2,
        "rows of runs": _rows_of_runs(daemon),
    }
    return Sample(figures, runs)


def _rows_of_runs(daemon: DaemonProcess) -> int:
    """The file alone may stay as large as it once was, with free pages for what comes next."""
    with closing(sqlite3.connect(f"file:{daemon.state / 'runtime.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


class Load:
    """What the daemon is given to do, by a thread that goes on until it is told to stop."""

    def __init__(self, workspace: DeployedWorkspace, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.is_over = False
        self._workspace = workspace
        self._dice = random.Random(seed)
        self._numbers = count(1)
        self._headers = {"Authorization": f"Bearer {workspace.viewer_token()}"}

    def work(self) -> None:
        """One thing after another."""
        with RuntimeClient(socket_endpoint(self._workspace.daemon.socket)) as client:
            doings = (
                self._start,
                self._start,
                self._start,
                self._read,
                self._list,
                self._visit,
                self._cancel,
                self._upload,
            )
            while not self.is_over:
                doing: Callable[[RuntimeClient], None] = self._dice.choice(doings)
                try:
                    doing(client)
                    self.done[doing.__name__.strip("_")] += 1
                except ApiError as error:
                    self.done[f"error: {error.message}"] += 1
                time.sleep(self._dice.uniform(0, _PAUSE_SECONDS))

    @property
    def _live(self) -> int:
        return sum(1 for _ in (self._workspace.daemon.state / "runs").iterdir())

    def _start(self, client: RuntimeClient) -> None:
        if self._live < _MOST_LIVE:
            job = self._dice.choice(("short", "short", "fails", "long", "bursts", "endless"))
            client.trigger(self._workspace.id, TriggerJobsRequest(job_refs=[f"jobs.chaos.{job}"]))

    def _some_run(self, client: RuntimeClient) -> UUID | None:
        runs = [run for _, run in zip(range(30), client.runs(self._workspace.id), strict=False)]
        return self._dice.choice(runs).id if runs else None

    def _read(self, client: RuntimeClient) -> None:
        if run_id := self._some_run(client):
            client.logs(self._workspace.id, run_id)
            path = f"/v1/workspaces/{self._workspace.id}/runs/{run_id}/logs/stream"
            with client.connection.stream(path, read_seconds=30, headers={}) as stream:
                for _, _line in zip(range(50), stream, strict=False):
                    pass  # and leave in the middle

    def _list(self, client: RuntimeClient) -> None:
        list(client.jobs(self._workspace.id))
        self._some_run(client)

    def _visit(self, client: RuntimeClient) -> None:
        url = client.job(self._workspace.id, "jobs.chaos.board").script_url
        answer = httpx.get(f"{url}visit", headers=self._headers, timeout=120)
        self.done[f"visits answered with {answer.status_code}"] += 1

    def _cancel(self, client: RuntimeClient) -> None:
        for _, run in zip(range(30), client.runs(self._workspace.id), strict=False):
            if run.job_ref == "jobs.chaos.endless":
                with suppress(InConflictError):
                    client.cancel_run(self._workspace.id, run.id)

    def _upload(self, client: RuntimeClient) -> None:
        number = next(self._numbers)
        code = {**files_of(WORKSPACES / "chaos"), "changing.py": f"NUMBER = {number % 5}\n".encode()}
        self._workspace.deploy(code, *DEPLOYED, settings={"config.toml": f"number = {number % 3}\n".encode()})


def verdict(samples: list[Sample]) -> list[str]:
    """A line for each figure; one that grows begins with `GROWS`."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    said = []
    for name, allowed in _GROWTH.items():
        was, became = (median(one.figures[name] for one in part) for part in (middle, last))
        grows = became > was * (1 + allowed) + _SLACK.get(name, 1)
        said.append(f"{'GROWS: ' if grows else ''}{name}: {was:.1f} in the second third, {became:.1f} in the last")
    return said


def _take_samples(daemon: DaemonProcess, seconds: float, working: Future[None], samples: list[Sample]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not working.done():
        time.sleep(_SAMPLE_SECONDS)
        ended = sum(event.get("action") == "run.end" for event in daemon.events())
        samples.append(sample(daemon, ended))
        if len(samples) % _SAID_EVERY == 0:
            print(f"{len(samples) * _SAMPLE_SECONDS:.0f} s", ended, "runs", samples[-1].figures, flush=True)


def main() -> int:
    """Returns 1 if something grows."""
    options = argparse.ArgumentParser(prog="python -m tests.system.soak", description=__doc__)
    options.add_argument("--minutes", type=float, default=120)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, ThreadPoolExecutor(max_workers=1) as pool:
        daemon = DaemonProcess(Path(folder), {**bounds(given.minutes), "APPS__IDLE_SECONDS": _REST_SECONDS}).start()
        try:
            workspace = DeployedWorkspace.create(daemon, "soak")
            workspace.deploy(files_of(WORKSPACES / "chaos"), *DEPLOYED)
            workspace.execute("jobs.chaos.short")
            load = Load(workspace, given.seed)
            working = pool.submit(load.work)
            try:
                _take_samples(daemon, given.minutes * 60, working, samples)
            finally:
                load.is_over = True
            working.result()
            errors = [event for event in daemon.events() if event.get("level") in ("error", "critical")]
        finally:
            daemon.close()
    said = verdict(samples)
    said += [f"GROWS: the list of errors: {event}" for event in errors]
    print(f"{samples[-1].runs} runs; requests: {dict(load.done)}", *said, sep="\n")
    return any(line.startswith("GROWS") for line in said)


if __name__ == "__main__":
    sys.exit(main())
