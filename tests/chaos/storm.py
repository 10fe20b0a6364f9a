"""The storm itself: a daemon at work, killed and started again, again and again; afterwards everything is judged."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtime.wire.failures import InConflictError
from runtime.wire.runs import FINAL_RUN_STATUSES
from tests.chaos.moments import Moment
from tests.chaos.offspring import adopting_orphans, bury, descendants
from tests.chaos.verdict import broken_promises, job_of, left_on_disk
from tests.chaos.visitor import Visitor, fixed_addresses
from tests.chaos.work import Feeder, Item, deploy
from tests.deployed_workspace import DeployedWorkspace
from tests.processes import DaemonEndedError, DaemonProcess, wait_for

MAX_RUNNING = 6
_CALM_SECONDS = 600.0
_LAST_BREATHS_SECONDS = 20.0
_LOOK_SECONDS = 0.3
_ONE_NETWORK = 2
"""The processes that keep a workspace's network: the relay, and the one that sleeps."""

Tell = Callable[[str], None]


@dataclass
class Seen:
    """What the storm saw; `wrong` are the broken promises, a sentence each."""

    wrong: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    restart_seconds: list[float] = field(default_factory=list)
    visits: int = 0
    descriptors: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        waits = sorted(self.restart_seconds)
        rows = [f"{sum(self.kills.values())} kills in {self.seconds:.0f} s:"]
        rows += [
            f"  {count:4} {name} (did not come in time: {self.missed[name]})" for name, count in self.kills.items()
        ]
        rows += [f"{sum(self.runs.values())} runs: {', '.join(f'{n} {name}' for name, n in sorted(self.runs.items()))}"]
        if waits:
            rows += [f"serving again after {waits[len(waits) // 2]:.2f} s (median), {waits[-1]:.2f} s (slowest)"]
        rows += [f"the app was visited {self.visits} times"]
        rows += [f"the daemon holds {self.descriptors} descriptors at the end"]
        return "\n".join([*rows, *(self.wrong or ["nothing was lost, doubled or left behind"])])


def storm(folder: Path, items: Sequence[Item], moments: Sequence[Moment], tell: Tell = lambda _: None) -> Seen:
    """Go through it; `folder` is short and empty.

    Args:
        tell: Gets a line now and then.
    """
    began, seen = time.monotonic(), Seen()
    own = set(descendants(os.getpid()))
    with adopting_orphans():
        daemon = DaemonProcess(folder, {"RUNS__MAX_RUNNING": MAX_RUNNING, **fixed_addresses()})
        try:
            daemon.start()
            workspace = DeployedWorkspace.create(daemon, "chaos")
            deploy(workspace)
            workspace.execute("jobs.chaos.long")  # so that the environment is there
            visitor = Visitor(workspace)
            feeder = Feeder(workspace, items)
            try:
                _weather(daemon, feeder, visitor, len(items), moments, seen, tell)
            except BaseException:
                feeder.abandon()
                raise
            visitor.leave()
            seen.wrong += visitor.wrong
            seen.visits = visitor.visits
            _until_calm(workspace, feeder)
            _judge(daemon, workspace, feeder, own, seen)
        finally:
            daemon.close()
    seen.seconds = time.monotonic() - began
    return seen


def _weather(
    daemon: DaemonProcess,
    feeder: Feeder,
    visitor: Visitor,
    runs: int,
    moments: Sequence[Moment],
    seen: Seen,
    tell: Tell,
) -> None:
    """From one stopped daemon to the next: start it, visit the app, kill it at its moment."""
    daemon.stop()
    for number, moment in enumerate(moments, start=1):
        feeder.allow(runs * number // len(moments))
        came = _kill_at_start(daemon, moment) if moment.at_start else _kill_at_work(daemon, visitor, moment, seen)
        seen.kills[moment.name] += 1
        seen.missed[moment.name] += not came
        bury(set())
        if number % 10 == 0:
            tell(f"{number} kills, {len(feeder.acknowledged)} runs asked for")
    daemon.start()
    visitor.visit()
    feeder.finish()


def _kill_at_work(daemon: DaemonProcess, visitor: Visitor, moment: Moment, seen: Seen) -> bool:
    began = time.monotonic()
    daemon.start()
    seen.restart_seconds.append(time.monotonic() - began)
    visitor.visit()
    came = moment.wait(daemon)
    status = daemon.kill()
    if status != -signal.SIGKILL:
        seen.wrong.append(f"the daemon ended by itself with {status}, {moment.name}")
    return came


def _kill_at_start(daemon: DaemonProcess, moment: Moment) -> bool:
    with ThreadPoolExecutor(max_workers=1) as pool:
        starting = pool.submit(daemon.start)
        pid = wait_for(lambda: _pid_of(daemon), "the daemon is started")
        moment.wait(daemon)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(DaemonEndedError):
            starting.result()
            daemon.kill()  # it served already; now it is known to be dead
            return False
    return True


def _pid_of(daemon: DaemonProcess) -> int | None:
    with suppress(LookupError):
        return daemon.pid
    return None


def _until_calm(workspace: DeployedWorkspace, feeder: Feeder) -> None:
    """Wait for the end of every run; one that nobody was told of may have to be cancelled."""
    until, client = time.monotonic() + _CALM_SECONDS, workspace.daemon.client
    while active := [run for run in client.runs(workspace.id) if run.status not in FINAL_RUN_STATUSES]:
        for run in active:
            if job_of(run) == "endless" and run.id not in feeder.acknowledged:
                with suppress(InConflictError):
                    client.cancel_run(workspace.id, run.id)
        if time.monotonic() > until:
            return  # the verdict names them
        time.sleep(_LOOK_SECONDS)


def _judge(daemon: DaemonProcess, workspace: DeployedWorkspace, feeder: Feeder, own: set[int], seen: Seen) -> None:
    seen.runs.update(job_of(run) for run in daemon.client.runs(workspace.id))
    seen.wrong += broken_promises(workspace, feeder.acknowledged)
    seen.descriptors = sum(1 for _ in Path(f"/proc/{daemon.pid}/fd").iterdir())
    allowed = own | {daemon.pid}
    until = time.monotonic() + _LAST_BREATHS_SECONDS
    while strays := [
        words for pid, words in descendants(os.getpid()).items() if pid not in allowed and _is_stray(words)
    ]:
        if time.monotonic() > until:
            seen.wrong += [f"still runs: {words[:200]}" for words in strays]
            break
        time.sleep(_LOOK_SECONDS)
    networks = [words for pid, words in descendants(os.getpid()).items() if pid not in allowed]
    if len(networks) > _ONE_NETWORK:
        seen.wrong.append(f"{len(networks)} processes keep networks: {networks}")
    daemon.stop()
    seen.wrong += left_on_disk(daemon.state, workspace.id)
    seen.wrong += [f"logged: {event}" for event in daemon.events() if event.get("level") in ("error", "critical")]
    if "Traceback" in daemon.log_file.read_text():
        seen.wrong.append("there is a traceback in the daemon's log")


def _is_stray(words: str) -> bool:
    """Whether a process is none of a network's."""
    return "pasta " not in words and words != "sleep infinity"
