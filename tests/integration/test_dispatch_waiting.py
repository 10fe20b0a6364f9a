"""Jobs that wait for what was triggered together with them, and jobs whose windows follow each other."""

import pytest

from runtime.dispatch.settling import settle
from runtime.dispatch.ticking import Ticker
from runtime.domain.runs import Run, RunEnd, RunStatus
from runtime.store import runs as store
from tests.factories import make_raw_definition
from tests.house import House

HOURLY = "schedule:0 * * * *"
A = make_raw_definition("jobs.shop.a", triggers=[HOURLY])
B = make_raw_definition("jobs.shop.b", triggers=[HOURLY])
BOTH = make_raw_definition(
    "jobs.shop.both", triggers=[HOURLY], freshness=["job.is_fresh:jobs.shop.a", "job.is_fresh:jobs.shop.b"]
)
CHAIN = make_raw_definition("jobs.shop.chain", triggers=[HOURLY], freshness=["job.is_fresh:jobs.shop.both"])


async def tick(house: House) -> None:
    """An hour passes."""
    house.clock.pass_seconds(3600)
    ticker = Ticker(house.database, house.changes, house.clock)
    await ticker.look(list(await ticker.next_ticks()))


async def runs_of(house: House, name: str) -> list[Run]:
    """Oldest first."""
    return [run for run in reversed(await house.all_runs()) if run.job_ref == f"jobs.shop.{name}"]


async def end(house: House, name: str, status: RunStatus = "completed") -> Run:
    """The job's one active run ends."""
    (run,) = [run for run in await runs_of(house, name) if not run.is_final]
    house.clock.pass_seconds(1)
    async with house.database.transaction() as connection:
        running = run.model_copy(update={"status": "running", "started_at": house.clock()})
        await store.save_run(connection, running)
        return await settle(connection, running, RunEnd(status=status), house.clock())


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_a_job_waits_for_all_its_upstreams_and_starts_with_the_last(house: House, order: str) -> None:
    """Semantics D3: and whoever waits for it waits on; that somebody still waits is told once."""
    await house.ready(A, B, BOTH, CHAIN)
    await tick(house)
    await end(house, order[0])
    (waiting,) = await runs_of(house, "both")
    assert (waiting.outcome, waiting.skip_count) == ("skipped_upstream_pending", 1)
    await end(house, order[1])
    assert (await runs_of(house, "both"))[-1].status == "pending"
    assert [run.outcome for run in await runs_of(house, "chain")] == ["skipped_upstream_pending"]
    await end(house, "both")
    assert (await runs_of(house, "chain"))[-1].status == "pending"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_who_waited_in_vain_says_so_and_so_does_who_waited_for_that_one(house: House, status: RunStatus) -> None:
    """Semantics D3, D7."""
    await house.ready(A, B, BOTH, CHAIN)
    await tick(house)
    await end(house, "b")
    if status == "cancelled":
        (pending,) = await runs_of(house, "a")
        await house.runs.cancel(house.principal, house.workspace_id, pending.id)
    else:
        await end(house, "a", status)
    assert [run.reason for name in ("both", "chain") for run in (await runs_of(house, name))[1:]] == [
        "waiting for jobs.shop.a: no completed run yet",
        "waiting for jobs.shop.both: no completed run yet",
    ]
    async with house.database.read() as connection:
        assert await connection.value("SELECT count(*) FROM awaited_starts") == 0


async def test_who_waits_for_intervals_waits_for_all_that_follow_each_other(house: House) -> None:
    """Semantics D3, W3: the success of one interval is not the end of the upstream's work."""
    intervals = {"interval": {"start": "2026-03-10T11:00:00Z"}, "allow_external_schedulers": True}
    gated = make_raw_definition("jobs.shop.gated", triggers=[HOURLY], freshness=["job.is_fresh:jobs.shop.a"])
    await house.ready({**A, **intervals}, gated)
    await tick(house)
    await end(house, "a")
    assert len(await runs_of(house, "gated")) == 1
    await end(house, "a")
    assert (await runs_of(house, "gated"))[-1].status == "pending"


async def test_a_follower_that_had_to_wait_still_says_what_it_follows(house: House) -> None:
    """Semantics T4, D3: both follow the same run, and one is gated by the other."""
    b = make_raw_definition("jobs.shop.b", triggers=["job.success:jobs.shop.a"])
    gated = make_raw_definition(
        "jobs.shop.gated", triggers=["job.success:jobs.shop.a"], freshness=["job.is_fresh:jobs.shop.b"]
    )
    await house.ready(A, b, gated)
    await tick(house)
    upstream = await end(house, "a")
    await end(house, "b")
    started = (await runs_of(house, "gated"))[-1]
    assert (started.status, started.prev_run_id) == ("pending", upstream.id)


async def test_windows_that_follow_each_other_are_not_run_together(house: House) -> None:
    """Semantics W2, D5: whatever concurrency says, else a window that fails would be passed by or done twice."""
    await house.ready({**A, "interval": {"start": "2026-03-10T11:00:00Z"}, "execute": {"concurrency": 3}})
    await tick(house)
    await tick(house)
    first, second = await runs_of(house, "a")
    assert (first.status, second.outcome) == ("pending", "skipped_concurrency_limit")
    assert second.reason == "a run of `jobs.shop.a` is still active, its windows follow each other"
