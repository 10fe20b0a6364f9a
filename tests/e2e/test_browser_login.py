"""A person logs in through the page, over TLS: the public client, ours, and a real browser where there is one."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from runtime.wire.admin_client import AdminClient
from runtime.wire.certificates import trusting_file
from tests.chromium import chromium, needs_chromium
from tests.fake_github import CLIENT_ID, CLIENT_SECRET, FakeGitHub, fake_github
from tests.official_client import OfficialClient
from tests.our_cli import OurCli, connected_workspace
from tests.page_browser import PageBrowser
from tests.processes import DaemonEndedError, DaemonProcess, Ended
from tests.terminal import Terminal

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
HANDS_A_SOCKET_OVER = """
import os, socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
listener.set_inheritable(True)  # it may be 3 already
os.dup2(listener.fileno(), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[1], sys.argv[1:])
"""
"""As systemd starts a service that has a socket unit, for port 80 or 443 in earnest."""


@pytest.fixture(scope="module")
def github() -> Iterator[FakeGitHub]:
    """Under a name that makes it another site than the daemon to a browser."""
    with fake_github("localhost") as running:
        yield running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, github: FakeGitHub) -> Iterator[DaemonProcess]:
    settings = {
        "TLS__SELF_SIGNED": "always",
        "RUNS__NETWORK": "host",
        "AUTH__GITHUB__CLIENT_ID": CLIENT_ID,
        "AUTH__GITHUB__CLIENT_SECRET": CLIENT_SECRET,
        "AUTH__GITHUB__ALLOWED_USERS": '["ada"]',
        "AUTH__GITHUB__URL": github.url,
        "AUTH__GITHUB__API_URL": f"{github.url}/api",
    }
    as_systemd = (sys.executable, "-c", HANDS_A_SOCKET_OVER)
    process = DaemonProcess(tmp_path_factory.mktemp("daemon"), settings, prefix=as_systemd).start()
    admin = AdminClient(process.client.connection)
    admin.add_user(EMAIL)
    admin.set_password(EMAIL, PASSWORD)
    yield process
    process.close()


@pytest.fixture
def certificate(daemon: DaemonProcess) -> Path:
    return daemon.state / "tls" / "self-signed.crt"


@pytest.fixture
def browser(certificate: Path) -> Iterator[PageBrowser]:
    with PageBrowser(trusting_file(certificate)) as opened:
        yield opened


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty workspace."""
    made = tmp_path / "shop"
    (made / ".dlt").mkdir(parents=True)
    (made / ".dlt" / ".workspace").touch()
    return made


@pytest.fixture
def official(daemon: DaemonProcess, virtualenv: Path, tmp_path: Path, directory: Path) -> OfficialClient:
    (tmp_path / ".dlt").mkdir()
    return OfficialClient(virtualenv, tmp_path, directory, daemon)


def page_and_device_code(begun: Ended) -> tuple[str, str]:
    """Where a login without a terminal sends its person, and how it goes on."""
    (page,) = set(re.findall(r"https://\S+/activate\S*", begun.text))
    (device_code,) = re.findall(r"--resume (\w+)", begun.text)
    return page, device_code


def user_code(begun: Ended) -> str:
    found: list[str] = re.findall(r"\b[A-Z]{4}-[0-9]{4}\b", begun.text)
    return found[0]


def test_the_public_client_logs_in_by_the_page_over_https(official: OfficialClient, browser: PageBrowser) -> None:
    begun = official("login").expect()
    page, device_code = page_and_device_code(begun)
    browser.open(page).press("Sign in", email=EMAIL, password=PASSWORD)
    if "user_code" not in page:
        browser.press("Continue", user_code=user_code(begun).lower())
    assert user_code(begun) in browser.text
    browser.press("Approve")
    assert "Approved" in browser.text
    done = official("login", "--resume", device_code).expect()
    assert EMAIL in done.text
    official("job", "list").expect()

    # The client drops the port of what it prints: the link leads to what a socket unit has opened at the port it means.
    link = f"https://127.0.0.1/w/{connected_workspace(official.directory)}"
    assert link in official("info").text
    (ready,) = [event for event in official.daemon.events() if event.get("action") == "daemon.ready"]
    (inherited,) = ready["inherited"]
    browser.open(link.replace("127.0.0.1", inherited))
    assert browser.status == 200
    assert f"Signed in as {EMAIL}" in browser.text
    assert browser.open(f"{official.daemon.url}/w/{uuid4()}").status == 404


def test_a_login_that_its_person_denies_fails_in_the_public_client(
    official: OfficialClient, browser: PageBrowser
) -> None:
    begun = official("login").expect()
    _, device_code = page_and_device_code(begun)
    browser.open(f"{official.daemon.url}/activate?user_code={user_code(begun)}")
    browser.press("Sign in", email=EMAIL, password=PASSWORD).press("Deny")
    assert "Denied" in browser.text
    refused = official("login", "--resume", device_code)
    assert refused.status != 0
    assert "denied" in refused.text


def test_our_command_line_logs_in_by_the_page_where_it_knows_the_certificate(
    daemon: DaemonProcess, certificate: Path, tmp_path: Path, directory: Path, browser: PageBrowser
) -> None:
    ours = OurCli(daemon.url, tmp_path, directory)
    stranger = ours("login").expect(1)
    assert AdminClient(daemon.client.connection).status().tls_fingerprint
    assert str(AdminClient(daemon.client.connection).status().tls_fingerprint) in stranger.text
    assert "auth fingerprint" in stranger.text

    begun = ours("login", "--ca-file", str(certificate)).expect()
    page, device_code = page_and_device_code(begun)
    browser.open(page).press("Sign in", email=EMAIL, password=PASSWORD).press("Approve")
    done = ours("login", "--resume", device_code, "--ca-file", str(certificate)).expect()
    assert f"logged in to {daemon.url} as {EMAIL}" in done.text
    ours("--ca-file", str(certificate), "info").expect()
    assert "not trusted" in ours("info").expect(1).text


def test_a_person_at_a_terminal_is_asked_about_the_certificate_once(
    daemon: DaemonProcess, tmp_path: Path, directory: Path, browser: PageBrowser
) -> None:
    ours = OurCli(daemon.url, tmp_path, directory)
    with Terminal(ours.argv("login"), directory, ours.environment) as terminal:
        shown = terminal.read_until("Is it the right one? [y/N]: ")
        assert str(AdminClient(daemon.client.connection).status().tls_fingerprint) in shown
        terminal.type("y\n")
        shown = terminal.read_until("auth approve")
        (page,) = set(re.findall(r"https://\S+/activate\S+", shown))
        browser.open(page).press("Sign in", email=EMAIL, password=PASSWORD).press("Approve")
        terminal.read_until(f"as {EMAIL}")
        assert terminal.wait() == 0
    assert EMAIL in ours("info").expect().text  # without being asked


def test_the_fingerprint_is_printed_on_the_daemons_machine(daemon: DaemonProcess, tmp_path: Path) -> None:
    printed = OurCli(daemon.socket_url, tmp_path, tmp_path)("auth", "fingerprint").expect()
    (ready,) = [event for event in daemon.events() if event.get("action") == "daemon.ready"]
    assert printed.out.strip() == ready["certificate"]


def test_passwords_are_nowhere_in_the_log(daemon: DaemonProcess, browser: PageBrowser) -> None:
    browser.open(f"{daemon.url}/login").press("Sign in", email=EMAIL, password="a wrong password")
    assert browser.status == 403
    log = daemon.log_file.read_text()
    for secret in (PASSWORD, "a wrong password", CLIENT_SECRET):
        assert secret not in log


def test_beyond_the_loopback_nothing_is_served_without_tls(tmp_path: Path) -> None:
    refused = DaemonProcess(tmp_path, {"LISTEN": "0.0.0.0:0", "TLS__SELF_SIGNED": "never", "RUNS__NETWORK": "host"})
    with pytest.raises(DaemonEndedError) as ended:
        refused.start()
    assert ended.value.status == 1
    assert "no TLS" in str(ended.value)
    assert "insecure = true" in str(ended.value)


def test_beyond_the_loopback_a_certificate_is_made_and_kept(tmp_path: Path) -> None:
    process = DaemonProcess(tmp_path, {"LISTEN": "0.0.0.0:0", "RUNS__NETWORK": "host"})
    try:
        certificate = tmp_path / "state" / "tls" / "self-signed.crt"
        seen = []
        for _ in range(2):
            port = process.start().listen.rpartition(":")[2]
            url = f"https://127.0.0.1:{port}/api/api/v1/ping"
            assert httpx.get(url, verify=trusting_file(certificate)).status_code == 200
            seen.append(certificate.read_bytes())
            process.stop()
        assert seen[0] == seen[1]
    finally:
        process.close()


@needs_chromium
def test_a_real_browser_shows_the_page_as_it_is_meant_and_approves(daemon: DaemonProcess, tmp_path: Path) -> None:
    flow = daemon.client.start_device_login()
    with chromium(tmp_path) as tab:
        tab.open(f"{daemon.url}/activate?user_code={flow.user_code}")
        roles = tab.roles()
        for role, name in (
            ("textbox", "Email"),
            ("textbox", "Password"),
            ("button", "Sign in"),
            ("heading", "Sign in"),
        ):
            assert (role, name) in roles
        # The policy lets the style sheet through: the button has its colour.
        assert tab.evaluate("getComputedStyle(document.querySelector('button.first')).backgroundColor") in (
            "rgb(11, 87, 208)",
            "rgb(168, 199, 250)",
        )
        tab.type("#email", EMAIL)
        tab.type("#password", PASSWORD)
        tab.click("button.first")
        assert "Let this login in?" in tab.text
        cookies = tab.cookies()
        assert set(cookies) == {f"__Host-dlt-runtime-{name}" for name in ("form", "session", "browser")}
        for cookie in cookies.values():
            assert cookie["httpOnly"]
            assert cookie["secure"]
            assert cookie["sameSite"] == "Strict"
        assert daemon.client.poll_device_login(flow.device_code) is None  # looking has decided nothing
        tab.click("button[value=approve]")
        assert "Approved" in tab.text
        assert tab.complaints == []
    session = daemon.client.poll_device_login(flow.device_code)
    assert session is not None
    assert session.email == EMAIL


@needs_chromium
def test_a_real_browser_comes_back_from_github_signed_in_and_from_a_link_elsewhere_too(
    daemon: DaemonProcess, github: FakeGitHub, tmp_path: Path
) -> None:
    """Both ways lead through another site, from which strict cookies do not come along."""
    flow = daemon.client.start_device_login()
    page = f"{daemon.url}/activate?user_code={flow.user_code}"
    with chromium(tmp_path) as tab:
        tab.open(page)
        tab.click("form[action='/login/github'] button")
        tab.wait_for_text("Let this login in?")
        assert EMAIL in tab.text
        assert "__Host-dlt-runtime-github" not in tab.cookies()
        assert tab.complaints == []
        tab.open(f"{github.url}/link?to={page}")
        tab.click("a")
        tab.wait_for_text("Let this login in?")
