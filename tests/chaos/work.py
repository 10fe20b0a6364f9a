"""What the daemon is given to do: a seeded plan of runs, and a thread that asks for them until it is heard."""

import random
import sys
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import socket_endpoint
from runtime.wire.failures import DaemonUnreachableError, InConflictError
from runtime.wire.jobs import TriggerJobsRequest
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.factories import JOB_LAUNCHER, make_raw_definition

BOARD = {"module": "chaos", "function": "board", "job_type": "interactive", "launcher": JOB_LAUNCHER}
PLAIN = {"intercept_signals": False, "concurrency": None}
JOBS = (
    batch_job("chaos", "short", execute=PLAIN),
    batch_job("chaos", "long", execute=PLAIN),
    batch_job("chaos", "bursts", execute=PLAIN),
    batch_job("chaos", "fails", execute=PLAIN),
    batch_job("chaos", "late", execute={**PLAIN, "timeout": {"timeout": 4, "grace_period": 1}}),
    batch_job("chaos", "endless", execute=PLAIN),
    batch_job("chaos", "follows", execute=PLAIN, triggers=["job.success:jobs.chaos.short"]),
    batch_job("chaos", "mourns", execute=PLAIN, triggers=["job.fail:jobs.chaos.fails", "job.fail:jobs.chaos.late"]),
)
APP = make_raw_definition("jobs.chaos.board", entry_point=BOARD, triggers=["http:"])
SHARES = {"short": 35, "long": 25, "bursts": 8, "fails": 14, "late": 8, "endless": 10}
"""How many of a hundred runs are of which job."""

_AGAIN_SECONDS = 0.05


@dataclass(frozen=True)
class Item:
    """A run to ask for; one that would never end is cancelled after some seconds."""

    job: str
    cancel_after: float | None = None


def plan(seed: int, runs: int) -> list[Item]:
    """The same runs for the same seed."""
    dice = random.Random(seed)
    jobs = dice.choices(list(SHARES), weights=list(SHARES.values()), k=runs)
    return [Item(job, dice.uniform(0, 4) if job == "endless" else None) for job in jobs]


def deploy(workspace: DeployedWorkspace) -> None:
    """The jobs of this package."""
    workspace.deploy(files_of(WORKSPACES / "chaos"), *JOBS, APP)


class Feeder:
    """Asks for runs whenever there is a daemon; what it was answered is in `acknowledged`, the job of each run.

    A request whose answer never came is made again, so the daemon may hold runs that nobody was told of.
    """

    def __init__(self, workspace: DeployedWorkspace, items: Iterable[Item]) -> None:
        self.acknowledged: dict[UUID, str] = {}
        self._workspace = workspace
        self._items = deque(items)
        self._wanted = 0
        self._cancels: list[tuple[float, UUID]] = []
        self._is_over = False
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._working = self._pool.submit(self._work)

    def allow(self, runs: int) -> None:
        """Ask for so many runs, all in all, as soon as there is somebody to ask."""
        self._wanted = runs

    def finish(self) -> None:
        """Return once all is asked for, and cancelled what is to be; there must be a daemon."""
        self._wanted = sys.maxsize
        self._is_over = True
        self._working.result()
        self._pool.shutdown()

    def abandon(self) -> None:
        """Ask for nothing more."""
        self._items.clear()
        self._cancels.clear()
        self._is_over = True
        self._pool.shutdown()

    def _work(self) -> None:
        # A client of its own: they are not made for several threads.
        with RuntimeClient(socket_endpoint(self._workspace.daemon.socket)) as client:
            while self._items or self._cancels or not self._is_over:
                if not (self._items and len(self.acknowledged) < self._wanted and self._ask(client, self._items[0])):
                    time.sleep(_AGAIN_SECONDS)
                self._cancel_due(client)

    def _ask(self, client: RuntimeClient, item: Item) -> bool:
        try:
            (started,) = client.trigger(self._workspace.id, TriggerJobsRequest(job_refs=[f"jobs.chaos.{item.job}"]))
        except DaemonUnreachableError:
            return False
        assert started.run_id is not None, started.reason
        self._items.popleft()
        self.acknowledged[started.run_id] = item.job
        if item.cancel_after is not None:
            self._cancels.append((time.monotonic() + item.cancel_after, started.run_id))
        return True

    def _cancel_due(self, client: RuntimeClient) -> None:
        for due in [one for one in self._cancels if one[0] <= time.monotonic()]:
            try:
                client.cancel_run(self._workspace.id, due[1])
            except DaemonUnreachableError:
                return
            except InConflictError:
                pass  # it has ended
            self._cancels.remove(due)
