"""What systemd wants to hear from a `Type=notify` service, and the sockets it hands over; without it, nothing."""

import os
import socket

_FIRST_INHERITED = 3


def notify(state: str) -> None:
    """Send a state such as `READY=1` or `STOPPING=1` to `$NOTIFY_SOCKET`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)
        channel.sendall(state.encode())


def inherited_listeners() -> list[socket.socket]:
    """The sockets that socket units have opened for this process (`sd_listen_fds`); asked for once.

    An unprivileged daemon has port 80 or 443 that way. No child inherits them, or hears of them.
    """
    is_ours = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    os.environ.pop("LISTEN_FDNAMES", None)
    found = [socket.socket(fileno=_FIRST_INHERITED + place) for place in range(count if is_ours else 0)]
    for each in found:
        each.set_inheritable(False)
        each.setblocking(False)
    return found
