"""When the next sign-in attempt is let through."""

from datetime import timedelta

import pytest

from runtime.auth.throttling import FREE_FOR_BROWSER, FREE_FOR_NETWORK, network_of, own_wait, stranger_wait
from runtime.store.attempts import Attempts
from tests.factories import NOW

NEVER = Attempts()
BESIEGED = Attempts(count=1_000_000, last_at=NOW)


def failed(count: int, seconds_ago: float = 0) -> Attempts:
    return Attempts(count=count, last_at=NOW - timedelta(seconds=seconds_ago))


@pytest.mark.parametrize(
    ("failures", "wait"), [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (14, 512), (15, 900), (10_000, 900)]
)
def test_a_network_waits_twice_as_long_after_each_failure_up_to_a_quarter_of_an_hour(
    failures: int, wait: float
) -> None:
    assert stranger_wait(failed(failures), NEVER, NOW) == wait


def test_a_wait_ends_by_itself() -> None:
    assert stranger_wait(failed(8, seconds_ago=3), NEVER, NOW) == 5
    assert stranger_wait(failed(8, seconds_ago=8), NEVER, NOW) == 0


def test_who_comes_from_a_network_of_their_own_is_let_try_however_hard_their_account_is_attacked() -> None:
    assert stranger_wait(NEVER, BESIEGED, NOW) == 0


def test_a_typing_error_during_an_attack_costs_a_minute_and_not_more() -> None:
    assert stranger_wait(failed(1), BESIEGED, NOW) == 60
    assert stranger_wait(failed(1, seconds_ago=60), BESIEGED, NOW) == 0


def test_an_account_under_attack_takes_the_free_failures_away() -> None:
    assert stranger_wait(failed(1), failed(9), NOW) == 0
    assert stranger_wait(failed(1), failed(10), NOW) == 1


def test_a_known_browser_waits_for_its_own_failures_alone() -> None:
    assert own_wait(failed(FREE_FOR_BROWSER - 1), FREE_FOR_BROWSER, NOW) == 0
    assert own_wait(failed(FREE_FOR_BROWSER), FREE_FOR_BROWSER, NOW) == 1


def test_failures_are_forgotten_after_a_day() -> None:
    assert stranger_wait(failed(FREE_FOR_NETWORK + 20, seconds_ago=86400), NEVER, NOW) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("127.0.0.1", "127.8.9.10"),  # every local user may take any of them
        ("127.0.0.1", "::1"),
        ("2001:db8:1:2300::1", "2001:db8:1:23ff:ffff::2"),  # one customer's
        ("192.0.2.1", "::ffff:192.0.2.1"),
    ],
)
def test_addresses_that_one_party_can_choose_from_are_one_network(one: str, other: str) -> None:
    assert network_of(one) == network_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("192.0.2.1", "192.0.2.2"), ("2001:db8:1:2300::1", "2001:db8:1:2400::1"), ("127.0.0.1", None), ("testclient", "")],
)
def test_other_addresses_are_other_networks(one: str | None, other: str | None) -> None:
    assert network_of(one) != network_of(other)
