"""Peers of the Unix socket."""

import grp
import os
import pwd
import socket

import pytest

from runtime.auth.peers import Peer, account_name, is_administrator, peer_of

STRANGER = 4_200_000


def test_the_kernel_names_the_peer_and_the_socket_stays_open() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours.fileno()) == Peer(os.getpid(), os.getuid(), os.getgid())
        theirs.sendall(b"still here")
        assert ours.recv(10) == b"still here"


def test_root_and_the_daemons_own_user_administer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    assert is_administrator(Peer(1, 0, 0), "no-such-group")
    assert is_administrator(Peer(1, 1234, STRANGER), "no-such-group")
    assert not is_administrator(Peer(1, STRANGER, STRANGER), "no-such-group")


def test_members_of_the_group_administer(monkeypatch: pytest.MonkeyPatch) -> None:
    group = grp.struct_group(("operators", "x", 700, []))
    account = pwd.struct_passwd(("ada", "x", 2100, 2100, "", "/home/ada", "/bin/sh"))
    monkeypatch.setattr(grp, "getgrnam", lambda name: group)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: account)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 700] if name == "ada" else [gid])
    assert is_administrator(Peer(1, 2100, 2100), "operators")
    assert is_administrator(Peer(1, STRANGER, 700), "operators")  # the group itself, as under `sg`
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid])
    assert not is_administrator(Peer(1, 2100, 2100), "operators")


def test_an_account_without_a_name_is_called_by_its_number() -> None:
    assert account_name(0) == "root"
    assert account_name(STRANGER) == f"uid-{STRANGER}"
