"""A daemon's life in simulated time: the real dispatcher, store and domain, a clock that jumps, a runner that dices.

The clock jumps from event to event: the next tick, the next end of a run, the next thing an operator does, the daemon
going down and coming up. Everything that happens by chance is drawn from the seed, and from the names of things rather
than from the order of events, so that a seed tells one story.
"""

import asyncio
import heapq
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from runtime.dispatch.jobs import TriggerInput, timer_tick
from runtime.dispatch.schedules import ScheduleService
from runtime.dispatch.settling import settle
from runtime.dispatch.ticking import Due, Ticker
from runtime.domain.runs import Run, RunEnd, check_transition
from runtime.errors import ConflictError
from runtime.store import jobs as job_store
from runtime.store import runs as run_store
from runtime.store import schedules
from tests.house import House, build_house
from tests.simulation.fifty_jobs import FIFTY, OTHER_CLOCKS, OVERRIDABLE, OVERRIDES, REMOVABLE
from tests.simulation.inline_database import InlineDatabase
from tests.simulation.journal import History, keep_journal, note, read_history

BIRTH = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
CAPACITY = 24
"""How many runs the machine takes at once; others wait as pending (semantics D6)."""
_AT_ONCE = 100
_FAILS = 0.08
_LIVE = """SELECT runs.id FROM live_runs CROSS JOIN runs ON runs.id = live_runs.run_id
           CROSS JOIN jobs ON jobs.id = runs.job_id"""  # CROSS: in this order, however many runs there have been


@dataclass(frozen=True)
class Story:
    """What the seed decides on: how long, and how often what happens."""

    seed: int
    days: int = 365
    actions_per_day: float = 1.2
    downtimes_per_day: float = 0.1


def live_through(story: Story) -> History:
    """Simulate, and return what was written."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_live(story, Path(folder)))


async def _live(story: Story, folder: Path) -> History:
    database = InlineDatabase()
    keep_journal(database.raw)
    house = await build_house(database, folder)
    simulation = Simulation(story, house, database)
    try:
        await simulation.live()
        return await read_history(database, database.raw, house.workspace_id, house.clock())
    finally:
        await database.close()


class Simulation:
    """One story, told once."""

    def __init__(self, story: Story, house: House, database: InlineDatabase) -> None:
        self._story = story
        self._house = house
        self._database = database
        self._raw = database.raw
        self._chance = Random(f"{story.seed} operator")
        self._ticker = Ticker(database, house.changes, house.clock)
        self._schedules = ScheduleService(database, house.changes, house.clock)
        self._timers: dict[Due, datetime] = {}
        self._events: list[tuple[datetime, int, Callable[[], Awaitable[None]]]] = []
        self._order = count()
        self._is_down = False
        self._running: dict[UUID, str] = {}  # with the job's reference
        self._ended_meanwhile: list[tuple[UUID, RunEnd]] = []
        self._code = count(2)
        self._manifest: dict[str, dict[str, Any]] = {raw["job_ref"]: dict(raw) for raw in FIFTY}
        self._refs: dict[UUID, str] = {}

    async def live(self) -> None:
        """From the first deploy to the end of the story; what still runs then has not ended."""
        end = BIRTH + timedelta(days=self._story.days)
        self._house.clock.now = BIRTH
        note(self._raw, BIRTH, "deploy")
        await self._house.ready(*self._manifest.values())
        await self._timers_changed()
        await self._begin_pending()
        self._plan_operator(end)
        while True:
            tick = min(self._timers.values(), default=end) if not self._is_down else end
            event = self._events[0][0] if self._events else end
            at = min(tick, event)
            if at >= end:
                break
            self._house.clock.now = max(at, self._house.clock.now)
            if event <= tick:
                _, _, action = heapq.heappop(self._events)
                await action()
            else:
                await self._look([due for due, when in self._timers.items() if when <= at])
        self._house.clock.now = end

    # The clock.

    async def _look(self, due: Sequence[Due]) -> None:
        """As the scheduler does when timers fire; only these timers can have moved by it."""
        due = sorted(due, key=lambda one: (self._refs[one.job_id], one.trigger))
        for start in range(0, len(due), _AT_ONCE):
            self._note("tick")
            await self._ticker.look(due[start : start + _AT_ONCE])
        async with self._database.read() as connection:
            jobs = await job_store.jobs_by_id(connection, list({one.job_id for one in due}))
            for one in due:
                timer = await schedules.find_timer(connection, one.job_id, one.trigger)
                assert timer is not None
                upcoming = timer_tick(timer, jobs[one.job_id].version.definition)
                if upcoming is None:
                    del self._timers[one]
                else:
                    self._timers[one] = upcoming
        await self._begin_pending()

    async def _timers_changed(self) -> None:
        """As the scheduler does when jobs or schedules have changed, and at its start."""
        upcoming = await self._ticker.next_ticks()
        if not self._refs.keys() >= {due.job_id for due in upcoming}:
            async with self._database.read() as connection:
                jobs = await job_store.all_jobs(connection, self._house.workspace_id)
            self._refs = {job.id: job.job_ref for job in jobs}
        self._timers = upcoming

    # The runner.

    async def _begin_pending(self) -> None:
        """Take pending runs, the oldest first, as long as the machine has room."""
        if self._is_down or len(self._running) >= CAPACITY:
            return
        rows = self._raw.execute(
            f"{_LIVE} WHERE status = 'pending' ORDER BY runs.created_at, jobs.job_ref, runs.number LIMIT ?",
            (CAPACITY - len(self._running),),
        ).fetchall()
        for row in rows:
            await self._begin(UUID(bytes=row["id"]))

    async def _begin(self, run_id: UUID) -> None:
        now = self._house.clock()
        async with self._database.transaction() as connection:
            run = await run_store.find_run(connection, run_id)
            assert run is not None
            for status in ("starting", "running"):
                check_transition(run.status, status)
                run = run.model_copy(update={"status": status, "started_at": now, "updated_at": now})
            await run_store.save_run(connection, run)
        self._running[run_id] = run.job_ref
        lasts, end = self._fate(run)
        self._later(now + lasts, lambda: self._end(run_id, end))

    def _fate(self, run: Run) -> tuple[timedelta, RunEnd]:
        chance = Random(f"{self._story.seed} {run.job_ref} {run.number}")
        seconds = chance.uniform(5, 1500)
        if chance.random() < 0.01:
            seconds = chance.uniform(3600, 100_000)
        if chance.random() < _FAILS:
            return timedelta(seconds=seconds), RunEnd(status="failed", exit_code=1, reason="exit code 1")
        return timedelta(seconds=seconds), RunEnd(status="completed", exit_code=0)

    async def _end(self, run_id: UUID, end: RunEnd) -> None:
        if self._is_down:
            self._ended_meanwhile.append((run_id, end))  # its process ends; who starts next finds out
            return
        if run_id not in self._running:
            return  # it was cancelled before
        del self._running[run_id]
        self._note("end")
        async with self._database.transaction() as connection:
            run = await run_store.find_run(connection, run_id)
            assert run is not None
            await settle(connection, run, end, self._house.clock())
        await self._begin_pending()

    # The operator, and what befalls the machine.

    def _plan_operator(self, end: datetime) -> None:
        deeds = [
            (self._launch, 5),
            (self._select, 2),
            (self._cancel, 3),
            (self._pause, 2),
            (self._override, 2),
            (self._redeploy, 4),
            (self._new_code, 1),
            (self._archive, 1),
        ]
        at = BIRTH
        while (at := at + timedelta(days=self._chance.expovariate(self._story.actions_per_day))) < end:
            (deed,) = self._chance.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])
            self._later(at, self._unless_down(deed))
        at = BIRTH
        while (at := at + timedelta(days=self._chance.expovariate(self._story.downtimes_per_day))) < end:
            lasts = timedelta(hours=self._chance.choice([0.02, 0.5, 5, 30]) * self._chance.random())
            self._later(at, self._go_down)
            at += lasts
            self._later(at, self._come_up)

    def _unless_down(self, deed: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            if self._is_down:
                return
            with suppress(ConflictError):  # archived meanwhile, ended meanwhile: the operator shrugs
                await deed()
            await self._timers_changed()
            await self._begin_pending()

        return act

    async def _launch(self) -> None:
        job_ref = self._chance.choice(sorted(self._manifest))
        refresh, skip = self._chance.random() < 0.15, self._chance.random() < 0.2
        self._note("launch", f"{'refresh ' * refresh}{'ungated ' * skip}")
        await self._trigger(TriggerInput(job_refs=[job_ref], refresh=refresh, skip_freshness=skip))

    async def _select(self) -> None:
        selector = self._chance.choice(["tag:*", "tag:backfill", "every:*", "schedule:0 6*", "manual:jobs.gated.*"])
        refresh = self._chance.random() < 0.1
        self._note("launch", "refresh" * refresh)
        await self._trigger(TriggerInput(selectors=[selector], refresh=refresh))

    async def _trigger(self, wanted: TriggerInput) -> None:
        await self._house.jobs.trigger(self._house.principal, self._house.workspace_id, wanted)

    async def _cancel(self) -> None:
        rows = self._raw.execute(
            f"{_LIVE} WHERE status IN ('pending', 'running') ORDER BY jobs.job_ref, runs.number"
        ).fetchall()
        if not rows:
            return
        run_id = UUID(bytes=self._chance.choice(rows)["id"])
        self._note("cancel")
        await self._house.runs.cancel(self._house.principal, self._house.workspace_id, run_id)
        if run_id in self._running:
            grace = timedelta(seconds=self._chance.uniform(0, 30))
            self._later(self._house.clock() + grace, lambda: self._end(run_id, RunEnd(status="cancelled")))

    async def _pause(self) -> None:
        job_ref = self._chance.choice(sorted(ref for ref in self._manifest if _is_timed(self._manifest[ref])))
        self._note("pause")
        await self._schedules.pause(self._house.principal, self._house.workspace_id, job_ref)
        until = self._house.clock() + timedelta(hours=self._chance.uniform(1, 72))

        async def resume() -> None:
            self._note("resume")
            await self._schedules.resume(self._house.principal, self._house.workspace_id, job_ref)

        self._later(until, self._unless_down(resume))

    async def _override(self) -> None:
        job_ref = self._chance.choice(OVERRIDABLE)
        self._note("override")
        await self._schedules.override(
            self._house.principal, self._house.workspace_id, job_ref, self._chance.choice(OVERRIDES)
        )
        until = self._house.clock() + timedelta(hours=self._chance.uniform(5, 100))

        async def revert() -> None:
            self._note("revert")
            await self._schedules.revert(self._house.principal, self._house.workspace_id, job_ref)

        self._later(until, self._unless_down(revert))

    async def _redeploy(self) -> None:
        """Change a description, change a clock, leave a job out or take it in again."""
        what = self._chance.choice(["description", "clock", "presence"])
        if what == "description":
            job_ref = self._chance.choice(sorted(self._manifest))
            self._manifest[job_ref] = {**self._manifest[job_ref], "description": f"{self._house.clock():%c}"}
        elif what == "clock":
            job_ref = self._chance.choice(sorted(OTHER_CLOCKS))
            first, second = OTHER_CLOCKS[job_ref]
            present = self._manifest[job_ref]["triggers"]
            self._manifest[job_ref] = {**self._manifest[job_ref], "triggers": [second if first in present else first]}
        else:
            job_ref = self._chance.choice(REMOVABLE)
            if self._manifest.pop(job_ref, None) is None:
                self._manifest[job_ref] = next(dict(raw) for raw in FIFTY if raw["job_ref"] == job_ref)
        await self._deploy()

    async def _new_code(self) -> None:
        await self._house.upload_code({"shop.py": f"print({next(self._code)})\n".encode()})
        await self._deploy()

    async def _deploy(self) -> None:
        self._note("deploy")
        await self._house.deploy(*self._manifest.values())

    async def _archive(self) -> None:
        job_ref = self._chance.choice(sorted(self._manifest))
        self._note("archive")
        await self._house.jobs.archive(self._house.principal, self._house.workspace_id, job_ref)
        until = self._house.clock() + timedelta(hours=self._chance.uniform(1, 30))

        async def unarchive() -> None:
            self._note("unarchive")
            await self._house.jobs.unarchive(self._house.principal, self._house.workspace_id, job_ref)

        self._later(until, self._unless_down(unarchive))

    async def _go_down(self) -> None:
        self._is_down = True
        self._note("down")

    async def _come_up(self) -> None:
        """A new daemon: it knows what the store holds, takes up what has ended meanwhile, and looks at the clock."""
        self._is_down = False
        self._note("up")
        self._ticker = Ticker(self._database, self._house.changes, self._house.clock)
        ended, self._ended_meanwhile = self._ended_meanwhile, []
        for run_id, end in ended:
            await self._end(run_id, end)
        await self._timers_changed()
        await self._begin_pending()

    def _later(self, at: datetime, action: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._events, (at, next(self._order), action))

    def _note(self, cause: str, detail: str | None = None) -> None:
        note(self._raw, self._house.clock(), cause, detail)


def _is_timed(raw: dict[str, Any]) -> bool:
    return any(trigger.startswith(("schedule:", "every:", "once:")) for trigger in raw["triggers"])
