"""Which environment a run had, for whoever asks later; and which runs a run has started."""

from pathlib import Path

import pytest

from runtime.dispatch.executor import Executor
from runtime.dispatch.run_environments import RunEnvironments
from runtime.domain.runs import Run
from runtime.errors import NotFoundError
from runtime.store import environments
from runtime.store.environments import EnvironmentRecord
from runtime.wire.addresses import API_PREFIX
from tests.factories import NOW
from tests.house import House
from tests.stage import Stage
from tests.tenants import add_tenant, as_tenant, build_estate

KEY = "key"


async def remember(house: House, run: Run, *resolved: str, key: str = KEY, digest: str = "digest") -> None:
    """As a build leaves it."""
    record = EnvironmentRecord(
        workspace_id=run.workspace_id,
        request_digest=digest,
        key=key,
        resolved=resolved,
        python="3.11.2",
        created_at=NOW,
        last_used_at=NOW,
    )
    async with house.database.transaction() as connection:
        await environments.add_environment(connection, record)


async def test_a_run_says_which_environment_it_had_once_it_has_ended(stage: Stage, executor: Executor) -> None:
    """It is noted as the run begins, with its key; whoever asks is told by name, without passwords."""
    house = stage.house
    run = await stage.until_final(await house.launch())
    await remember(house, run, "shop @ https://ada:pear@example.org/shop.whl", "dlt==1.26.0")
    await remember(house, run, "dlt==1.26.0", key="another", digest="another")
    found = await RunEnvironments(house.database).of(run.id)
    assert (found.key, found.python) == (KEY, "3.11.2")
    assert found.packages == ("dlt==1.26.0", "shop @ https://***@example.org/shop.whl")


async def test_a_run_that_has_not_begun_has_no_environment(stage: Stage) -> None:
    run = await stage.house.launch()
    await remember(stage.house, run, "dlt==1.26.0")
    with pytest.raises(NotFoundError, match="no environment is known of this run"):
        await RunEnvironments(stage.house.database).of(run.id)


async def test_members_are_told_of_the_environment_and_strangers_of_nothing(house: House, tmp_path: Path) -> None:
    """Viewers too: they may read the code that asks for it."""
    estate = await build_estate(house, tmp_path)
    anna, bert = await add_tenant(estate, "anna"), await add_tenant(estate, "bert")
    url = f"{API_PREFIX}/v1/workspaces/{anna.workspace_id}/runs/{anna.ids['run_id']}/environment"
    async with estate.client(anna.viewer_token) as viewer, estate.client(bert.token) as stranger:
        unknown = await viewer.get(url)
        assert (unknown.status_code, unknown.json()["extra"]["code"]) == (404, "environment_unknown")
        (run,) = await as_tenant(house, house.principal, anna.workspace_id).all_runs()
        await remember(house, run, "dlt==1.26.0")
        async with house.database.transaction() as connection:
            await environments.note_mounted(connection, run.id, KEY)
        assert (await viewer.get(url)).json() == {
            "key": KEY,
            "python_version": "3.11.2",
            "packages": ["dlt==1.26.0"],
        }
        assert (await stranger.get(url)).status_code == 404


async def test_runs_are_listed_by_the_run_that_started_them(house: House, tmp_path: Path) -> None:
    estate = await build_estate(house, tmp_path)
    anna = await add_tenant(estate, "anna")
    url = f"{API_PREFIX}/v1/workspaces/{anna.workspace_id}/runs"
    async with estate.client(anna.token) as owner:
        listed = (await owner.get(url, params={"prev_run_id": anna.ids["run_id"]})).json()
        assert (listed["items"], listed["total"]) == ([], 0)
        assert (await owner.get(url)).json()["total"] == 1
        assert (await owner.get(url, params={"prev_run_id": "21"})).status_code == 400
