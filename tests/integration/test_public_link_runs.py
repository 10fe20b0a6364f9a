"""`POST runs` by the secret of a public link: the one thing of a workspace that needs no credentials (contract 3)."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from runtime.wire.addresses import API_PREFIX
from tests.house import House
from tests.tenants import Estate, Tenant, add_tenant, build_estate

RATE = 30


@pytest.fixture
async def estate(house: House, tmp_path: Path) -> Estate:
    estate = await build_estate(house, tmp_path)
    await add_tenant(estate, "anna")
    await add_tenant(estate, "bert")
    return estate


async def secret_of(estate: Estate, name: str) -> str:
    view = await estate.services.jobs.get(estate.tenants[name].workspace_id, f"jobs.{name}.app")
    return str(view.public_secret)


def start(secret: str, **fields: Any) -> dict[str, Any]:
    return {"script_id_or_ref_or_secret": secret, "trigger": "http:", **fields}


def runs_url(tenant: Tenant) -> str:
    return f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/runs"


async def post(estate: Estate, name: str, body: dict[str, Any]) -> httpx.Response:
    """What nobody in particular is answered."""
    async with estate.client() as nobody:
        return await nobody.post(runs_url(estate.tenants[name]), json=body)


async def test_whoever_has_the_secret_starts_the_app_once_and_the_audit_says_that_it_was_nobody(estate: Estate) -> None:
    """Semantics D5 and S4."""
    secret = await secret_of(estate, "anna")
    first, again = [await post(estate, "anna", start(secret)) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert first.json()["job_ref"] == "jobs.anna.app"
    assert first.json()["run_id"] == again.json()["run_id"]
    async with estate.house.database.read() as connection:
        rows = await connection.all("SELECT user_id, subject FROM audit_log WHERE action = 'app.wake'")
    assert [(row["user_id"], row["subject"]) for row in rows] == [(None, "jobs.anna.app")]


async def test_what_is_no_live_secret_of_this_workspace_is_not_found(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    secret = await secret_of(estate, "anna")
    job = await estate.services.jobs.get(anna.workspace_id, "jobs.anna.app")
    for name, named in (
        ("anna", str(uuid4())),
        ("anna", "jobs.anna.app"),
        ("anna", str(job.job.id)),
        ("anna", ""),
        ("bert", secret),
    ):
        answer = await post(estate, name, start(named))
        assert answer.status_code == 404, (name, named)
        assert answer.json()["extra"]["code"] == "link_not_found"
    async with estate.client(anna.token) as owner:
        await owner.delete(f"{API_PREFIX}/v1/workspaces/{anna.workspace_id}/scripts/jobs.anna.app/public-url")
    assert (await post(estate, "anna", start(secret))).status_code == 404


@pytest.mark.parametrize("wish", [{"profile": "prod"}, {"refresh": True}, {"skip_freshness": True}])
async def test_a_link_gives_no_say_in_how_the_app_runs(estate: Estate, wish: dict[str, Any]) -> None:
    answer = await post(estate, "anna", start(await secret_of(estate, "anna"), **wish))
    assert answer.status_code == 403


async def test_a_token_that_is_refused_is_not_made_good_by_a_secret(estate: Estate) -> None:
    async with estate.client("forged") as forger:
        answer = await forger.post(runs_url(estate.tenants["anna"]), json=start(await secret_of(estate, "anna")))
    assert answer.status_code == 401


async def test_strangers_are_slowed_down_and_members_are_not(estate: Estate) -> None:
    async with estate.client() as nobody, estate.client(estate.tenants["anna"].token) as owner:
        url = runs_url(estate.tenants["anna"])
        statuses = [(await nobody.post(url, json=start(str(uuid4())))).status_code for _ in range(RATE + 5)]
        assert statuses == [404] * RATE + [429] * 5
        for _ in range(RATE + 5):
            assert (await owner.post(url, json=start(str(uuid4())))).status_code == 404
