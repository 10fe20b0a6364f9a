"""Runs inside an app's network as `python -I -S door.py DESCRIPTOR`: makes sockets there and hands them out.

The descriptor is one end of a pair of sockets whose other end the daemon holds. Each byte that comes in asks for one
unconnected TCP socket, `4` or `6`; each answer is one byte with the socket beside it, or `-` where none could be made.
The end of what comes in is the end of the daemon, and so of this. Standard library only.
"""

import array
import socket
import sys

_FAMILIES = {b"4": socket.AF_INET, b"6": socket.AF_INET6}


def main(argv: list[str]) -> None:
    """Answer until nobody asks any more."""
    with socket.socket(fileno=int(argv[1])) as daemon:
        while asked := daemon.recv(1):
            try:
                with socket.socket(_FAMILIES[asked], socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as made:
                    handed = array.array("i", [made.fileno()])
                    daemon.sendmsg([asked], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)])
            except OSError:
                daemon.sendall(b"-")


if __name__ == "__main__":
    main(sys.argv)
