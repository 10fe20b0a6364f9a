"""The real server with TLS on its TCP socket: its certificate changes while it serves, its Unix socket stays plain."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog

from runtime.api.app import create_app
from runtime.dispatch.changes import Changes
from runtime.errors import InvalidError
from runtime.server import Server, server_config
from runtime.settings import Settings
from runtime.tls.self_signed import LIFETIME, SelfSigned
from runtime.tls.serving import TlsListener, load_context
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from runtime.wire.certificates import fingerprint, presented, trusting_file
from tests.api_client import FakeAccounts, fake_services

PING = f"{API_PREFIX}/v1/ping"


@dataclass(frozen=True)
class Running:
    """A server under test; `folder` holds what it serves with."""

    port: int
    socket: Path
    cert: Path
    key: Path
    accounts: "NotingAccounts"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def fingerprint(self) -> str:
        return fingerprint(await asyncio.to_thread(presented, "127.0.0.1", self.port))

    async def comes_to_present(self, cert: Path) -> None:
        wanted = fingerprint(cert.read_text())
        await until(lambda: self.presents(wanted))

    async def presents(self, wanted: str) -> bool:
        return await self.fingerprint() == wanted


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that has to come true."""
    async with asyncio.timeout(10):
        while not await look():  # noqa: ASYNC110 - what is waited for is on the other side of a socket
            await asyncio.sleep(0.02)


class NotingAccounts(FakeAccounts):
    """Remembers where logins were asked for."""

    def __init__(self) -> None:
        self.addresses: list[str | None] = []

    async def start_login(self, address: str | None = None, client: str | None = None):  # type: ignore[no-untyped-def]
        self.addresses.append(address)
        return await super().start_login(address, client)


@asynccontextmanager
async def serving(folder: Path, tls: TlsListener | None, **changes: object) -> AsyncIterator[Running]:
    settings = Settings(state_dir=folder, socket=folder / "api.sock", **changes)  # type: ignore[arg-type]
    accounts = NotingAccounts()
    server = Server(server_config(create_app(fake_services(accounts=accounts), settings), settings), Changes(), tls)
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        unix.bind(str(settings.socket))
        unix.listen()
        tasks = [asyncio.create_task(server.serve(sockets=[unix, tcp]))]
        if tls is not None:
            tasks.append(asyncio.create_task(tls.keep_current()))
        # Clients need not wait: both sockets listen, and what they are asked is answered once the server has started.
        yield Running(tcp.getsockname()[1], settings.socket, folder / "a.crt", folder / "a.key", accounts)
        server.stop()
        await tasks[0]
        for task in tasks[1:]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def make(folder: Path, name: str) -> SelfSigned:
    own = SelfSigned(folder / name)
    own.ensure(datetime.now(UTC))
    return own


def put(own: SelfSigned, folder: Path) -> None:
    """As a renewal does: one file after the other."""
    for source, name in ((own.cert, "a.crt"), (own.key, "a.key")):
        unfinished = folder / f".{name}"
        unfinished.write_bytes(source.read_bytes())
        unfinished.chmod(0o600)
        unfinished.rename(folder / name)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    put(make(tmp_path, "first"), tmp_path)
    async with serving(tmp_path, TlsListener(tmp_path / "a.crt", tmp_path / "a.key")) as running:
        yield running


async def test_the_network_is_served_with_tls_and_the_unix_socket_without(server: Running) -> None:
    async with httpx.AsyncClient(verify=trusting_file(server.cert)) as remote:
        assert (await remote.get(server.url + PING)).status_code == 200
        started = (await remote.post(f"{server.url}{AUTH_PREFIX}/v1/workos/device-flow/code")).json()
        assert started["verification_uri"] == f"{server.url}/activate"
    plain = httpx.AsyncHTTPTransport(uds=str(server.socket))
    async with httpx.AsyncClient(transport=plain, base_url="http://localhost") as local:
        # The peer is known, to be nobody whom the fake lets in; 401 would be that there is no peer.
        assert (await local.get(f"{API_PREFIX}/v1/me")).status_code == 403
    async with httpx.AsyncClient() as remote:
        with pytest.raises(httpx.TransportError):
            await remote.get(f"http://127.0.0.1:{server.port}{PING}")


async def test_cookies_of_the_listener_are_secure(server: Running) -> None:
    async with httpx.AsyncClient(verify=trusting_file(server.cert)) as remote:
        page = await remote.get(f"{server.url}/login")
    assert page.headers["set-cookie"].startswith("__Host-dlt-runtime-form=")
    assert "; Secure" in page.headers["set-cookie"]


@pytest.mark.parametrize(
    ("version", "speaks"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_begins_with_version_1_2(server: Running, version: ssl.TLSVersion, speaks: bool) -> None:
    context = trusting_file(server.cert)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        writer.close()
        await writer.wait_closed()
    except (ssl.SSLError, OSError):
        assert not speaks
    else:
        assert speaks


async def test_a_new_certificate_is_used_for_new_connections_and_running_ones_go_on(
    server: Running, tmp_path: Path
) -> None:
    async with httpx.AsyncClient(verify=trusting_file(server.cert)) as before:
        assert (await before.get(server.url + PING)).status_code == 200
        second = make(tmp_path, "second")
        put(second, tmp_path)
        await server.comes_to_present(second.cert)
        assert (await before.get(server.url + PING)).status_code == 200  # on the connection it has
    async with httpx.AsyncClient(verify=trusting_file(second.cert)) as after:
        assert (await after.get(server.url + PING)).status_code == 200


async def test_files_that_do_not_fit_leave_the_certificate_as_it_was(server: Running, tmp_path: Path) -> None:
    first = await server.fingerprint()
    third = make(tmp_path, "third")
    with structlog.testing.capture_logs() as logs:
        server.cert.write_bytes(third.cert.read_bytes())  # the key is still the first one's

        async def is_noticed() -> bool:
            return any(entry["action"] == "tls.reload" for entry in logs)

        await until(is_noticed)
    assert await server.fingerprint() == first
    server.key.write_bytes(third.key.read_bytes())
    await server.comes_to_present(third.cert)


async def test_a_certificate_refused_for_its_keys_permissions_is_used_once_they_are_mended(
    server: Running, tmp_path: Path
) -> None:
    first = await server.fingerprint()
    second = make(tmp_path, "second")
    with structlog.testing.capture_logs() as logs:
        server.key.chmod(0o644)
        server.key.write_bytes(second.key.read_bytes())
        server.cert.write_bytes(second.cert.read_bytes())

        async def is_refused() -> bool:
            return any("read by everybody" in entry.get("error", "") for entry in logs)

        await until(is_refused)
        for number in range(3):  # each is a reason to look again
            (tmp_path / f"something else {number}").touch()
        assert await server.fingerprint() == first
        server.key.chmod(0o600)
        await server.comes_to_present(second.cert)
    complaints = [entry["error"] for entry in logs if "error" in entry]
    assert len(complaints) == len(set(complaints))


async def test_a_directory_that_is_away_for_a_while_is_watched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.tls.serving.LOOK_AGAIN_MILLISECONDS", 100)
    live, second = tmp_path / "live", make(tmp_path, "two")
    live.mkdir()
    put(make(tmp_path, "one"), live)
    async with serving(tmp_path, TlsListener(live / "a.crt", live / "a.key")) as server:
        with structlog.testing.capture_logs() as logs:
            live.rename(tmp_path / "away")

            async def is_missed() -> bool:
                return any("missing" in entry.get("error", "") for entry in logs)

            await until(is_missed)
        live.mkdir()
        put(second, live)
        await server.comes_to_present(second.cert)


def test_a_key_that_goes_away_while_it_is_looked_at_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = make(tmp_path, "one")
    own.key.unlink()
    monkeypatch.setattr("os.access", lambda path, mode: True)
    with pytest.raises(InvalidError, match="missing"):
        load_context(own.cert, own.key)


async def test_a_link_that_is_moved_is_a_new_certificate(tmp_path: Path) -> None:
    """As certbot and Kubernetes renew."""
    first, second = make(tmp_path, "one"), make(tmp_path, "two")
    live = tmp_path / "live"
    live.mkdir()
    (live / "data").symlink_to(first.cert.parent)
    for name in ("self-signed.crt", "self-signed.key"):
        (live / name).symlink_to(Path("data") / name)
    listener = TlsListener(live / "self-signed.crt", live / "self-signed.key")
    async with serving(tmp_path, listener) as server:
        await server.comes_to_present(first.cert)
        (live / "next").symlink_to(second.cert.parent)
        (live / "next").rename(live / "data")
        await server.comes_to_present(second.cert)
        third = make(tmp_path, "three")  # and what it leads to now is watched too
        third.key.replace(second.key)
        third.cert.replace(second.cert)
        await server.comes_to_present(second.cert)


async def test_a_certificate_of_our_own_is_renewed_while_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.tls.serving.LOOK_AGAIN_MILLISECONDS", 100)
    own, now = SelfSigned(tmp_path / "own"), datetime.now(UTC)
    moments = [now]
    listener = TlsListener(own.cert, own.key, own, lambda: moments[-1])
    async with serving(tmp_path, listener) as server:
        first = await server.fingerprint()
        moments.append(now + LIFETIME - timedelta(days=20))

        async def has_changed() -> bool:
            return not await server.presents(first)

        await until(has_changed)


async def test_a_proxy_is_believed_if_the_settings_name_it_and_not_otherwise(tmp_path: Path) -> None:
    headers = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
    for trusted, address, scheme in (((), "127.0.0.1", "http"), (("127.0.0.0/8",), "203.0.113.5", "https")):
        folder = tmp_path / scheme
        folder.mkdir()
        async with serving(folder, None, trusted_proxies=trusted) as server, httpx.AsyncClient() as proxy:
            url = f"http://127.0.0.1:{server.port}{AUTH_PREFIX}/v1/workos/device-flow/code"
            started = (await proxy.post(url, headers=headers)).json()
        assert server.accounts.addresses == [address]
        assert started["verification_uri"].startswith(f"{scheme}://")
