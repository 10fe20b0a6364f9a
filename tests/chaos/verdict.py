"""What must hold when the storm is over: each broken promise is one sentence."""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES
from tests.deployed_workspace import DeployedWorkspace


@dataclass(frozen=True)
class Promise:
    """How every run of a job ends, with how many lines; None: any number of them, from 1 on and without a gap."""

    status: str
    reason: str | None
    lines: int | None
    followed_by: str | None = None


PROMISES: Mapping[str, Promise] = {
    "short": Promise("completed", None, 40, followed_by="follows"),
    "long": Promise("completed", None, 250),
    "bursts": Promise("completed", None, 20_000),
    "fails": Promise("failed", r"exit code 3: \S+ 25", 25, followed_by="mourns"),
    "late": Promise("failed", r"timeout: the job ran past its limit of 4 s", None, followed_by="mourns"),
    "endless": Promise("cancelled", r"cancelled on request( before the job began)?", None),
    "board": Promise("cancelled", r"cancelled on request", None),
    "follows": Promise("completed", None, 3),
    "mourns": Promise("completed", None, 3),
}


APPS = ("board",)


def job_of(run: DetailedRunResponse) -> str:
    """The short name of a run's job."""
    return (run.job_ref or "").rpartition(".")[2]


def broken_promises(workspace: DeployedWorkspace, acknowledged: Mapping[UUID, str]) -> list[str]:
    """What is wrong with the runs, once all have ended."""
    runs = list(workspace.daemon.client.runs(workspace.id))
    known = {run.id: job_of(run) for run in runs}
    said = [f"run {run_id} of {job} was promised and is not there" for run_id, job in acknowledged.items()
            if known.get(run_id) != job]  # fmt: skip
    begun = Counter((workspace.local_files / "begun").read_text().split())
    for run in runs:
        said += [f"run {run.number} of {job_of(run)} ({run.id}): {wrong}" for wrong in _of_run(workspace, run, begun)]
    said += _of_followups(runs)
    for job, numbers in _numbers(runs).items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            said.append(f"the runs of {job} are numbered {sorted(numbers)}")
    return said


def _of_run(workspace: DeployedWorkspace, run: DetailedRunResponse, begun: Counter[str]) -> Iterator[str]:
    promise = PROMISES[job_of(run)]
    if run.status not in FINAL_RUN_STATUSES:
        yield f"has not ended, it is {run.status}"
        return
    if run.status != promise.status or not re.fullmatch(promise.reason or "None", str(run.reason)):
        yield f"is {run.status} for the reason `{run.reason}`, not {promise.status}"
    lines = workspace.lines(run.id)
    expected = [f"{run.id} {number}" for number in range(1, len(lines) + 1)]
    if lines != expected:
        wrong = next(number for number, pair in enumerate(zip(lines, expected, strict=True)) if pair[0] != pair[1])
        yield f"line {wrong + 1} of {len(lines)} is `{lines[wrong][:80]}`"
    elif promise.lines is not None and len(lines) != promise.lines:
        yield f"has {len(lines)} lines instead of {promise.lines}"
    times = begun[str(run.id)]
    if job_of(run) in APPS:
        return  # whoever visits it sees that it is the same process
    if times > 1 or (times == 0 and (lines or promise.lines is not None)):
        yield f"has begun {times} times"


def _of_followups(runs: list[DetailedRunResponse]) -> Iterator[str]:
    caused: defaultdict[UUID | None, list[str]] = defaultdict(list)
    for run in runs:
        caused[run.prev_run_id].append(job_of(run))
    for run in runs:
        expected = PROMISES[job_of(run)].followed_by
        if run.status == PROMISES[job_of(run)].status and caused[run.id] != ([expected] if expected else []):
            yield f"run {run.number} of {job_of(run)} was followed by {caused[run.id]} instead of {expected}"
    if strays := [job for job in caused[None] if job in ("follows", "mourns")]:
        yield f"followups of nothing: {strays}"


def _numbers(runs: list[DetailedRunResponse]) -> Mapping[str, list[int]]:
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for run in runs:
        numbers[job_of(run)].append(run.number)
    return numbers


def left_on_disk(state: Path, workspace_id: UUID) -> list[str]:
    """What lies about although nothing runs and no daemon is there; the database is looked at as well."""
    said = [f"left in {place}/: {path.name}" for place in ("runs", "live", "tmp") for path in (state / place).glob("*")]
    said += [
        f"left in network/: {path.name}" for path in (state / "network").glob("*") if path.stem != str(workspace_id)
    ]
    unfinished: Callable[[Path], bool] = lambda path: ".tmp-" in path.name or path.name.startswith(".")  # noqa: E731
    said += [f"unfinished: {path}" for path in (state / "envs").glob("*") if unfinished(path)]
    said += [f"unfinished: {path}" for path in (state / "cache" / "packages").glob(".*") if path.name != ".boot"]
    connection = sqlite3.connect(state / "runtime.db")
    try:
        for question, answer in (
            ("PRAGMA integrity_check", [("ok",)]),
            ("PRAGMA foreign_key_check", []),
            ("SELECT count(*) FROM live_runs", [(0,)]),
        ):
            if (given := connection.execute(question).fetchall()) != answer:
                said.append(f"{question} says {given[:5]}")
    finally:
        connection.close()
    return said
