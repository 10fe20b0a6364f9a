"""Retention: what has been kept long enough goes in small steps, what is needed stays, and numbers stay true."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from runtime.dispatch.last_whole import LastWhole
from runtime.dispatch.retention import Retention
from runtime.domain.buckets import buckets_of
from runtime.domain.runs import Run
from runtime.environments.collecting import Collector, Usage
from runtime.environments.directories import EnvironmentDirectories
from runtime.packages.materialise import PackageCache
from runtime.settings import RetentionSettings
from runtime.store import changes, logs, packages, runs
from runtime.store.columns import from_micros
from runtime.store.database import Database
from runtime.store.statistics import count_in_buckets
from runtime.wire.addresses import API_PREFIX
from tests.factories import make_raw_definition
from tests.house import House
from tests.tenants import build_estate

DAY = 86400.0
QUIET = dict.fromkeys(("run_days", "log_days", "log_bytes", "environment_days", "environment_bytes", "cache_bytes"), 0)


class Keeper:
    """Retention over a house, with directories of its own."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.usage = Usage()
        self.directories = EnvironmentDirectories(house.folder)
        self.trees = PackageCache(house.folder / "trees")

    def retention(self, **settings: float) -> Retention:
        return Retention(
            self.house.database,
            RetentionSettings.model_validate({**QUIET, **settings}),
            self.house.deployments.contents,
            Collector(self.directories, self.usage),
            self.trees,
            LastWhole(self.house.folder, 1024 * 1024, 0),
            self.house.clock,
        )


@pytest.fixture
async def keeper(house: House) -> Keeper:
    await house.ready()
    return Keeper(house)


async def log_lines(house: House, run: Run, *lines: str) -> None:
    async with house.database.transaction() as connection:
        await logs.append_lines(connection, run.id, "program", house.clock(), lines)


async def finished(house: House, *lines: str, status: str = "completed") -> Run:
    run = await house.launch()
    await log_lines(house, run, *lines or ("hello",))
    return await house.end(run, status)


async def contents(house: House, run: Run) -> list[str]:
    return [line.content for line in await house.lines(run.id)]


async def test_old_runs_go_and_the_newest_of_each_job_stay(keeper: Keeper) -> None:
    """Retention: by age, but never the newest ones, so that a job always shows how it went; numbers go on."""
    house = keeper.house
    ended = [await finished(house) for _ in range(5)]
    house.clock.pass_seconds(10 * DAY)
    removed = await keeper.retention(run_days=9, keep_runs=2).sweep()
    assert removed.runs == 3
    assert [run.number for run in await house.all_runs()] == [5, 4]
    assert (await house.launch()).number == 6
    async with house.database.read() as connection:
        assert await connection.value("SELECT count(*) FROM log_chunks WHERE run_id = ?", (ended[0].id.bytes,)) == 0
        assert await connection.all("PRAGMA foreign_key_check") == []


async def test_it_is_looked_after_again_and_again(keeper: Keeper) -> None:
    """Retention: as often as the settings say; what has grown old since the last time goes the next time."""
    house = keeper.house
    retention = keeper.retention(run_days=0.5, keep_runs=1, every_seconds=1)
    going = asyncio.create_task(retention.run())
    try:
        for number in (2, 4):
            await finished(house)
            await finished(house)
            house.clock.pass_seconds(DAY)
            async with asyncio.timeout(30):
                while [run.number for run in await house.all_runs()] != [number]:
                    pass  # each look gives way to the others
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)


async def test_a_run_that_is_active_stays_however_old(keeper: Keeper) -> None:
    """Retention: age counts from the end."""
    house = keeper.house
    active = await house.launch()
    await log_lines(house, active, "still here")
    house.clock.pass_seconds(1000 * DAY)
    removed = await keeper.retention(run_days=1, log_days=1, log_bytes=1, keep_runs=1).sweep()
    assert (removed.runs, removed.logs) == (0, 0)
    assert await contents(house, active) == ["still here"]


async def test_a_log_that_is_removed_leaves_one_line_that_says_so(keeper: Keeper) -> None:
    """Retention: nobody has to wonder why a run of old has printed nothing."""
    house = keeper.house
    old = await finished(house, "secret of old", "another")
    house.clock.pass_seconds(40 * DAY)
    new = await finished(house, "fresh")
    retention = keeper.retention(log_days=30)
    assert (await retention.sweep()).logs == 1
    assert await contents(house, old) == ["this log was removed 30 days after the run had ended"]
    assert await contents(house, new) == ["fresh"]
    assert (await retention.sweep()).logs == 0


async def test_the_oldest_logs_go_when_all_are_too_large(keeper: Keeper) -> None:
    """Retention: by size, oldest first, and no more than has to go."""
    house = keeper.house
    ended = []
    for number in range(6):
        house.clock.pass_seconds(60)
        ended.append(await finished(house, *(uuid4().hex for _ in range(200)), f"run {number}"))
    async with house.database.read() as connection:
        total = await connection.value("SELECT bytes FROM log_totals")
        assert total == await connection.value("SELECT sum(length(content)) FROM log_chunks")
    assert (await keeper.retention(log_bytes=total * 6 // 10).sweep()).logs == 3
    kept = [len(await contents(house, run)) > 1 for run in ended]
    assert kept == [False] * 3 + [True] * 3


async def test_statistics_do_not_forget_what_is_removed(keeper: Keeper) -> None:
    """Retention: counts by hour and totals are the same before and after."""
    house = keeper.house
    for status in ("completed", "failed", "completed"):
        run = await house.launch()
        house.clock.pass_seconds(90)
        await house.end(run, status)
        house.clock.pass_seconds(3000)
    period = (house.clock() - timedelta(days=1), house.clock() + timedelta(days=1))
    before = await counts(house, *period)
    async with house.database.read() as connection:
        totals = [tuple(row) for row in await connection.all("SELECT * FROM run_totals ORDER BY 1, 2, 3")]
    house.clock.pass_seconds(10 * DAY)
    assert (await keeper.retention(run_days=1, keep_runs=1).sweep()).runs == 2
    assert await counts(house, *period) == before
    assert sum(before.values()) == 3
    async with house.database.read() as connection:
        assert [tuple(row) for row in await connection.all("SELECT * FROM run_totals ORDER BY 1, 2, 3")] == totals


async def counts(house: House, start: Any, end: Any) -> dict[tuple[int, str], int]:
    buckets = buckets_of(start, end, ZoneInfo("Asia/Kathmandu"), "1h")
    async with house.database.read() as connection:
        found = await count_in_buckets(connection, house.workspace_id, buckets)
    summed: dict[tuple[int, str], int] = {}
    for one in found:
        summed[one.bucket, one.status] = summed.get((one.bucket, one.status), 0) + one.runs
    return summed


async def test_what_is_gone_is_news_for_a_week_and_then_forgotten(keeper: Keeper) -> None:
    """Retention: whoever was away learns what has gone; the table of changes does not grow for ever."""
    house = keeper.house
    for _ in range(4):
        await finished(house)
    async with house.database.read() as connection:
        seen = await changes.last_change(connection, house.workspace_id)
    house.clock.pass_seconds(10 * DAY)
    await keeper.retention(run_days=1, keep_runs=1).sweep()
    async with house.database.read() as connection:
        news = await changes.changes_after(connection, house.workspace_id, seen, 100)
        newest = await changes.last_change(connection, house.workspace_id)
    assert len([change for change in news if change.kind == "run"]) >= 3
    house.clock.now = await real_time(house.database) + timedelta(days=8)
    await keeper.retention().sweep()
    async with house.database.read() as connection:
        assert await changes.last_change(connection, house.workspace_id) == newest
        gone = await connection.value("SELECT count(*) FROM changes WHERE is_gone = 1")
    assert gone <= 1


async def real_time(database: Database) -> Any:
    """The store's triggers go by the machine's clock."""
    async with database.read() as connection:
        return from_micros(await connection.value("SELECT max(at) FROM changes"))


async def test_versions_that_no_run_pins_go_and_shared_contents_stay(keeper: Keeper) -> None:
    """Retention: code that a kept run ran, and the newest versions, can always be looked at and run."""
    house = keeper.house
    for number in range(2, 7):
        await house.upload_code({"shop.py": f"print({number})".encode(), "shared.py": b"same in all\n"})
        if number == 3:
            pinned = await finished(house)
    await house.deploy(make_raw_definition())
    removed = await keeper.retention(package_versions=2).sweep()
    versions = [item.version for item in (await house.deployments.list(house.workspace_id, 100, 0)).items]
    assert versions == [6, 5, 3, 1][: len(versions)]
    assert removed.deployments == 6 - len(versions)
    async with house.database.read() as connection:
        for item in (await house.deployments.list(house.workspace_id, 100, 0)).items:
            async for file, content in packages.deployment_contents(connection, item.id):
                assert content, file
        orphans = "SELECT count(*) FROM blobs WHERE sha3_256 NOT IN (SELECT sha3_256 FROM deployment_files)"
        assert await connection.value(orphans) == 0
        assert await runs.find_run(connection, pinned.id) is not None


async def test_lists_of_versions_are_sent_again_when_some_have_gone(keeper: Keeper, tmp_path: Path) -> None:
    """Retention: whoever asks with the validator of a list, or follows the workspace, learns what is gone."""
    house = keeper.house
    for number in range(2, 5):
        await house.upload_code({"shop.py": f"print({number})".encode()})
        await house.upload_settings({"config.toml": f"number = {number}".encode()})
    (tmp_path / "estate").mkdir()
    estate = await build_estate(house, tmp_path / "estate")
    follower = house.feed.follow(house.principal, house.workspace_id, await house.feed.position(house.workspace_id))
    async with estate.client(estate.token_for(house.principal.user)) as owner:
        base = f"{API_PREFIX}/v1/workspaces/{house.workspace_id}"
        for kind in ("deployments", "configurations"):
            before = await owner.get(f"{base}/{kind}")
            known = {"If-None-Match": before.headers["etag"]}
            assert (await owner.get(f"{base}/{kind}", headers=known)).status_code == 304
            await keeper.retention(package_versions=2).sweep()
            after = await owner.get(f"{base}/{kind}", headers=known)
            assert after.status_code == 200
            assert after.json()["total"] < before.json()["total"]
            await house.upload_settings({"config.toml": b"number = 5"})
    async with asyncio.timeout(5):
        news = {(update.change.kind, update.subject is None) for update in await anext(follower)}
    assert news >= {("deployment", True), ("configuration", True)}


async def test_no_content_goes_while_an_upload_may_count_on_it(keeper: Keeper) -> None:
    """Retention: an upload stores only what is missing, so nothing may go missing before it has ended."""
    house = keeper.house
    for number in range(2, 5):
        await house.upload_code({"shop.py": f"print({number})".encode()})
    retention = keeper.retention(package_versions=1)
    async with house.deployments.contents.uploading():
        assert (await retention.sweep()).deployments == 0
    assert (await retention.sweep()).deployments > 0


async def test_each_step_is_short_and_others_write_in_between(keeper: Keeper) -> None:
    """Retention: the writer is never held for longer than about 20 ms, however much there is to remove."""
    house = keeper.house
    run = await house.launch()
    async with house.database.transaction() as connection:
        for _ in range(3000):
            await logs.append_lines(connection, run.id, "program", house.clock(), [uuid4().hex * 40])
    await house.end(run)
    await finished(house)
    house.clock.pass_seconds(10 * DAY)
    retention = keeper.retention(run_days=1, keep_runs=1)
    live = await house.launch()
    sweeping = asyncio.create_task(retention.sweep())
    written = 0
    while not sweeping.done():
        await log_lines(house, live, "meanwhile")
        written += 1
        await asyncio.sleep(0)
    assert (await sweeping).runs == 2
    assert written > 3
    print(f"longest step {retention.longest_step_seconds * 1000:.1f} ms, {written} writes in between")
    assert retention.longest_step_seconds < 0.25, "a loaded machine is allowed for"


async def test_free_pages_are_given_back_to_the_disk(keeper: Keeper) -> None:
    """Retention: the file shrinks in steps, without a VACUUM that everybody would wait for."""
    house = keeper.house
    run = await house.launch()
    async with house.database.transaction() as connection:
        for _ in range(300):
            line = os.urandom(64_000).hex()
            await logs.append_lines(connection, run.id, "program", house.clock(), [line])
    await house.end(run)
    await finished(house)
    async with house.database.read() as connection:
        before = await connection.value("PRAGMA page_count")
    house.clock.pass_seconds(10 * DAY)
    removed = await keeper.retention(run_days=1, keep_runs=1).sweep()
    async with house.database.read() as connection:
        after = await connection.value("PRAGMA page_count")
        assert await connection.value("PRAGMA integrity_check") == "ok"
    assert removed.pages > 0
    assert after < before


def environment(keeper: Keeper, key: str, size: int = 1000) -> Path:
    path = keeper.house.folder / "envs" / key
    path.mkdir(parents=True)
    (path / "lib").write_bytes(bytes(size))
    return path


async def known(keeper: Keeper, key: str, days_ago: float) -> None:
    at = int((keeper.house.clock().timestamp() - days_ago * DAY) * 1e6)
    async with keeper.house.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO environments VALUES (?, ?, ?, '[]', '3.11.2', ?, ?)",
            (keeper.house.workspace_id.bytes, f"request-{key}", key, at, at),
        )


async def test_environments_go_when_long_unused_and_never_from_under_a_run(keeper: Keeper) -> None:
    """Retention: one that a live run has mounted, or that is being handed out, stays however old it is."""
    house = keeper.house
    for key, age in (("old", 40), ("mounted", 40), ("handed-out", 40), ("new", 2)):
        environment(keeper, key)
        await known(keeper, key, age)
    run = await house.launch()
    async with house.database.transaction() as connection:
        await connection.execute("UPDATE live_runs SET environment_key = 'mounted' WHERE run_id = ?", (run.id.bytes,))
    keeper.usage.note("handed-out")
    assert (await keeper.retention(environment_days=30).sweep()).environments == 1
    assert {path.name for path in (house.folder / "envs").iterdir()} == {"mounted", "handed-out", "new"}
    async with house.database.read() as connection:
        assert await connection.value("SELECT count(*) FROM environments WHERE key = 'old'") == 1, "it is remembered"


async def test_environments_beyond_their_share_go_longest_unused_first(keeper: Keeper) -> None:
    """Retention: by size."""
    for age in range(5):
        environment(keeper, f"env-{age}", 1_000_000)
        await known(keeper, f"env-{age}", age)
    assert (await keeper.retention(environment_bytes=2_500_000).sweep()).environments == 3
    assert {path.name for path in (keeper.house.folder / "envs").iterdir()} == {"env-0", "env-1"}


async def test_downloads_beyond_their_share_go_but_not_during_a_build(keeper: Keeper) -> None:
    """Retention: uv's caches, of workspaces that build nothing at the moment."""
    owners = [uuid4(), uuid4()]
    for owner in owners:
        cache = keeper.directories.workspace(owner) / "cache"
        cache.mkdir()
        (cache / "wheel").write_bytes(bytes(100_000))
    with keeper.usage.building(owners[0]):
        assert (await keeper.retention(cache_bytes=1).sweep()).downloads == 1
    assert (keeper.directories.workspace(owners[0]) / "cache").exists()
    assert not (keeper.directories.workspace(owners[1]) / "cache").exists()


async def test_trees_of_deployments_go_that_no_run_will_copy(keeper: Keeper) -> None:
    """Retention: the newest version's tree stays, and that of every active run."""
    house = keeper.house
    active = await house.launch()
    await house.upload_code({"shop.py": b"print(2)"})
    await house.upload_code({"shop.py": b"print(3)"})

    async def write(into: Path) -> None:
        (into / "shop.py").touch()

    page = await house.deployments.list(house.workspace_id, 100, 0)
    newest, middle, first = [item.id for item in page.items]
    assert first == active.deployment_id
    for one in (newest, middle, first):
        await keeper.trees.ensure(one, write)
    assert (await keeper.retention().sweep()).trees == 1
    left = {UUID(path.name) for path in (house.folder / "trees").iterdir() if not path.name.startswith(".")}
    assert left == {newest, first}
