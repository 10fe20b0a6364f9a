"""How the public client's tokens are renewed, refused and ended (contract 3.3)."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runtime.wire.admin_client import AdminClient
from tests.official_client import OfficialClient
from tests.processes import DaemonProcess, wait_for

EMAIL = "ada@example.org"
SECONDS = 5
"""Shorter than the minute before expiry at which the client renews a token, so that it renews before every request."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    settings = {"AUTH__ACCESS_TOKEN_SECONDS": SECONDS, "RUNS__NETWORK": "host"}
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), settings).start()
    AdminClient(process.client.connection).add_user(EMAIL)
    yield process
    process.close()


@pytest.fixture
def client(daemon: DaemonProcess, virtualenv: Path, tmp_path: Path) -> OfficialClient:
    """A person who is logged in, in an empty workspace directory."""
    directory = tmp_path / "shop"
    (directory / ".dlt").mkdir(parents=True)
    (directory / ".dlt" / ".workspace").touch()
    made = OfficialClient(virtualenv, tmp_path, directory, daemon)
    made.log_in(EMAIL)
    return made


def outlive(token: str) -> str:
    """The token as a client would have it that believes it to be good for longer; its signature fits no more."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["exp"] += 100_000
    longer = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return ".".join((header, longer, signature))


def test_a_token_about_to_expire_is_exchanged_and_both_tokens_change(client: OfficialClient) -> None:
    before = client.tokens()
    client("job", "list").expect()
    after = client.tokens()
    assert before[0] != after[0]
    assert before[1] != after[1]
    client("job", "list").expect()
    assert client.tokens()[1] != after[1]


def test_a_refresh_token_works_once(client: OfficialClient, daemon: DaemonProcess) -> None:
    _, used = client.tokens()
    client("job", "list").expect()
    again = httpx.post(f"{daemon.url}/api/auth/v1/auth/refresh", json={"refresh_token": used})
    assert again.status_code in (400, 401)


def test_a_token_that_is_refused_is_exchanged_and_the_request_repeated(client: OfficialClient) -> None:
    access, refresh = client.tokens()
    client.write_tokens(outlive(access), refresh)
    client("job", "list").expect()
    assert client.tokens()[1] != refresh


def test_when_both_tokens_are_dead_the_client_forgets_them_and_a_new_login_begins(client: OfficialClient) -> None:
    access, _ = client.tokens()
    client.write_tokens(outlive(access), "no-refresh-token-of-this-daemon")
    refused = client("job", "list").expect(255)
    assert "--resume" in refused.text
    assert client.tokens() == ("", "")


def test_without_a_token_a_command_begins_a_login_instead(client: OfficialClient) -> None:
    client.token_file.unlink()
    begun = client("job", "list").expect(0)
    assert "--resume" in begun.text


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic YWRhOmFkYQ=="])
def test_the_listener_refuses_whoever_brings_no_token_of_its_own_making(
    daemon: DaemonProcess, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}
    for path in ("/v1/me", "/v1/organizations", "/v1/admin/status"):
        answer = httpx.get(f"{daemon.url}/api/api{path}", headers=headers)
        assert answer.status_code == 401, path
        assert isinstance(answer.json()["detail"], str)


def test_administration_is_refused_over_the_network_even_with_a_good_token(
    client: OfficialClient, daemon: DaemonProcess
) -> None:
    client("job", "list").expect()
    headers = {"Authorization": f"Bearer {client.tokens()[0]}"}
    assert httpx.get(f"{daemon.url}/api/api/v1/me", headers=headers).status_code == 200
    assert httpx.get(f"{daemon.url}/api/api/v1/admin/status", headers=headers).status_code == 403


def test_a_token_is_refused_once_it_has_expired(client: OfficialClient, daemon: DaemonProcess) -> None:
    headers = {"Authorization": f"Bearer {client.tokens()[0]}"}
    me = f"{daemon.url}/api/api/v1/me"
    assert httpx.get(me, headers=headers).status_code == 200
    wait_for(lambda: httpx.get(me, headers=headers).status_code == 401, "the token expires", SECONDS + 10)
