"""Who is at the other end of the Unix socket, and whether they administer this machine."""

import contextlib
import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_ROOT = 0


@dataclass(frozen=True)
class Peer:
    """The process that connected, as the kernel knows it (SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


def peer_of(descriptor: int) -> Peer:
    """The peer of a connected Unix socket, named by its file descriptor, which stays open."""
    # Duplicated, because a socket object closes its descriptor and this one belongs to the event loop.
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        return Peer(
            *_CREDENTIALS.unpack(duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        )


def is_administrator(peer: Peer, admin_group: str) -> bool:
    """Whether the peer is root, this daemon's own user, or a member of the group."""
    if peer.uid in (_ROOT, os.getuid()):
        return True
    try:
        group_id = grp.getgrnam(admin_group).gr_gid
    except KeyError:
        return False
    if peer.gid == group_id:
        return True
    with contextlib.suppress(KeyError):
        account = pwd.getpwuid(peer.uid)
        return group_id in os.getgrouplist(account.pw_name, account.pw_gid)
    return False


def account_name(uid: int) -> str:
    """The account's name, or `uid-<number>` where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
