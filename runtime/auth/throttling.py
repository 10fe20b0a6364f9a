"""How long a sign-in attempt has to wait, so that guessing passwords is hopeless and nobody can lock anybody else out.

The usual counter per account does lock people out: whoever knows an email address fails on purpose, and its owner
waits. A counter per address alone lets an attacker with many addresses guess on. So three things are counted, and one
rule decides where waiting begins:

- **A network** (an IPv4 address; of IPv6 the /56 that one customer gets; the whole loopback, since every local user
  may take any address of it) waits after its own failures, whatever account they were for: five are free, then 1, 2,
  4 ... seconds, at most a quarter of an hour.
- **An account** that is being guessed at, from wherever, takes the free failures away from everybody: once it has had
  ten, a network waits up to a minute after each one. What starts a wait is always the network's *own* last failure,
  never somebody else's. So the owner of an account under attack, coming from a network of their own, is let try at
  once, however hard the attack is; and an attacker gains nothing by failing on purpose.
- **A browser** in which somebody has signed in before is known for that account by a cookie of 256 random bits. It has
  a counter of its own and waits for nothing but that: neither for the account's failures nor for its network's, which
  matters where attacker and owner share an office's address. A known browser that fails too often becomes a browser
  like any other, so a stolen cookie buys a handful of guesses, once.

What remains possible: who shares a network with an attacker *and* comes with a browser never used before waits up to a
quarter of an hour after the attacker's last failure. An administrator can let them in at once
(`dlt-runtime auth approve`), and GitHub can, if it is set up. What an attacker gets: a hundred guesses a day for each
network he owns, against passwords of at least twelve characters.

Counters say nothing about who exists: an unknown email is counted as a known one is. An attempt is counted before the
password is looked at, and taken back if it was right, so attempts made at the same moment do not pass unseen. An
attempt that is sent away because it came too early is not looked at and does not count: impatience costs nothing.
Successes reset no counter, or an attacker with an account of his own would use it to start over; counters are
forgotten a day after their last failure.
"""

import ipaddress
from datetime import datetime, timedelta

from runtime.store.attempts import Attempts

FREE_FOR_NETWORK = 5
FREE_FOR_ACCOUNT = 10
FREE_FOR_BROWSER = 5
MOST_FOR_BROWSER = 10
"""After so many failures a known browser is known no more."""

FREE_FOR_CODES = 10
LONGEST_WAIT_SECONDS = 900
LONGEST_WAIT_FOR_ACCOUNT_SECONDS = 60
FORGET_AFTER = timedelta(days=1)
MOST_SUBJECTS = 100_000

LOOPBACK = "loopback"
_CUSTOMER_PREFIX = 56
_DOUBLINGS = 20
"""More would be beyond any longest wait; bounds the power that is computed."""


def network_of(address: str | None) -> str:
    """What is counted as one network: see the module. None, a peer of the Unix socket, is one too."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "socket"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return LOOPBACK
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed), _CUSTOMER_PREFIX), strict=False))
    return str(parsed)


def stranger_wait(network: Attempts, account: Attempts, now: datetime) -> float:
    """Seconds until a browser that is not known may try; 0 now."""
    delay = max(
        _delay(network.count, FREE_FOR_NETWORK, LONGEST_WAIT_SECONDS),
        _delay(account.count, FREE_FOR_ACCOUNT, LONGEST_WAIT_FOR_ACCOUNT_SECONDS),
    )
    return _rest(network, delay, now)


def own_wait(own: Attempts, free: int, now: datetime) -> float:
    """Seconds until one whose own failures alone count may try; 0 now."""
    return _rest(own, _delay(own.count, free, LONGEST_WAIT_SECONDS), now)


def _delay(failures: int, free: int, longest: float) -> float:
    return 0.0 if failures < free else min(longest, 2.0 ** min(failures - free, _DOUBLINGS))


def _rest(own: Attempts, delay: float, now: datetime) -> float:
    if own.last_at is None or now - own.last_at >= FORGET_AFTER:
        return 0.0
    return max(0.0, (own.last_at - now).total_seconds() + delay)
