"""Every error body has one shape."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from runtime.domain.identities import Workspace
from runtime.errors import (
    ConflictError,
    DiskFullError,
    InvalidError,
    StoreBusyError,
    StoreError,
    UnavailableError,
)
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.api_client import WORKSPACE, FakeWorkspaces, client_for, fake_services, make_app

URL = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}"


class Failing(FakeWorkspaces):
    """Raises what it is given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def get(self, workspace_id: UUID) -> Workspace:
        raise self._error


async def ask(tmp_path: Path, error: Exception) -> tuple[int, dict[str, Any]]:
    app = make_app(tmp_path, fake_services(workspaces=Failing(error)))
    async with client_for(app, token="owner") as owner:
        answer = await owner.get(URL)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidError("`x` is wrong", code="wrong", hint="try `y`"), 400),
        (ConflictError("`x` is taken"), 409),
        (UnavailableError("uv is missing"), 503),
        (StoreError("a row is missing"), 500),
        (StoreBusyError("the database could not be written just now", hint="try again"), 503),
        (DiskFullError("no room"), 507),
    ],
)
async def test_an_expected_error_says_what_and_how_out(tmp_path: Path, error: Any, status: int) -> None:
    code, body = await ask(tmp_path, error)
    assert code == body["status_code"] == status
    assert body["detail"] == error.message
    assert body["extra"] == {"code": error.code} | ({"hint": error.hint} if error.hint else {})


async def test_an_unexpected_error_tells_nothing_of_itself(tmp_path: Path) -> None:
    code, body = await ask(tmp_path, RuntimeError("password is hunter2"))
    assert code == body["status_code"] == 500
    assert "hunter2" not in str(body)


async def test_a_wrong_body_names_the_field(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path)) as client:
        answer = await client.post(f"{AUTH_PREFIX}/v1/auth/refresh", json={"refresh_token": 3})
        assert answer.status_code == 400
        assert answer.json()["detail"] == "`refresh_token`: Input should be a valid string"
        assert isinstance(answer.json()["extra"], dict)
        for content in (b"{", b"", b"[]", b"\xff"):
            answer = await client.post(f"{AUTH_PREFIX}/v1/auth/refresh", content=content)
            assert answer.status_code == 400, content
            assert isinstance(answer.json()["detail"], str)


async def test_a_wrong_parameter_names_itself(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        for query in ("limit=-1", "limit=x", "limit=100000", "status=queued", "script_id=7", "start=yesterday"):
            answer = await owner.get(f"{URL}/runs?{query}")
            assert answer.status_code == 400, query
            assert answer.json()["detail"].startswith(f"`{query.split('=')[0]}`: "), answer.text


async def test_unknown_paths_and_methods_have_the_same_shape(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        for method, path, status in (
            ("GET", "/nowhere", 404),
            ("DELETE", f"{API_PREFIX}/v1/ping", 405),
            ("GET", f"{API_PREFIX}/v1/workspaces/not-an-id", 404),
            ("GET", f"{URL}/runs/not-an-id", 404),
            ("GET", f"{URL}/runs/{uuid4()}", 404),
        ):
            answer = await owner.request(method, path)
            assert answer.status_code == status, path
            assert answer.json()["status_code"] == status
            assert isinstance(answer.json()["detail"], str)


NO_HOSTS = ("x:abc", "x:99999999", "[", "[::1", "x:-1")


@pytest.mark.parametrize("host", NO_HOSTS)
async def test_a_host_header_that_is_no_address_is_refused_wherever_it_is_sent(tmp_path: Path, host: str) -> None:
    app = make_app(tmp_path)
    async with client_for(app) as client:
        for method, path, status in (
            ("POST", f"{AUTH_PREFIX}/v1/workos/device-flow/code", 400),
            ("GET", f"{API_PREFIX}/v1/ping", 400),
            ("GET", "/login", 400),
            ("GET", "/activate", 400),
            ("GET", f"/w/{WORKSPACE.id}", 400),
            ("GET", "/login/github/callback?state=x&code=y", 400),
            ("GET", "/visit?app=x&to=/", 400),
            ("GET", "/nowhere", 404),
            ("GET", f"{API_PREFIX}/v1/nowhere", 404),
        ):
            answer = await client.request(method, path, headers={"Host": host})
            assert answer.status_code == status, (path, answer.text)
            assert not answer.headers["content-type"].startswith("text/plain"), path


@pytest.mark.parametrize("host", ["x", "x:", "x:8080", "[::1]:80", "a_b.example", ""])
async def test_a_host_header_may_be_any_address(tmp_path: Path, host: str) -> None:
    async with client_for(make_app(tmp_path)) as client:
        assert (await client.get(f"{API_PREFIX}/v1/ping", headers={"Host": host})).status_code == 200


async def test_a_slash_at_the_end_is_no_redirect(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path)) as client:
        assert (await client.get(f"{API_PREFIX}/v1/ping/")).status_code == 200


async def test_a_json_body_without_bounds_is_refused(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path)) as client:
        answer = await client.post(f"{AUTH_PREFIX}/v1/auth/refresh", content=b" " * (17 * 1024 * 1024))
        assert answer.status_code == answer.json()["status_code"] == 413
