"""The client that command line and terminal interface share: errors, tokens, uploads, following a run."""

import base64
import io
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
import pytest

import runtime.wire.following as following
from runtime.errors import InvalidError, NotFoundError, RefusedError, UnauthenticatedError
from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import parse_endpoint
from runtime.wire.failures import ApiError, DaemonFaultError, DaemonUnreachableError, InConflictError
from runtime.wire.following import DaemonAway, LineLogged, RunFollower, StatusChanged, parse_stream_line
from runtime.wire.tokens import TokenPair
from tests.scripted_daemon import WORKSPACE_ID, ScriptedDaemon, job, package, refusal, run_of, stream, uuid

RUN_ID = UUID(uuid(1001))
RUN = f"GET /runs/{RUN_ID}"
STREAM = f"{RUN}/logs/stream"
REFRESH = "POST /api/auth/v1/auth/refresh"
LOAD = job()


class Keeper:
    """Keeps tokens in memory and counts."""

    def __init__(self, pair: TokenPair | None) -> None:
        self.pair = pair
        self.saved: list[TokenPair] = []

    def load(self) -> TokenPair | None:
        return self.pair

    def save(self, pair: TokenPair) -> None:
        self.pair = pair
        self.saved.append(pair)

    def clear(self) -> None:
        self.pair = None

    @contextmanager
    def lock(self) -> Iterator[None]:
        yield


def token(expires: float | None) -> str:
    claims = {} if expires is None else {"exp": expires}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.sig"


FRESH, STALE = token(4_000_000_000), token(1000)


@pytest.fixture
def daemon() -> ScriptedDaemon:
    return ScriptedDaemon()


def client_of(daemon: ScriptedDaemon, pair: TokenPair | None = None) -> RuntimeClient:
    keeper = Keeper(pair) if pair else None
    endpoint = parse_endpoint("http://host:1" if pair else "unix:///x.sock")
    return RuntimeClient(endpoint, keeper=keeper, transport=daemon.transport)


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, InvalidError),
        (401, UnauthenticatedError),
        (403, RefusedError),
        (404, NotFoundError),
        (409, InConflictError),
        (413, InvalidError),
        (422, InvalidError),
        (500, DaemonFaultError),
        (503, DaemonFaultError),
        (418, ApiError),
    ],
)
def test_a_refusal_is_an_error_of_its_family_with_the_daemons_words(
    daemon: ScriptedDaemon, status: int, family: type[Exception]
) -> None:
    daemon.does(RUN, lambda _: refusal(status, "no", code="because", hint="try"))
    with client_of(daemon) as client, pytest.raises(family) as caught:
        client.run(WORKSPACE_ID, RUN_ID)
    error = caught.value
    assert isinstance(error, ApiError)
    assert (error.message, error.code, error.hint, error.status) == ("no", "because", "try", status)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"detail": ["x"]}', b'{"extra": null}', b'{"detail": "", "extra": [1]}']
)
def test_a_refusal_without_an_explanation_is_one_all_the_same(daemon: ScriptedDaemon, body: bytes) -> None:
    daemon.does(RUN, lambda _: httpx.Response(502, content=body))
    with client_of(daemon) as client, pytest.raises(DaemonFaultError, match="the daemon answered with status 502"):
        client.run(WORKSPACE_ID, RUN_ID)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"id": 1}'])
def test_an_answer_that_is_none_is_not_taken_for_one(daemon: ScriptedDaemon, body: bytes) -> None:
    daemon.does(RUN, lambda _: httpx.Response(200, content=body))
    with client_of(daemon) as client, pytest.raises(DaemonFaultError, match="is not understood"):
        client.run(WORKSPACE_ID, RUN_ID)


def test_a_redirect_is_an_error_and_not_followed(daemon: ScriptedDaemon) -> None:
    daemon.does(RUN, lambda _: httpx.Response(307, headers={"Location": "http://elsewhere/"}))
    with client_of(daemon) as client, pytest.raises(ApiError, match="status 307"):
        client.run(WORKSPACE_ID, RUN_ID)


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("closed")]
)
def test_a_broken_connection_is_a_daemon_that_cannot_be_reached(
    daemon: ScriptedDaemon, error: httpx.TransportError
) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise error

    daemon.does(RUN, broken)
    with client_of(daemon) as client, pytest.raises(DaemonUnreachableError):
        client.run(WORKSPACE_ID, RUN_ID)


@pytest.mark.parametrize(
    ("address", "hinted"), [("http://h:1", True), ("https://h:1", False), ("unix:///run/api.sock", False)]
)
def test_whoever_does_not_encrypt_and_is_cut_off_is_asked_whether_that_is_why(
    daemon: ScriptedDaemon, address: str, hinted: bool
) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")

    daemon.does(RUN, broken)
    with (
        RuntimeClient(parse_endpoint(address), transport=daemon.transport, tls=ssl.create_default_context()) as client,
        pytest.raises(DaemonUnreachableError) as caught,
    ):
        client.run(WORKSPACE_ID, RUN_ID)
    assert ("https" in (caught.value.hint or "")) is hinted


@pytest.mark.parametrize("address", ["http://[v1.x]", "http://\u3002"])
def test_an_address_that_names_no_host_is_refused_where_it_is_used(daemon: ScriptedDaemon, address: str) -> None:
    with (
        RuntimeClient(parse_endpoint(address), transport=daemon.transport) as client,
        pytest.raises(InvalidError) as caught,
    ):
        client.run(WORKSPACE_ID, RUN_ID)
    assert caught.value.code == "url"


def test_a_header_that_cannot_be_written_is_not_repeated(daemon: ScriptedDaemon) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError("Illegal header value b'Bearer s3cret'")

    daemon.does(RUN, broken)
    with client_of(daemon) as client, pytest.raises(DaemonUnreachableError) as caught:
        client.run(WORKSPACE_ID, RUN_ID)
    assert "s3cret" not in caught.value.message


def test_parts_of_a_path_are_escaped(daemon: ScriptedDaemon) -> None:
    with client_of(daemon) as client, pytest.raises(NotFoundError):
        client.job(WORKSPACE_ID, "../../admin?x")
    assert daemon.asked[0].url.raw_path.endswith(b"/scripts/..%2F..%2Fadmin%3Fx")


# --- tokens


def test_a_good_token_is_sent_as_it_is(daemon: ScriptedDaemon) -> None:
    daemon.answers(RUN, run_of(LOAD))
    with client_of(daemon, TokenPair(FRESH, "r1")) as client:
        client.run(WORKSPACE_ID, RUN_ID)
    assert daemon.asked[0].headers["Authorization"] == f"Bearer {FRESH}"
    assert daemon.requests(REFRESH) == []


def test_a_token_about_to_end_is_renewed_before_it_is_used(daemon: ScriptedDaemon) -> None:
    daemon.answers(RUN, run_of(LOAD))
    daemon.answers(REFRESH, {"jwt": FRESH, "refresh_token": "r2"})
    with client_of(daemon, TokenPair(STALE, "r1")) as client:
        client.run(WORKSPACE_ID, RUN_ID)
    assert daemon.body(REFRESH) == {"refresh_token": "r1"}
    assert daemon.requests(RUN)[0].headers["Authorization"] == f"Bearer {FRESH}"


def test_a_refused_token_is_renewed_once_and_the_request_sent_again(daemon: ScriptedDaemon) -> None:
    daemon.does(RUN, lambda _: refusal(401, "expired"), lambda _: httpx.Response(200, json=run_of(LOAD)))
    daemon.answers(REFRESH, {"jwt": FRESH, "refresh_token": "r2"})
    keeper = Keeper(TokenPair(FRESH, "r1"))
    with RuntimeClient(parse_endpoint("http://host:1"), keeper=keeper, transport=daemon.transport) as client:
        assert client.run(WORKSPACE_ID, RUN_ID).number == 1
    assert keeper.saved == [TokenPair(FRESH, "r2")]
    assert len(daemon.requests(RUN)) == 2


def test_a_request_refused_twice_is_an_error(daemon: ScriptedDaemon) -> None:
    daemon.does(RUN, lambda _: refusal(401, "who are you"))
    daemon.answers(REFRESH, {"jwt": FRESH, "refresh_token": "r2"})
    with client_of(daemon, TokenPair(FRESH, "r1")) as client, pytest.raises(UnauthenticatedError, match="who are you"):
        client.run(WORKSPACE_ID, RUN_ID)
    assert len(daemon.requests(RUN)) == 2


def test_tokens_that_are_dead_are_forgotten(daemon: ScriptedDaemon) -> None:
    daemon.does(RUN, lambda _: refusal(401, "expired"))
    daemon.does(REFRESH, lambda _: refusal(401, "spent"))
    keeper = Keeper(TokenPair(FRESH, "r1"))
    with (
        RuntimeClient(parse_endpoint("http://host:1"), keeper=keeper, transport=daemon.transport) as client,
        pytest.raises(UnauthenticatedError),
    ):
        client.run(WORKSPACE_ID, RUN_ID)
    assert keeper.pair is None


def test_tokens_survive_a_daemon_that_cannot_renew_them_at_present(daemon: ScriptedDaemon) -> None:
    daemon.does(REFRESH, lambda _: refusal(503, "busy"))
    keeper = Keeper(TokenPair(STALE, "r1"))
    with (
        RuntimeClient(parse_endpoint("http://host:1"), keeper=keeper, transport=daemon.transport) as client,
        pytest.raises(DaemonFaultError),
    ):
        client.run(WORKSPACE_ID, RUN_ID)
    assert keeper.pair == TokenPair(STALE, "r1")


def test_tokens_that_another_command_renewed_meanwhile_are_used(daemon: ScriptedDaemon) -> None:
    daemon.answers(RUN, run_of(LOAD))

    class Renewed(Keeper):
        @contextmanager
        def lock(self) -> Iterator[None]:
            self.pair = TokenPair(FRESH, "r2")
            yield

    keeper = Renewed(TokenPair(STALE, "r1"))
    with RuntimeClient(parse_endpoint("http://host:1"), keeper=keeper, transport=daemon.transport) as client:
        client.run(WORKSPACE_ID, RUN_ID)
    assert daemon.requests(REFRESH) == []
    assert daemon.asked[0].headers["Authorization"] == f"Bearer {FRESH}"


@pytest.mark.parametrize("access", ["", "opaque", "a.b.c", "e30.W10.x"])
def test_a_token_that_cannot_be_read_is_one_to_renew(daemon: ScriptedDaemon, access: str) -> None:
    daemon.answers(RUN, run_of(LOAD))
    daemon.answers(REFRESH, {"jwt": token(None), "refresh_token": "r2"})
    with client_of(daemon, TokenPair(access, "r1")) as client:
        client.run(WORKSPACE_ID, RUN_ID)
        client.run(WORKSPACE_ID, RUN_ID)
    assert len(daemon.requests(REFRESH)) == 1


def test_uploads_have_the_parts_of_the_contract_and_report_what_has_gone(daemon: ScriptedDaemon) -> None:
    daemon.answers("POST /deployments", package("deployment", 3), status=201)
    daemon.answers("POST /configurations", package("configuration", 4), status=201)
    gone: list[int] = []
    with client_of(daemon) as client:
        assert client.upload_deployment(WORKSPACE_ID, io.BytesIO(b"x" * 200_000), b"{}", gone.append).version == 3
        assert client.upload_configuration(WORKSPACE_ID, io.BytesIO(b"tar"), lambda _: None).version == 4
    code, configuration = daemon.asked
    assert b'name="files"; filename="workspace.tar.gz"\r\nContent-Type: application/x-tar' in code.content
    assert b'name="requirements"; filename="requirements.json"\r\nContent-Type: application/json' in code.content
    assert b'name="file"; filename="configurations.tar.gz"\r\nContent-Type: application/x-tar' in configuration.content
    assert gone == sorted(gone)
    assert gone[-1] == 200_000
    assert int(code.headers["Content-Length"]) == len(code.content)


# --- following a run


class Clock:
    """A clock that pauses move."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds


def follow(daemon: ScriptedDaemon) -> list[str]:
    """The events of a run as short words."""
    clock = Clock()
    words: list[str] = []
    with client_of(daemon) as client:
        for event in RunFollower(client, WORKSPACE_ID, RUN_ID, now=clock.now, pause=clock.pause).events():
            match event:
                case StatusChanged(run):
                    words.append(run.status)
                case LineLogged(line):
                    words.append(f"{line.line_num}:{line.content}")
                case DaemonAway():
                    words.append("away")
    return words


def statuses(daemon: ScriptedDaemon, *values: str) -> None:
    daemon.answers(RUN, *(run_of(LOAD, status=value) for value in values))


def test_a_run_is_followed_to_its_end(daemon: ScriptedDaemon) -> None:
    statuses(daemon, "running", "completed")
    daemon.does(STREAM, stream((0, "a"), (1, "b")))
    assert follow(daemon) == ["running", "0:a", "1:b", "completed"]


def test_a_broken_stream_is_opened_again_and_lines_come_once(daemon: ScriptedDaemon) -> None:
    statuses(daemon, "running", "running", "completed")
    daemon.does(STREAM, stream((0, "a"), (1, "b"), breaks=True), stream((0, "a"), (1, "b"), (2, "c")))
    assert follow(daemon) == ["running", "0:a", "1:b", "2:c", "completed"]
    assert daemon.requests(STREAM)[1].headers["Last-Event-ID"] == "1"


def test_a_stream_that_ends_before_the_run_does_is_opened_again(daemon: ScriptedDaemon) -> None:
    statuses(daemon, "running", "running", "failed")
    daemon.does(STREAM, stream((0, "a")), stream((0, "a"), (1, "b")))
    assert follow(daemon) == ["running", "0:a", "1:b", "failed"]


def test_a_daemon_that_restarts_is_waited_for(daemon: ScriptedDaemon) -> None:
    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    def answer(status: str) -> httpx.Response:
        return httpx.Response(200, json=run_of(LOAD, status=status))

    daemon.does(
        RUN, lambda _: answer("running"), down, down, lambda _: answer("running"), lambda _: answer("completed")
    )
    daemon.does(STREAM, stream((0, "a"), breaks=True), stream((0, "a"), (1, "b")))
    assert follow(daemon) == ["running", "0:a", "away", "1:b", "completed"]


def test_a_daemon_that_stays_away_is_given_up(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE_SECONDS", 2.0)

    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    daemon.does(RUN, down)
    with pytest.raises(DaemonUnreachableError):
        follow(daemon)


def test_a_run_that_may_not_be_followed_is_an_error(daemon: ScriptedDaemon) -> None:
    statuses(daemon, "running")
    daemon.does(STREAM, lambda _: refusal(403, "you may not"))
    with pytest.raises(RefusedError, match="you may not"):
        follow(daemon)


@pytest.mark.parametrize(
    "text", ["", ": comment", "id: 4", "event: ping", "data:{}", "data: nonsense", "data: []", 'data: {"line_num": 1}']
)
def test_what_is_no_line_in_a_stream_is_passed_over(text: str) -> None:
    """(contract 3.10)"""
    assert parse_stream_line(text) is None


def test_an_error_within_a_stream_is_one() -> None:
    """(contract 3.10)"""
    with pytest.raises(DaemonFaultError):
        parse_stream_line("event: error")
