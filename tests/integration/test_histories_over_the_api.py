"""Lists of jobs show how the newest runs of each went."""

from datetime import timedelta
from pathlib import Path

from runtime.wire.addresses import API_PREFIX
from tests.factories import make_raw_definition
from tests.house import House
from tests.tenants import Estate, Tenant, add_tenant, build_estate

MANY = {"concurrency": None}


async def with_runs(house: House, estate: Estate) -> Tenant:
    """Anna, whose job has run five times; the last one goes on."""
    tenant = await add_tenant(estate, "anna")
    own = object.__new__(House)
    own.__dict__.update(house.__dict__, workspace_id=tenant.workspace_id)
    await own.ready(make_raw_definition("jobs.shop.load", execute=MANY), make_raw_definition("jobs.shop.idle"))
    for number in range(4):
        run = await own.launch("jobs.shop.load")
        own.clock.pass_seconds(10)
        await own.end(run, "failed" if number == 2 else "completed")
    await own.launch("jobs.shop.load")
    return tenant


async def test_the_newest_runs_of_each_job_come_oldest_first_and_no_more_than_asked_for(
    house: House, tmp_path: Path
) -> None:
    estate = await build_estate(house, tmp_path)
    tenant = await with_runs(house, estate)
    path = f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/histories"
    async with estate.client(tenant.viewer_token) as client:
        jobs = {
            job["job_ref"]: job["id"]
            for job in (await client.get(path.replace("histories", "scripts"), params={"archived": "all"})).json()[
                "items"
            ]
        }
        answer = await client.get(path, params={"length": 3})
        whole = await client.get(path)
    histories = {one["script_id"]: one["runs"] for one in answer.json()["items"]}
    assert histories[jobs["jobs.shop.load"]] == [
        {"number": 3, "status": "failed", "duration": 0},
        {"number": 4, "status": "completed", "duration": 0},
        {"number": 5, "status": "pending"},
    ]
    assert histories[jobs["jobs.shop.idle"]] == []
    assert (answer.json()["total"], list(histories)) == (len(jobs), [jobs[ref] for ref in sorted(jobs)])
    (long,) = [one["runs"] for one in whole.json()["items"] if one["script_id"] == jobs["jobs.shop.load"]]
    assert [run["number"] for run in long] == [1, 2, 3, 4, 5]


async def test_how_long_a_run_took_is_told_in_whole_seconds(house: House, tmp_path: Path) -> None:
    estate = await build_estate(house, tmp_path)
    tenant = await with_runs(house, estate)
    async with house.database.transaction() as connection:
        took = timedelta(seconds=7, milliseconds=900) // timedelta(microseconds=1)
        await connection.execute("UPDATE runs SET ended_at = started_at + ? WHERE number = 4", (took,))
    async with estate.client(tenant.viewer_token) as client:
        answer = await client.get(f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/histories", params={"length": 2})
    assert {"number": 4, "status": "completed", "duration": 7} in [
        run for one in answer.json()["items"] for run in one["runs"]
    ]


async def test_jobs_come_by_pages(house: House, tmp_path: Path) -> None:
    estate = await build_estate(house, tmp_path)
    tenant = await with_runs(house, estate)
    path = f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/histories"
    async with estate.client(tenant.viewer_token) as client:
        whole = (await client.get(path)).json()
        pages = [(await client.get(path, params={"limit": 2, "offset": at})).json() for at in range(0, 6, 2)]
    assert [one for page in pages for one in page["items"]] == whole["items"]
    assert {page["total"] for page in pages} == {len(whole["items"])}
