"""Counts, changes, links, summaries and starting with a mode: use cases over a real store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from runtime.api import render
from runtime.dispatch.feed import Update
from runtime.dispatch.jobs import JobView, TriggerInput
from runtime.dispatch.runs import RunView
from runtime.dispatch.summaries import MOST_SUMMARIES
from runtime.domain.buckets import BUCKET_SIZES, Bucket
from runtime.domain.packages import Deployment
from runtime.domain.runs import Run
from runtime.domain.summaries import PipelineSummary
from runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from runtime.settings import Settings
from runtime.store import members, runs
from runtime.store.database import Connection
from runtime.store.statistics import BucketCount
from tests.factories import NOW, make_raw_definition
from tests.house import House

APP = make_raw_definition("jobs.shop.app", job_type="interactive", triggers=["http:"])
LOAD = make_raw_definition("jobs.shop.load")


# --- counts


async def ended(house: House, template: Run, number: int, created: datetime, status: str, seconds: int) -> None:
    """A run of the past."""
    run = template.model_copy(
        update={
            "id": uuid4(),
            "number": number,
            "status": status,
            "created_at": created,
            "updated_at": created,
            "started_at": created,
            "ended_at": created + timedelta(seconds=seconds),
        }
    )
    async with house.database.transaction() as connection:
        await runs.add_run(connection, run)


@pytest.mark.parametrize("size", BUCKET_SIZES)
async def test_every_run_is_counted_in_the_one_bucket_it_was_created_in(house: House, size: str) -> None:
    await house.ready(LOAD)
    template = await house.launch()
    random, zone = Random(1), ZoneInfo("Europe/Berlin")
    start, end = datetime(2026, 3, 27), datetime(2026, 4, 2)
    past: list[tuple[datetime, str, int]] = []
    for number in range(2, 120):
        created = datetime(2026, 3, 25, tzinfo=UTC) + timedelta(minutes=random.randrange(10 * 24 * 60))
        past.append((created, random.choice(["completed", "failed", "cancelled"]), random.randrange(100)))
        await ended(house, template, number, *past[-1])
    counted = await house.statistics.count([house.workspace_id], start, end, zone, size)  # type: ignore[arg-type]
    for one in counted:
        inside = [run for run in past if one.bucket.counts_from <= run[0] < one.bucket.end]
        assert sum(one.by_status.values()) == len(inside)
        assert one.by_status["failed"] == sum(status == "failed" for _, status, _ in inside)
        assert one.seconds == sum(seconds for _, _, seconds in inside)
    begin, finish = (at.replace(tzinfo=zone) for at in (start, end))
    total = sum(sum(one.by_status.values()) for one in counted)
    assert total == sum(begin <= created < finish for created, _, _ in past)


async def test_active_runs_count_and_the_dashboards_do_not(house: House) -> None:
    dashboard = make_raw_definition("jobs.workspace.dashboard", job_type="interactive", triggers=["http:"])
    await house.ready(LOAD, dashboard)
    await house.launch()
    await house.launch("jobs.workspace.dashboard")
    (whole,) = await house.statistics.count(
        [house.workspace_id, house.workspace_id], NOW - timedelta(1), NOW + timedelta(1), ZoneInfo("UTC"), "all"
    )
    assert dict(whole.by_status) == {"pending": 2}  # the workspace was asked for twice


async def test_others_read_while_many_have_runs_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, at_once = asyncio.Event(), asyncio.Event(), 0

    async def slow(connection: Connection, workspace_id: UUID, buckets: Sequence[Bucket]) -> list[BucketCount]:
        nonlocal at_once
        at_once += 1
        begun.set()
        await go_on.wait()
        assert at_once == 1
        at_once -= 1
        return []

    monkeypatch.setattr("runtime.dispatch.statistics.store.count_in_buckets", slow)
    day = (NOW, NOW + timedelta(1), ZoneInfo("UTC"))
    asked = [asyncio.create_task(house.statistics.count([house.workspace_id], *day, "all")) for _ in range(10)]
    await begun.wait()
    async with asyncio.timeout(10), house.database.read() as connection:
        assert await connection.value("SELECT 1") == 1
    go_on.set()
    await asyncio.gather(*asked)


# --- changes


async def updates_after(house: House, seq: int) -> list[Update]:
    """What a follower gets at once."""
    found: list[Update] = []
    stream = house.feed.follow(house.principal, house.workspace_id, seq)
    async for batch in stream:
        found += batch
        if batch[-1].change.seq == await house.feed.position(house.workspace_id):
            break
    return found


async def test_a_follower_gets_runs_jobs_and_deployments_as_they_are_now(house: House) -> None:
    await house.ready(LOAD)
    run = await house.launch()
    before = await house.feed.position(house.workspace_id)
    await house.end(run, "failed", reason="bad apples")
    await house.upload_code({"shop.py": b"print('pears')\n"})
    found = {update.change.subject_id: update.subject for update in await updates_after(house, before)}
    view = found.pop(run.id)
    assert isinstance(view, RunView)
    assert (view.run.status, view.run.reason) == ("failed", "bad apples")
    kinds = {type(subject) for subject in found.values()}
    assert Deployment in kinds
    assert kinds <= {Deployment, JobView}


async def test_who_comes_back_gets_each_thing_once_and_nothing_twice(house: House) -> None:
    await house.ready(LOAD)
    everything = await updates_after(house, 0)
    assert {update.change.kind for update in everything} == {"workspace", "deployment", "configuration", "job"}
    run = await house.launch()
    for status in ("starting", "running"):
        async with house.database.transaction() as connection:
            run = run.model_copy(update={"status": status})
            await runs.save_run(connection, run)
    again = await updates_after(house, everything[-1].change.seq)
    assert [update.change.subject_id for update in again] == [run.id]
    assert again[0].subject is not None
    assert await house.feed.position(house.workspace_id) == again[-1].change.seq


async def test_a_follower_waits_and_is_woken_by_what_happens(house: House) -> None:
    await house.ready(LOAD)
    position = await house.feed.position(house.workspace_id)
    batches = house.feed.follow(house.principal, house.workspace_id, position)
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    run = await house.launch()
    async with asyncio.timeout(5):
        batch = await waiting
    assert run.id in {update.change.subject_id for update in batch}


async def test_following_ends_with_the_daemon_and_with_the_membership(house: House) -> None:
    await house.ready(LOAD)
    position = await house.feed.position(house.workspace_id)

    async def rest() -> Sequence[Sequence[Update]]:
        return [batch async for batch in house.feed.follow(house.principal, house.workspace_id, position)]

    following = asyncio.ensure_future(rest())
    await asyncio.sleep(0)
    async with house.database.transaction() as connection:
        await members.delete_member(connection, house.workspace_id, house.principal.user.id)
    while not following.done():
        house.feed.wake(house.workspace_id)
        await asyncio.sleep(0.01)
    assert await following == []

    async with house.database.transaction() as connection:
        await members.save_member(connection, house.workspace_id, house.principal.user.id, "viewer", NOW)
    house.changes.close()
    with pytest.raises(UnavailableError):
        await rest()


async def test_a_large_change_comes_in_batches_of_bounded_size(house: House) -> None:
    await house.ready(*(make_raw_definition(f"jobs.shop.job{number}") for number in range(230)))
    sizes: list[int] = []
    batches: AsyncIterator[Sequence[Update]] = house.feed.follow(house.principal, house.workspace_id, 0)
    async for batch in batches:
        sizes.append(len(batch))
        if sum(sizes) >= 233:
            break
    assert max(sizes) == 100


async def test_what_has_been_deleted_is_told_too(house: House) -> None:
    await house.ready(LOAD)
    run = await house.end(await house.launch())
    position = await house.feed.position(house.workspace_id)
    async with house.database.transaction() as connection:
        await connection.execute("DELETE FROM runs WHERE id = ?", (run.id.bytes,))
    (update,) = await updates_after(house, position)
    assert (update.change.subject_id, update.subject) == (run.id, None)


async def test_versions_move_with_what_they_stand_for_and_with_nothing_else(house: House) -> None:
    await house.ready(LOAD)
    run, other = await house.end(await house.launch()), await house.launch()
    feed, workspace = house.feed, house.workspace_id
    deployments, all_runs = await feed.version(workspace, ["deployment"]), await feed.version(workspace, ["run"])
    one = await feed.run_version(workspace, run.id)
    await house.end(other, "failed")
    assert await feed.version(workspace, ["deployment"]) == deployments
    assert await feed.version(workspace, ["run"]) > all_runs
    one_later = await feed.run_version(workspace, run.id)
    await house.summaries.attach(workspace, run.id, PipelineSummary(pipeline_name="fruits"))
    assert await feed.run_version(workspace, run.id) > one_later >= one
    assert await feed.run_version(workspace, workspace) == 0


async def test_a_tick_moves_the_version_of_jobs_since_their_next_run_is_another(house: House) -> None:
    await house.ready(make_raw_definition("jobs.shop.load", triggers=["schedule:0 * * * *"]))
    before = await house.feed.version(house.workspace_id, ["job"])
    shown = await house.jobs.get(house.workspace_id, "jobs.shop.load")
    house.clock.pass_seconds(3700)
    assert await house.tick() == 1
    assert await house.feed.version(house.workspace_id, ["job"]) > before
    assert (await house.jobs.get(house.workspace_id, "jobs.shop.load")).next_tick_at != shown.next_tick_at


async def test_the_watermark_never_goes_back(house: House) -> None:
    first = await house.feed.watermark(house.workspace_id)
    await house.ready(LOAD)
    second = await house.feed.watermark(house.workspace_id)
    assert first is not None
    assert second is not None
    assert second >= first


# --- links


async def test_a_link_comes_changes_opens_and_goes(house: House) -> None:
    await house.ready(LOAD, APP)
    publish, workspace = house.publishing, house.workspace_id
    await publish.publish(house.principal, workspace, "jobs.shop.app")
    first = (await house.jobs.get(workspace, "jobs.shop.app")).public_secret
    await publish.publish(house.principal, workspace, "jobs.shop.app")
    page = await house.jobs.list(workspace, None, None, 10, 0)
    second = {view.job.job_ref: view.public_secret for view in page.items}
    assert second["jobs.shop.load"] is None
    assert second["jobs.shop.app"] not in (None, first)
    opened = await house.jobs.start(house.principal, workspace, str(second["jobs.shop.app"]), "http:", TriggerInput())
    assert opened.run is not None
    with pytest.raises(NotFoundError):
        await house.jobs.start(house.principal, workspace, str(first), "http:", TriggerInput())
    for _ in range(2):
        await publish.unpublish(house.principal, workspace, "jobs.shop.app")
    assert (await house.jobs.get(workspace, "jobs.shop.app")).public_secret is None


async def test_only_live_interactive_jobs_are_published(house: House) -> None:
    await house.ready(LOAD, APP)
    with pytest.raises(InvalidError):
        await house.publishing.publish(house.principal, house.workspace_id, "jobs.shop.load")
    with pytest.raises(NotFoundError):
        await house.publishing.publish(house.principal, house.workspace_id, "jobs.shop.none")
    await house.jobs.archive(house.principal, house.workspace_id, "jobs.shop.app")
    with pytest.raises(ConflictError):
        await house.publishing.publish(house.principal, house.workspace_id, "jobs.shop.app")


# --- summaries


async def test_a_pipelines_summary_replaces_its_last_one(house: House) -> None:
    await house.ready(LOAD)
    run = await house.launch()
    for rows in (1, 2):
        await house.summaries.attach(
            house.workspace_id, run.id, PipelineSummary(pipeline_name="fruits", total_rows=rows, started_at=NOW)
        )
    await house.summaries.attach(house.workspace_id, run.id, PipelineSummary(pipeline_name="nuts"))
    shown = (await house.runs.get(house.workspace_id, run.id)).summaries
    assert [(item.pipeline_name, item.total_rows) for item in shown] == [("fruits", 2), ("nuts", None)]
    assert shown[0].started_at == NOW


async def test_the_newest_run_of_a_job_is_shown_with_its_summaries(house: House) -> None:
    """Contract: `last_run` of a script."""
    await house.ready(LOAD)
    run = await house.launch()
    await house.summaries.attach(house.workspace_id, run.id, PipelineSummary(pipeline_name="nuts"))
    page = await house.jobs.list(house.workspace_id, None, None, 10, 0)
    (view,) = [view for view in page.items if view.job.id == run.job_id]
    assert [one.pipeline_name for one in view.summaries] == ["nuts"]
    shown = render.detailed_script(view, Settings().app_addresses)
    assert shown.last_run is not None
    assert [one.pipeline_name for one in shown.last_run.pipeline_run_summaries or ()] == ["nuts"]


async def test_a_run_has_as_many_summaries_as_anybody_reads(house: House) -> None:
    await house.ready(LOAD)
    run = await house.launch()
    async with house.database.transaction() as connection:
        await connection.executemany(
            "INSERT INTO pipeline_run_summaries (run_id, pipeline_name) VALUES (?, ?)",
            [(run.id.bytes, f"p{number}") for number in range(MOST_SUMMARIES)],
        )
    with pytest.raises(InvalidError):
        await house.summaries.attach(house.workspace_id, run.id, PipelineSummary(pipeline_name="one more"))
    await house.summaries.attach(house.workspace_id, run.id, PipelineSummary(pipeline_name="p7", status="again"))


# --- starting with a mode


async def test_when_not_running_answers_with_the_active_run_and_starts_one_only_if_there_is_none(house: House) -> None:
    await house.ready(make_raw_definition("jobs.shop.load", execute={"concurrency": None}))

    async def start(*, when_not_running: bool) -> Run:
        started = await house.jobs.start(
            house.principal,
            house.workspace_id,
            "jobs.shop.load",
            "manual:jobs.shop.load",
            TriggerInput(),
            when_not_running=when_not_running,
        )
        assert started.run is not None
        return started.run

    at_once = await asyncio.gather(*(start(when_not_running=True) for _ in range(5)))
    assert len({run.id for run in at_once}) == 1
    assert (await start(when_not_running=False)).id != at_once[0].id
    assert len(await house.all_runs()) == 2
