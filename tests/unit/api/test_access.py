"""Who may do what, route by route."""

from pathlib import Path
from typing import get_args
from uuid import uuid4

import pytest
from litestar import Litestar, get

from runtime.api.access import Access, access_of
from runtime.api.app import create_app
from runtime.settings import Settings
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.api_client import ORGANIZATION, ROOT, STRANGER, WORKSPACE, client_for, fake_services, make_app
from tests.routes import routes

PUBLIC = {
    # Pages: a browser's cookie is looked at by the page, and by nothing else.
    ("GET", "/activate"),
    ("POST", "/activate"),
    ("GET", "/login"),
    ("GET", "/visit"),
    ("POST", "/login"),
    ("POST", "/login/github"),
    ("GET", "/login/github/callback"),
    ("POST", "/logout"),
    ("GET", "/w/{workspace:str}"),
    ("GET", "/w/{workspace:str}/{kind:str}/{name:str}"),
    ("GET", "/w/-/{file:str}"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", f"{API_PREFIX}/v1/ping"),
    ("GET", f"{AUTH_PREFIX}/v1/ping"),
    ("POST", f"{AUTH_PREFIX}/v1/workos/device-flow/code"),
    ("POST", f"{AUTH_PREFIX}/v1/workos/device-flow/token"),
    ("POST", f"{AUTH_PREFIX}/v1/workos/token-exchange"),
    ("POST", f"{AUTH_PREFIX}/v1/auth/refresh"),
    ("POST", f"{AUTH_PREFIX}/v1/auth/logout"),
    ("POST", f"{AUTH_PREFIX}/v1/auth/logout-all-devices"),
    ("POST", f"{AUTH_PREFIX}/v1/workos/token-exchange"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("POST", "/hooks/{workspace:str}/{hook_path:path}"),
}
WORKSPACE_URL = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return make_app(tmp_path_factory.mktemp("state"))


def concrete(path: str) -> str:
    """A path template with identifiers filled in."""
    known = {"workspace_id": str(WORKSPACE.id), "organization_id": str(ORGANIZATION.id)}
    parts = [part.strip("{}").split(":")[0] if part.startswith("{") else None for part in path.split("/")]
    filled = zip(path.split("/"), parts, strict=True)
    return "/".join(text if name is None else known.get(name, str(uuid4())) for text, name in filled)


def test_every_route_says_what_it_needs(app: Litestar) -> None:
    assert {(method, path) for method, path, handler in routes(app) if access_of(handler) == "public"} == PUBLIC
    for method, path, handler in routes(app):
        needed = access_of(handler)
        assert needed in get_args(Access), f"{method} {path} has no marker"
        assert ("{workspace_id" in path) == (needed in ("workspace", "workspace_or_link")), path
        assert ("/admin" in path) == (needed == "admin"), path


async def test_every_route_but_the_public_ones_refuses_without_a_token(app: Litestar) -> None:
    async with client_for(app) as nobody, client_for(app, token="forged") as forger:
        for method, path, handler in routes(app):
            if (method, path) in PUBLIC:
                continue
            for client in (nobody, forger):
                if client is nobody and access_of(handler) == "workspace_or_link":
                    continue  # that the secret must be right is tested in test_public_link_runs.py
                answer = await client.request(method, concrete(path))
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.json().keys() >= {"status_code", "detail"}
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_route_of_a_workspace_answers_404_to_those_outside(app: Litestar) -> None:
    """An unknown workspace and somebody else's look alike."""
    async with client_for(app, token="outsider") as outsider, client_for(app, token="owner") as owner:
        for method, path, _ in routes(app):
            if "{workspace_id" not in path:
                continue
            theirs = await outsider.request(method, concrete(path))
            unknown = await owner.request(method, concrete(path).replace(str(WORKSPACE.id), str(uuid4())))
            assert theirs.status_code == unknown.status_code == 404, f"{method} {path}"
            assert theirs.json()["extra"] == unknown.json()["extra"]
            assert unknown.json()["extra"]["code"] == "workspace_not_found"
            assert "workspace switch" in unknown.json()["extra"]["hint"]


async def test_a_viewer_may_read_and_nothing_else(app: Litestar) -> None:
    async with client_for(app, token="viewer") as viewer:
        for method, path, _ in routes(app):
            if "{workspace_id" in path:
                answer = await viewer.request(method, concrete(path))
                assert (answer.status_code == 403) == (method != "GET"), f"{method} {path}: {answer.text}"


async def test_only_administrators_reach_the_administration(app: Litestar) -> None:
    async with client_for(app, token="owner") as owner, client_for(app, peer=ROOT) as root:
        for method, path, _ in routes(app):
            if "/admin" in path:
                assert (await owner.request(method, concrete(path))).status_code == 403, f"{method} {path}"
        assert (await root.get(f"{API_PREFIX}/v1/admin/status")).json()["workspaces"] == 1


async def test_the_organization_is_changed_by_administrators_and_workspaces_made_by_all(app: Litestar) -> None:
    path = f"{API_PREFIX}/v1/organizations/{ORGANIZATION.id}"
    async with client_for(app, token="owner") as member, client_for(app, peer=ROOT) as root:
        assert (await member.patch(path, json={"name": "mine"})).status_code == 403
        assert (await root.patch(path, json={"name": "ours"})).json()["name"] == "ours"
        assert (await member.post(f"{path}/workspaces", json={"name": "new"})).status_code == 201
        assert (await member.get(f"{API_PREFIX}/v1/organizations/{uuid4()}")).status_code == 404


async def test_other_accounts_of_the_machine_are_refused(app: Litestar) -> None:
    async with client_for(app, peer=STRANGER) as stranger:
        assert (await stranger.get(f"{API_PREFIX}/v1/me")).status_code == 403


async def test_a_token_counts_on_the_socket_too(app: Litestar) -> None:
    async with client_for(app, peer=ROOT, token="viewer") as client:
        assert (await client.get(f"{API_PREFIX}/v1/me")).json()["email"] == "viewer@example.org"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Peer", "Forwarded", "Remote-User"])
async def test_no_header_makes_somebody_a_peer(app: Litestar, header: str) -> None:
    async with client_for(app) as nobody:
        answer = await nobody.get(f"{API_PREFIX}/v1/me", headers={header: "uid=0"})
        assert answer.status_code == 401


@pytest.mark.parametrize("value", ["", "owner", "Basic owner", "Bearer", "Bearer  "])
async def test_an_authorization_header_of_another_kind_is_refused(app: Litestar, value: str) -> None:
    async with client_for(app, peer=ROOT) as client:
        answer = await client.get(f"{API_PREFIX}/v1/me", headers={"Authorization": value})
        assert answer.status_code == 401


async def test_a_route_without_a_marker_lets_nobody_in(tmp_path: Path) -> None:
    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    app = create_app(fake_services(), Settings(state_dir=tmp_path, socket=tmp_path / "api.sock"))
    app.register(forgotten)
    async with client_for(app, peer=ROOT) as root, client_for(app) as nobody:
        assert (await root.get("/forgotten")).status_code == 403
        assert (await nobody.get("/forgotten")).status_code == 401
