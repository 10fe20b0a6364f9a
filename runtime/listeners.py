"""The sockets the daemon answers on; the public ones are opened first, so that a taken address is known at once."""

import errno
import grp
import ipaddress
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from runtime.errors import UnavailableError

log = structlog.get_logger()

_BACKLOG = 2048
_HOST_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_SOCKET_MODE = 0o660
_PRIVATE_MODE = 0o600


def open_unix_listener(path: Path, group: str) -> socket.socket:
    """Listen on a Unix socket that only its owner and `group` may connect to.

    A socket file that nobody answers on is left by a daemon that died, and is replaced.

    Raises:
        UnavailableError: another daemon answers there, the place cannot be written to, or something else is in it.
    """
    if _is_answered(path):
        raise UnavailableError(f"another daemon answers on `{path}`", hint="stop it, or use --socket")
    with _opening(socket.AF_UNIX, f"`{path}`") as listener:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _unlink_socket(path)
        listener.bind(str(path))
        path.chmod(_SOCKET_MODE)
        _give_to_group(path, group)
        listener.listen(_BACKLOG)
    return listener


def open_private_listener(path: Path) -> socket.socket:
    """Listen on a Unix socket that nobody but this user may connect to, however long its path is.

    Raises:
        UnavailableError: the place cannot be written to, or something else is in it.
    """
    with _opening(socket.AF_UNIX, f"`{path}`") as listener:
        _unlink_socket(path)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{directory}/{path.name}")  # the kernel takes 108 bytes at most
        finally:
            os.close(directory)
        path.chmod(_PRIVATE_MODE)
        listener.listen(_BACKLOG)
    return listener


def open_tcp_listener(host: str, port: int) -> socket.socket:
    """Listen on a TCP address.

    Raises:
        UnavailableError: the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with _opening(family, f"{host}:{port}", if_taken="stop what listens there, or use --listen") as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    return listener


@contextmanager
def _opening(family: socket.AddressFamily, place: str, if_taken: str | None = None) -> Iterator[socket.socket]:
    """A socket that is closed again, and said in our words, where it cannot be made to listen.

    Args:
        if_taken: What to do where somebody else listens there.
    """
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        yield listener
    except OSError as error:
        listener.close()
        hint = if_taken if error.errno == errno.EADDRINUSE else None
        raise UnavailableError(f"cannot listen on {place}: {error.strerror or error}", hint=hint) from error
    except BaseException:
        listener.close()
        raise


def format_address(host: str, port: int) -> str:
    """`HOST:PORT` as the setting `listen` and URLs have it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_at(listener: tuple[str, int], reached: tuple[str, int | None] | None) -> bool:
    """Whether a connection was taken by this listener; several may have one port, each on addresses of its own.

    Args:
        listener: The listener's address and port, as the system says them: never names, nor port 0.
        reached: This machine's end of the connection; None or without a port on a Unix socket.
    """
    return reached is not None and reached[1] == listener[1] and _covers(listener[0], reached[0])


@lru_cache(maxsize=256)
def _covers(listener: str, reached: str) -> bool:
    if listener == reached:
        return True
    try:
        bound, address = ipaddress.ip_address(listener), ipaddress.ip_address(reached)
    except ValueError:
        return False
    # What takes every IPv6 address takes IPv4's as well, which it says as `::ffff:10.0.0.5`.
    if bound.is_unspecified and bound.version == address.version:
        return True
    return _plain(bound) == _plain(address)


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """IPv4 said as IPv6 is IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def host_name(header: str) -> str | None:
    """The name or address that a `Host` header names, without brackets and port; None where that makes no sense."""
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return None
    return name if name is not None and _HOST_NAME.fullmatch(name) else None


def is_host(header: str) -> bool:
    """Whether a `Host` header can be read: the port, where there is one, is a number that ports have."""
    try:
        _ = urlsplit(f"//{header}").port
    except ValueError:
        return False
    return True


def host_of_origin(header: str) -> str | None:
    """The host and port that an `Origin` header names, as `Host` would; None where it names none, as `null`."""
    try:
        return urlsplit(header).netloc.lower() or None
    except ValueError:  # no address at all, as `http://[`
        return None


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _unlink_socket(path: Path) -> None:
    """Make room for a socket; somebody's file of that name, after a slip in a setting, stays."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UnavailableError(
                f"`{path}` is there already and is no socket", hint="give the socket another place, or move it away"
            )
        path.unlink()


def _give_to_group(path: Path, group: str) -> None:
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (KeyError, OSError):
        # No such group, a daemon that is no member of it, or a user namespace without it (EINVAL, not EPERM): then only
        # the owner and root connect.
        log.debug("the socket stays with the daemon's own group", action="listen.group", group=group)
