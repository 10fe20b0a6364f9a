"""The machine's addresses out of procfs."""

from runtime.sandbox.addresses import local_addresses, parse_fib_trie, parse_if_inet6

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
"""


def test_addresses_of_ipv4_are_leaves_that_are_local() -> None:
    assert parse_fib_trie(FIB_TRIE) == {"127.0.0.1", "192.0.2.2"}


def test_addresses_of_ipv6_are_the_first_word_of_a_line() -> None:
    text = "00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000002 04 40 00 82 eth0\n"
    assert parse_if_inet6(text) == {"::1", "fd00::2"}


def test_loopback_and_link_local_addresses_are_left_out() -> None:
    assert not any(address.startswith(("127.", "169.254.", "fe80:")) for address in local_addresses())
