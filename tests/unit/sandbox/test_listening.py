"""Reading the kernel's table of TCP sockets."""

import os
import socket

from runtime.sandbox.listening import listening_ports, parse_listening

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
"""


def test_only_sockets_that_listen_count() -> None:
    assert parse_listening(TABLE) == {5000}


def test_a_table_without_rows_lists_nothing() -> None:
    assert parse_listening(TABLE.splitlines()[0]) == set()


def test_a_listener_of_this_process_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listener.getsockname()[1] in listening_ports(os.getpid())


def test_of_a_process_that_has_ended_nothing_is_listed() -> None:
    assert listening_ports(2**22) == frozenset()
