"""Whose certificate the command line trusts: the machine's list, a file, or what a person has said yes to once."""

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cli import session as session_module
from cli.session import GlobalOptions, Session
from cli.trust import context_for, forget, meet, remembered
from runtime.errors import UnavailableError
from runtime.tls.self_signed import SelfSigned
from runtime.tls.serving import load_context
from runtime.wire.certificates import UntrustedCertificateError, fingerprint
from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import parse_endpoint
from runtime.wire.failures import DaemonUnreachableError, NotLoggedInError

NOW = datetime.now(UTC)


class Handler(BaseHTTPRequestHandler):
    """Notes whether anything secret has come."""

    seen: list[str | None] = []  # noqa: RUF012 - one server at a time

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization"))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Handshakes that a client breaks off are what is tested."""


@contextmanager
def serving(own: SelfSigned, port: int = 0) -> Iterator[int]:
    own.ensure(NOW)
    with QuietServer(("127.0.0.1", port), Handler) as server:
        server.socket = load_context(own.cert, own.key).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("DLT_RUNTIME_CA_FILE", "DLT_RUNTIME_TOKEN", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    Handler.seen.clear()
    return tmp_path


@pytest.fixture
def own(tmp_path: Path) -> SelfSigned:
    return SelfSigned(tmp_path / "daemon")


@pytest.fixture
def port(own: SelfSigned) -> Iterator[int]:
    with serving(own) as number:
        yield number


class Asked(Session):
    """A session with a person who gives one answer, and remembers the question."""

    def __init__(self, url: str, answer: bool | None, ca_file: Path | None = None) -> None:
        super().__init__(GlobalOptions(url=url, ca_file=ca_file))
        self.answer = answer
        self.asked = 0

    @property
    def can_ask(self) -> bool:
        return self.answer is not None

    def confirm(self, question: str) -> bool:
        self.asked += 1
        return bool(self.answer)


def url_of(port: int) -> str:
    return f"https://127.0.0.1:{port}"


def test_a_daemon_that_vouches_for_itself_is_trusted_when_a_person_says_so(
    own: SelfSigned, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Asked(url_of(port), True)
    meet(session)
    assert fingerprint(own.cert.read_text()) in capsys.readouterr().err
    kept = remembered(session.endpoint)
    assert kept.read_text().strip() == own.cert.read_text().strip()
    assert kept.stat().st_mode & 0o777 == 0o600
    client = session_module.connect(session.endpoint)
    with pytest.raises(NotLoggedInError):
        client.me()
    client.close()
    again = Asked(url_of(port), True)
    meet(again)
    assert (session.asked, again.asked) == (1, 0)


@pytest.mark.parametrize("answer", [False, None])
def test_without_a_yes_nothing_is_trusted_and_nothing_is_sent(port: int, answer: bool | None) -> None:
    session = Asked(url_of(port), answer)
    with pytest.raises(UntrustedCertificateError) as refused:
        meet(session)
    assert not remembered(session.endpoint).exists()
    if answer is None:
        assert refused.value.hint
        assert "auth fingerprint" in refused.value.hint
    client = session_module.connect(session.endpoint)
    with pytest.raises(UntrustedCertificateError, match="not trusted"):
        client.start_device_login()
    client.close()
    assert Handler.seen == []


def test_a_certificate_renewed_with_the_same_key_goes_unnoticed(own: SelfSigned) -> None:
    with serving(own) as port:
        meet(Asked(url_of(port), True))
    before = own.cert.read_text()
    renewed = SelfSigned(own.cert.parent, ("another-name.example",))
    renewed.ensure(NOW)
    assert own.cert.read_text() != before
    with serving(renewed, port):
        endpoint = parse_endpoint(url_of(port))
        client = session_module.connect(endpoint)
        with pytest.raises(NotLoggedInError):
            client.me()
        client.close()
    assert len(Handler.seen) == 1


def test_another_key_is_an_error_and_nobody_is_asked(own: SelfSigned, tmp_path: Path) -> None:
    with serving(own) as port:
        meet(Asked(url_of(port), True))
    with serving(SelfSigned(tmp_path / "impostor"), port):
        again = Asked(url_of(port), True)
        meet(again)
        assert again.asked == 0
        with pytest.raises(UntrustedCertificateError, match="does not have the key"):
            session_module.connect(again.endpoint)
        forget(again.endpoint)
        meet(again)
        assert again.asked == 1
    assert Handler.seen == []


def test_a_file_is_trusted_in_place_of_everything_else(own: SelfSigned, port: int, tmp_path: Path) -> None:
    right = Asked(url_of(port), False, own.cert)
    meet(right)
    client = session_module.connect(right.endpoint)
    with pytest.raises(NotLoggedInError):
        client.me()
    client.close()
    other = SelfSigned(tmp_path / "other")
    other.ensure(NOW)
    wrong = session_module.connect(parse_endpoint(url_of(port), ca_file=other.cert))
    with pytest.raises(UntrustedCertificateError):
        wrong.me()
    wrong.close()
    assert len(Handler.seen) == 1


def test_the_environment_can_name_the_file(own: SelfSigned, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_RUNTIME_CA_FILE", str(own.cert))
    assert Session(GlobalOptions(url=url_of(port))).endpoint.ca_file == own.cert


@pytest.mark.parametrize("content", [None, "", "nonsense"])
def test_a_file_without_a_certificate_is_an_error(port: int, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UntrustedCertificateError, match="no certificate"):
        context_for(parse_endpoint(url_of(port), ca_file=path))


def test_where_nobody_answers_that_is_what_is_said(own: SelfSigned) -> None:
    with serving(own) as port:
        pass
    with pytest.raises(UnavailableError, match="no daemon answers"):
        meet(Asked(url_of(port), True))


def test_who_greets_a_daemon_without_tls_with_it_is_asked_whether_that_is_why() -> None:
    with QuietServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = url_of(server.server_address[1])
        try:
            with pytest.raises(DaemonUnreachableError) as at_login:
                meet(Asked(url, True))
            with closing(RuntimeClient(parse_endpoint(url))) as client, pytest.raises(DaemonUnreachableError) as later:
                client.me()
        finally:
            server.shutdown()
            thread.join()
    assert at_login.value.hint == later.value.hint == "does it speak http? then its address begins with `http://`"


def test_old_protocols_are_not_spoken(own: SelfSigned, port: int) -> None:
    context = context_for(parse_endpoint(url_of(port), ca_file=own.cert))

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
