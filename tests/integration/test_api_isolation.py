"""Two tenants on one machine: neither reaches anything of the other's, by any route there is.

The routes come from the application itself. A route that these tests do not know how to ask for fails them, so a new
one is covered before it is merged.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.wire.addresses import API_PREFIX
from tests.every_operation import REQUESTS
from tests.house import House
from tests.routes import routes
from tests.tenants import Estate, Tenant, add_tenant, build_estate

IN_WORKSPACE = f"{API_PREFIX}/v1/workspaces/{{workspace_id}}"
IN_SCRIPT = f"{IN_WORKSPACE}/scripts/{{script_id_or_ref}}"
OF_NOBODY = {"provider": "github", "path": "", "file": "console.css", "kind": "runs"}
"""Parameters of paths that do not name anything of one tenant's."""
OWN_BODIES: dict[str, dict[str, Any]] = {
    f"PUT {IN_SCRIPT}/schedule": {"json": {"trigger": "every:5m"}},
    f"POST {IN_WORKSPACE}/deployments/{{deployment_id_or_version}}/redeploy": {"json": {"dry_run": False}},
    f"POST {IN_SCRIPT}/backfill": {"json": {"start": "2026-03-01T00:00:00+00:00"}},
}
"""What this runtime's own operations are sent, so that they get as far as looking things up."""
CONTENT = f"GET {IN_WORKSPACE}/deployments/{{deployment_id_or_version}}/content"
STREAMS = {f"GET {IN_WORKSPACE}/events"}
"""They do not end by themselves while one may look."""


@pytest.fixture
async def estate(house: House, tmp_path: Path) -> Estate:
    estate = await build_estate(house, tmp_path)
    await add_tenant(estate, "anna")
    await add_tenant(estate, "bert")
    return estate


def template(path: str) -> str:
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)


def parameters(path: str) -> set[str]:
    return set(re.findall(r"{(\w+)", path))


def request_for(name: str, tenant: Tenant) -> dict[str, Any]:
    if name == CONTENT:
        return {"params": {"path": f"{tenant.owner.email.partition('@')[0]}.py"}}
    build: Callable[[Tenant], dict[str, Any]] = REQUESTS.get(name, lambda _: OWN_BODIES.get(name, {}))
    return build(tenant)


def leaks(answer: httpx.Response, tenant: Tenant, sent: str) -> set[str]:
    """What an answer tells of a tenant beyond what the question said already."""
    told = answer.text + str(answer.headers)
    return {mark for mark in tenant.marks if mark in told and mark not in sent}


async def state_of(estate: Estate, tenant: Tenant) -> list[Any]:
    """Everything of a tenant that a stranger could have changed."""
    async with estate.house.database.read() as connection:
        tables = ("changes", "workspace_members", "audit_log", "deployments", "configurations")
        return [
            [tuple(row) for row in await connection.all(f"SELECT * FROM {table} WHERE workspace_id = ?", (key,))]
            for table in tables
            for key in [tenant.workspace_id.bytes]
        ]


def test_every_parameter_of_a_path_has_a_value_to_try(estate: Estate) -> None:
    for method, path, _ in routes(estate.app):
        unknown = parameters(path) - estate.tenants["anna"].ids.keys() - OF_NOBODY.keys()
        assert not unknown, f"{method} {path}: say in tests/tenants.py what a tenant has as {unknown}"


@pytest.mark.parametrize("who", ["owner", "viewer", "machine"])
async def test_nothing_of_another_workspace_is_reached_through_it(estate: Estate, who: str) -> None:
    """The other tenant's identifiers, all of them right, with one's own token."""
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    before = await state_of(estate, anna)
    token = {"owner": bert.token, "viewer": bert.viewer_token, "machine": bert.machine_token}[who]
    async with estate.client(token) as client:
        for method, path, _ in routes(estate.app):
            if "workspace_id" not in parameters(path):
                continue
            name, url = f"{method} {template(path)}", template(path).format_map(anna.ids)
            answer = await client.request(method, url, **request_for(name, anna))
            assert answer.status_code == 404, f"{name}: {answer.text}"
            assert answer.json()["extra"]["code"] == "workspace_not_found", name
    assert await state_of(estate, anna) == before


async def test_nothing_of_another_workspace_is_reached_through_ones_own(estate: Estate) -> None:
    """One's own workspace in the path, and the other tenant's run, job, version, member or token below it."""
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    before = await state_of(estate, anna)
    async with estate.client(bert.token) as client:
        for method, path, _ in routes(estate.app):
            if "workspace_id" not in parameters(path) or len(parameters(path)) < 2:
                continue
            name = f"{method} {template(path)}"
            url = template(path).format_map({**anna.ids, "workspace_id": bert.ids["workspace_id"]})
            answer = await client.request(method, url, **request_for(name, bert))
            assert answer.status_code == 404, f"{name}: {answer.status_code} {answer.text}"
            assert not leaks(answer, anna, url), name
    assert await state_of(estate, anna) == before


async def test_what_bodies_and_queries_name_is_looked_for_in_ones_own_workspace(estate: Estate) -> None:
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    before = await state_of(estate, anna)
    jobs = await estate.services.jobs.list(anna.workspace_id, None, None, 10, 0)
    secret = next(str(view.public_secret) for view in jobs.items if view.public_secret)
    workspace, job = IN_WORKSPACE.format_map(bert.ids), anna.ids["script_id_or_ref"]
    async with estate.client(bert.token) as client:
        for which in (job, "jobs.anna.load", secret):
            body = {"script_id_or_ref_or_secret": which, "trigger": "manual:jobs.anna.load"}
            assert (await client.post(f"{workspace}/runs", json=body)).status_code == 404
        for path in ("/scripts/trigger", "/runs/cancel"):
            answer = await client.post(workspace + path, json={"job_refs": ["jobs.anna.load"]})
            assert answer.status_code == 404
        assert (await client.get(f"{workspace}/runs?script_id={job}")).json()["items"] == []
        assert (await client.get(f"{workspace}/runs/latest?script_id={job}")).status_code == 404
        everything = await client.post(f"{workspace}/scripts/trigger", json={"selectors": ["*"], "dry_run": True})
        assert {item["job_ref"] for item in everything.json()["triggered"]} == {"jobs.bert.load", "jobs.bert.app"}
    assert await state_of(estate, anna) == before


@pytest.mark.parametrize("who", ["owner", "viewer", "machine"])
async def test_no_answer_within_ones_own_reach_tells_of_another_tenant(estate: Estate, who: str) -> None:
    """Every route that reads, with one's own identifiers: what it answers holds nothing of the other tenant."""
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    token = {"owner": bert.token, "viewer": bert.viewer_token, "machine": bert.machine_token}[who]
    told = 0
    async with estate.client(token) as client:
        for method, path, _ in routes(estate.app):
            name = f"{method} {template(path)}"
            if method != "GET" or name in STREAMS or template(path) == "/schema/{path}":
                continue
            url = template(path).format_map({**OF_NOBODY, **bert.ids})
            answer = await client.get(url, **request_for(name, bert))
            assert answer.status_code < 500, f"{name}: {answer.text}"
            assert not leaks(answer, anna, ""), name
            told += bool(leaks(answer, bert, ""))
    assert told > 20  # the marks are such that answers hold them


async def test_only_administrators_reach_what_is_the_machines(estate: Estate) -> None:
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    async with estate.client(bert.token) as client:
        for method, path, _ in routes(estate.app):
            if "/admin" in path or path == "/metrics":
                answer = await client.request(method, template(path).format_map(anna.ids))
                assert answer.status_code == 403, f"{method} {path}"
        organization = f"{API_PREFIX}/v1/organizations/{bert.ids['organization_id']}"
        expelled = await client.delete(f"{organization}/members/{anna.owner.id}")
        assert expelled.status_code == 403


async def test_a_hooks_token_opens_its_own_workspaces_hook_only(estate: Estate) -> None:
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    async with estate.client() as world:
        statuses = {
            (tenant.owner.email, path): (
                await world.post(
                    f"/hooks/{tenant.workspace_id}/{path}", headers={"X-Hook-Token": bert.hook_secret}, content=b"{}"
                )
            ).status_code
            for tenant in (anna, bert)
            for path in ("hook-anna", "hook-bert")
        }
    assert {key for key, status in statuses.items() if status in (202, 409)} == {(bert.owner.email, "hook-bert")}
    assert {status for key, status in statuses.items() if key != (bert.owner.email, "hook-bert")} == {401}
