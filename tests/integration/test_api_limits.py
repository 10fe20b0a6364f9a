"""What strangers may cost, tried on the real server with raw sockets; and the live stream of a workspace over it."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from runtime.api import pace, protocol
from tests.served_estate import ADMINISTRATOR, ServedEstate, serve_estate

PING = b"GET /api/api/v1/ping HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    with serve_estate() as estate:
        yield estate


@contextmanager
def connection(served: ServedEstate) -> Iterator[socket.socket]:
    address = urlsplit(served.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as opened:
        yield opened


def answer_of(opened: socket.socket) -> tuple[int, Any]:
    """Status and JSON body of what comes until the server closes."""
    received = b""
    while piece := opened.recv(65536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def is_closed(opened: socket.socket) -> bool:
    """Whether the server hangs up, within the time-out of the socket, without a word."""
    try:
        return opened.recv(1) == b""
    except ConnectionResetError:
        return True


def test_what_is_no_http_is_refused_in_the_common_shape(served: ServedEstate) -> None:
    with connection(served) as opened:
        opened.sendall(b"hello there\r\n\r\n")
        status, body = answer_of(opened)
    assert (status, body["status_code"], body["extra"]["code"]) == (400, 400, "http")


@pytest.mark.parametrize(
    "head",
    [
        PING + b"X: " + b"x" * 500_000 + b"\r\n\r\n",
        PING + b"".join(b"X%d: y\r\n" % number for number in range(50_000)) + b"\r\n",
        b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["one long header", "many headers", "a long address"],
)
def test_a_large_head_is_refused(served: ServedEstate, head: bytes) -> None:
    with connection(served) as opened:
        opened.sendall(head[:100_000])
        status, body = answer_of(opened)
    assert (status, body["extra"]["code"]) == (431, "head_too_large")


def test_a_head_of_some_size_passes(served: ServedEstate) -> None:
    with connection(served) as opened:
        opened.sendall(PING + b"X: " + b"x" * 30_000 + b"\r\nConnection: close\r\n\r\n")
        assert answer_of(opened)[0] == 200


@pytest.mark.parametrize("sent", [b"", b"\r\n", PING], ids=["nothing", "a line end", "half a head"])
def test_who_does_not_finish_a_head_is_hung_up_on(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with connection(served) as opened:
        opened.sendall(sent)
        assert is_closed(opened)


def test_a_head_that_trickles_is_hung_up_on(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not buy more time."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    with connection(served) as opened:
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 5:
                opened.sendall(b"G")
                opened.settimeout(0.05)
                try:
                    if opened.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert time.monotonic() - begun < 2


def test_a_connection_is_used_for_one_request_after_another(served: ServedEstate) -> None:
    with connection(served) as opened:
        opened.sendall((PING + b"\r\n") * 3 + PING + b"Connection: close\r\n\r\n")
        received = b""
        while piece := opened.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 200") == 4


def test_a_body_that_does_not_come_is_answered_and_hung_up_on(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    middleware = next(one for one in served.estate.app.middleware if isinstance(one, pace.BodyPace))
    monkeypatch.setattr(middleware, "_grace", 0.2)
    with connection(served) as opened:
        opened.sendall(
            b"POST /api/auth/v1/auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 500\r\n\r\n{"refresh_token"'
        )
        status, body = answer_of(opened)
    assert (status, body["extra"]["code"]) == (408, "too_slow")


def test_who_goes_on_sending_after_the_answer_is_hung_up_on(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.2)
    with connection(served) as opened:
        opened.sendall(b"POST /api/api/v1/organizations HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nx")
        status, body = answer_of(opened)  # ends, since the server closes
    assert (status, body["extra"]["code"]) == (401, "unauthenticated")


def test_a_body_too_large_is_refused_before_it_has_come(served: ServedEstate) -> None:
    with connection(served) as opened:
        opened.sendall(
            b"POST /api/auth/v1/auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100000000\r\n\r\n"
        )
        status, body = answer_of(opened)
    assert (status, body["extra"]["code"]) == (413, "too_large")


def test_there_are_only_so_many_connections(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 0)
    with connection(served) as opened:
        assert is_closed(opened)


def test_a_workspace_is_followed_over_http(served: ServedEstate) -> None:
    tenant = served.tenant
    base = f"{served.url}/api/api/v1/workspaces/{tenant.workspace_id}"
    headers = {"Authorization": f"Bearer {tenant.token}"}
    with (
        httpx.Client(headers=headers, timeout=10) as owner,
        owner.stream("GET", f"{base}/events") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        position = int(next_field(lines, "id"))
        started = owner.post(f"{base}/scripts/trigger", json={"job_refs": ["jobs.anna.app"]}).json()
        data = json.loads(next_field(lines, "data", after="event: run"))
        assert data["run"]["id"] == started["triggered"][0]["run_id"]
        owner.post(f"{base}/runs/{data['id']}/cancel")
    with (
        httpx.Client(headers={**headers, "Last-Event-ID": str(position)}, timeout=10) as again,
        again.stream("GET", f"{base}/events") as stream,
    ):
        data = json.loads(next_field(stream.iter_lines(), "data", after="event: run"))
        assert data["run"]["status"] == "cancelled"  # as it is now, and once


def next_field(lines: Iterator[str], name: str, after: str | None = None) -> str:
    """The value of the next field of this name, behind a line if one is given."""
    for line in lines:
        if after is not None:
            after = None if line == after else after
        elif found := re.fullmatch(rf"{name}: (.*)", line):
            return found[1]
    raise AssertionError(f"the stream ended without `{name}`")


def test_metrics_are_the_stores(served: ServedEstate) -> None:
    answer = httpx.get(f"{served.url}/metrics", headers={"Authorization": f"Bearer {ADMINISTRATOR}"})
    assert re.search(r'^dlt_runtime_runs_ended_total{status="failed",workspace="[0-9a-f-]+"} 1.0$', answer.text, re.M)
    assert "dlt_runtime_log_lines_total 2.0" in answer.text
    assert "process_resident_memory_bytes" in answer.text


def test_a_daemon_whose_database_works_is_ready(served: ServedEstate) -> None:
    assert httpx.get(f"{served.url}/health/ready").json() == {"status": "ok"}
