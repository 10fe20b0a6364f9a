"""Members of workspaces and of the organization, over a real store."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.house import House
from tests.tenants import Estate, Tenant, add_tenant, build_estate


@pytest.fixture
async def estate(house: House, tmp_path: Path) -> Estate:
    estate = await build_estate(house, tmp_path)
    await add_tenant(estate, "anna")
    await add_tenant(estate, "bert")
    return estate


def members_url(tenant: Tenant) -> str:
    return f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/members"


def people_url(tenant: Tenant) -> str:
    return f"{API_PREFIX}/v1/organizations/{tenant.ids['organization_id']}/members"


async def roles(client: httpx.AsyncClient, url: str) -> dict[str, str]:
    return {item["email"]: item["role"] for item in (await client.get(url)).json()}


def code(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["extra"]["code"]


async def test_a_workspace_is_handed_on_and_taken_back(estate: Estate) -> None:
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    url, workspace = members_url(anna), f"{API_PREFIX}/v1/workspaces/{anna.workspace_id}"
    async with estate.client(anna.token) as owner, estate.client(bert.token) as friend:
        assert (await friend.get(workspace)).status_code == 404
        added = await owner.post(url, json={"role": "viewer", "email": "BERT@example.org"})
        assert (added.status_code, added.json()["email"]) == (201, "bert@example.org")
        assert (await friend.get(workspace)).status_code == 200
        assert (await friend.patch(workspace, json={"name": "mine"})).status_code == 403
        await owner.post(url, json={"role": "owner", "user_id": str(bert.owner.id)})
        assert (await friend.patch(workspace, json={"name": "ours"})).status_code == 200
        assert await roles(friend, url) == {
            "anna@example.org": "owner",
            "bert@example.org": "owner",
            "viewer-anna@example.org": "viewer",
        }
        await owner.post(url, json={"role": "viewer", "user_id": str(bert.owner.id)})
        assert (await owner.delete(f"{url}/{bert.owner.id}")).status_code == 204
        assert (await friend.get(workspace)).status_code == 404


async def test_an_owner_is_never_removed_and_the_last_one_stays_owner(estate: Estate) -> None:
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    url = members_url(anna)
    async with estate.client(anna.token) as owner:
        assert code(await owner.delete(f"{url}/{anna.owner.id}")) == (400, "member_owner")
        step_down = {"role": "viewer", "user_id": str(anna.owner.id)}
        assert code(await owner.post(url, json=step_down)) == (400, "member_owner")
        await owner.post(url, json={"role": "owner", "email": bert.owner.email})
        assert code(await owner.delete(f"{url}/{bert.owner.id}")) == (400, "member_owner")
        assert (await owner.post(url, json=step_down)).status_code == 201
        assert (await owner.post(url, json=step_down)).status_code == 403  # a viewer now
    async with estate.client(is_admin=True) as admin:
        assert (await admin.delete(f"{url}/{anna.owner.id}")).status_code == 204


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"role": "viewer"}, (400, "member_who")),
        (
            {"role": "viewer", "email": "a@b.org", "user_id": "00000000-0000-0000-0000-000000000001"},
            (400, "member_who"),
        ),
        ({"role": "viewer", "email": "nobody@example.org"}, (404, "user_not_found")),
        ({"role": "viewer", "user_id": "00000000-0000-0000-0000-000000000001"}, (404, "user_not_found")),
        ({"role": "member", "email": "bert@example.org"}, (400, "invalid")),
    ],
)
async def test_who_is_not_there_cannot_be_added(estate: Estate, body: Any, expected: tuple[int, str]) -> None:
    anna = estate.tenants["anna"]
    async with estate.client(anna.token) as owner:
        assert code(await owner.post(members_url(anna), json=body)) == expected
        gone = await owner.delete(f"{members_url(anna)}/{estate.tenants['bert'].owner.id}")
        assert code(gone) == (404, "member_not_found")


async def test_a_machine_token_does_not_make_members(estate: Estate) -> None:
    """A leaked token of a CI machine must not turn into an owner who stays."""
    anna = estate.tenants["anna"]
    async with estate.client(anna.machine_token) as machine:
        added = await machine.post(members_url(anna), json={"role": "owner", "email": "bert@example.org"})
        removed = await machine.delete(f"{members_url(anna)}/{anna.viewer.id}")
    assert (added.status_code, removed.status_code) == (403, 403)


async def test_people_see_those_they_share_a_workspace_with(estate: Estate) -> None:
    anna, bert = estate.tenants["anna"], estate.tenants["bert"]
    url = people_url(anna)
    async with estate.client(is_admin=True) as admin, estate.client(anna.token) as owner:
        everybody = await roles(admin, url)
        assert everybody["root@localhost"] == "owner"
        assert everybody.keys() >= {"anna@example.org", "bert@example.org", "viewer-bert@example.org"}
        assert (await roles(owner, url)).keys() == {"anna@example.org", "viewer-anna@example.org"}
        await owner.post(members_url(anna), json={"role": "viewer", "email": bert.owner.email})
        assert "bert@example.org" in await roles(owner, url)
    async with estate.client(bert.machine_token) as machine:
        assert (await roles(machine, url)).keys() == {"bert@example.org", "viewer-bert@example.org"}


async def test_who_is_let_in_may_log_in_and_who_is_removed_may_not(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    url = people_url(anna)
    async with estate.client(is_admin=True) as admin, estate.client(anna.token) as owner, estate.client() as nobody:
        assert (await admin.post(url, json={"role": "member", "email": "new@example.org"})).status_code == 201
        assert (await owner.post(url, json={"role": "member", "email": "other@example.org"})).status_code == 403
        device = (await nobody.post(f"{AUTH_PREFIX}/v1/workos/device-flow/code")).json()
        approval = {"user_code": device["user_code"], "email": "anna@example.org"}
        assert (await admin.post(f"{API_PREFIX}/v1/admin/device-approvals", json=approval)).status_code == 201
        session = (await nobody.post(f"{AUTH_PREFIX}/v1/workos/device-flow/token", json=device)).json()

        assert (await admin.delete(f"{url}/{anna.owner.id}")).status_code == 204
        assert code(await owner.get(f"{API_PREFIX}/v1/me")) == (401, "user_disabled")
        refreshed = await nobody.post(f"{AUTH_PREFIX}/v1/auth/refresh", json=session)
        assert refreshed.status_code == 401
        async with estate.client(anna.machine_token) as machine:
            assert (await machine.get(f"{API_PREFIX}/v1/me")).status_code == 401
        assert "anna@example.org" not in await roles(admin, url)
        assert "anna@example.org" not in await roles(admin, members_url(anna))
        assert code(await admin.delete(f"{url}/{anna.owner.id}")) == (404, "member_not_found")

        back = await admin.post(url, json={"role": "member", "user_id": str(anna.owner.id)})
        assert (back.status_code, back.json()["email"]) == (201, "anna@example.org")
        # The access token of before is good again until it expires; the workspace has to be handed over anew.
        assert (await owner.get(f"{API_PREFIX}/v1/workspaces/{anna.workspace_id}")).status_code == 404
        async with estate.client(anna.machine_token) as machine:
            assert (await machine.get(f"{API_PREFIX}/v1/me")).status_code == 401


async def test_administrators_are_not_removed_over_the_api(estate: Estate) -> None:
    url = people_url(estate.tenants["anna"])
    async with estate.client(is_admin=True) as admin:
        root = next(item for item in (await admin.get(url)).json() if item["role"] == "owner")
        assert code(await admin.delete(f"{url}/{root['user_id']}")) == (400, "member_owner")


async def test_every_change_of_members_is_in_the_audit_trail(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    async with estate.client(anna.token) as owner, estate.client(is_admin=True) as admin:
        await owner.post(members_url(anna), json={"role": "viewer", "email": "bert@example.org"})
        await owner.delete(f"{members_url(anna)}/{estate.tenants['bert'].owner.id}")
        await admin.delete(f"{people_url(anna)}/{estate.tenants['bert'].viewer.id}")
    async with estate.house.database.read() as connection:
        rows = await connection.all("SELECT action, subject FROM audit_log ORDER BY id DESC LIMIT 4")
    assert [(row["action"], row["subject"]) for row in rows if row["action"] != "user.create"] == [
        ("user.disable", "viewer-bert@example.org"),
        ("member.remove", "bert@example.org"),
        ("member.add", "bert@example.org"),
    ]


async def test_one_person_has_as_many_workspaces_as_they_like(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    url = f"{API_PREFIX}/v1/organizations/{anna.ids['organization_id']}/workspaces"
    async with estate.client(anna.token) as owner, estate.client(anna.machine_token) as machine:
        made = []
        for number in range(3):
            estate.house.clock.pass_seconds(1)
            made.append((await owner.post(url, json={"name": f"more {number}"})).json()["id"])
        me = (await owner.get(f"{API_PREFIX}/v1/me")).json()
        assert [item["workspace"]["id"] for item in me["workspaces"]] == [str(anna.workspace_id), *made]
        assert {item["role"] for item in me["workspaces"]} == {"owner"}
        listed = (await owner.get(url, params={"limit": 2, "offset": 1})).json()
        assert [item["id"] for item in listed] == made[:2]
        assert (await machine.post(url, json={"name": "stolen"})).status_code == 403


async def test_a_description_is_taken_away_by_null_and_kept_when_left_out(estate: Estate) -> None:
    anna = estate.tenants["anna"]
    url = f"{API_PREFIX}/v1/workspaces/{anna.workspace_id}"
    async with estate.client(anna.token) as owner:
        assert (await owner.patch(url, json={"name": "new"})).json()["description"] == "description-anna"
        assert "description" not in (await owner.patch(url, json={"name": None, "description": None})).json()
        assert (await owner.get(url)).json()["name"] == "new"
        for name in ("", " ", "x" * 101, "tab\there", "escape\x1b[31m"):
            assert code(await owner.patch(url, json={"name": name})) == (400, "name")


async def test_a_user_is_added_with_a_password_that_does_or_not_at_all(estate: Estate) -> None:
    url = f"{API_PREFIX}/v1/admin/users"
    async with estate.client(is_admin=True) as admin:
        bad = await admin.post(url, json={"email": "cleo@example.org", "password": "short"})
        assert code(bad) == (400, "password")
        assert "cleo@example.org" not in bad.text + (await admin.get(url)).text
        good = await admin.post(url, json={"email": "cleo@example.org", "password": "correct horse battery"})
        assert (good.status_code, good.json()["email"]) == (201, "cleo@example.org")
        assert "cleo@example.org" in (await admin.get(url)).text
