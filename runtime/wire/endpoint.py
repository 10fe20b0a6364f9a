"""Which daemon a client talks to: a Unix socket, or an address on the network."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from runtime.errors import InvalidError
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Endpoint:
    """A daemon's address. `url` is what people write, and the key under which tokens are kept.

    `ca_file` holds the certificates that its own has to lead to; None leaves that to what was trusted before.
    """

    url: str
    api_base: str
    auth_base: str
    socket: Path | None = None
    ca_file: Path | None = None

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("https:")

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where to connect to; ValueError for a socket."""
        parts = urlsplit(self.url)
        if not parts.hostname:
            raise ValueError("a socket has no host")
        return parts.hostname, parts.port or (443 if self.is_tls else 80)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, so that no proxy may stand between."""
        return self.socket is not None or urlsplit(self.url).hostname in _LOOPBACK

    @property
    def needs_login(self) -> bool:
        """Whether requests carry a token; through the socket the daemon knows who is asking."""
        return self.socket is None


def socket_endpoint(path: Path) -> Endpoint:
    """The daemon behind a Unix socket."""
    host = "http://dlt-runtime"
    return Endpoint(f"unix://{path}", host + API_PREFIX, host + AUTH_PREFIX, path)


def parse_endpoint(text: str, *, auth_base_url: str | None = None, ca_file: Path | None = None) -> Endpoint:
    """Read `unix:///path/api.sock`, `http(s)://host:port`, or the API's base URL as the SDK's settings spell it.

    Args:
        auth_base_url: The base of the authentication API where settings name it apart.

    Raises:
        InvalidError: it is none of these.
    """
    parts = _split(text)
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return socket_endpoint(Path(parts.path))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _no_address(text)
    if parts.username or parts.password:
        raise InvalidError("the address of a daemon holds no user name or password", code="url")
    if auth_base_url is not None and not _split(auth_base_url).hostname:
        raise _no_address(auth_base_url)
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix(API_PREFIX)}"
    return Endpoint(url, url + API_PREFIX, (auth_base_url or url + AUTH_PREFIX).rstrip("/"), ca_file=ca_file)


def _split(text: str) -> SplitResult:
    """The parts of an address. Raises InvalidError where it has none, or a port that is none."""
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        raise _no_address(text) from None
    if not text.strip().isprintable():
        raise _no_address(text)
    return parts


def _no_address(text: str) -> InvalidError:
    shown = "this" if "@" in text else f"`{text}`"  # what stands before an @ may be a password
    return InvalidError(
        f"{shown} is not the address of a daemon",
        code="url",
        hint="write `unix:///run/dlt-runtime/api.sock` or `http://HOST:PORT`",
    )
