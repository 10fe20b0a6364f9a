"""Where a daemon is found when nobody says: the places that daemon and clients agree on."""

import os
from ipaddress import ip_address
from pathlib import Path

DEFAULT_LISTEN = "127.0.0.1:8470"
API_PREFIX = "/api/api"
AUTH_PREFIX = "/api/auth"
SYSTEM_SOCKET = Path("/run/dlt-runtime/api.sock")


def default_state_dir() -> Path:
    """`/var/lib/dlt-runtime` under systemd, else `$XDG_STATE_HOME/dlt-runtime`."""
    if systemd := os.environ.get("STATE_DIRECTORY"):
        return Path(systemd.split(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "dlt-runtime"


def default_socket() -> Path:
    """Where a daemon puts its socket: systemd's runtime directory, the user's, else the default state directory."""
    if systemd := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(systemd.split(":")[0]) / "api.sock"
    if runtime_dir := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime_dir) / "dlt-runtime" / "api.sock"
    return default_state_dir() / "api.sock"


def find_socket() -> Path:
    """Where a client looks: the service's socket if there is one, else where a daemon of this user would put it."""
    return SYSTEM_SOCKET if is_there(SYSTEM_SOCKET) else default_socket()


def is_there(socket: Path) -> bool:
    """Whether there is a socket; one in a directory that is closed to this user counts, for the error to say so."""
    try:
        return socket.exists()
    except PermissionError:
        return True


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, can only be reached from its own machine."""
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
