"""What may be tried at the apps' addresses: secrets of links and tickets, counted by network.

They cannot be guessed (122 random bits and more); who tries all the same is soon told so and no more. What is right is
never counted and never refused: whoever shares an address with a guesser comes in.
"""

from runtime.auth import tally
from runtime.auth.throttling import network_of

MISSES = 20
"""So many secrets that open nothing may be shown in a minute."""
TICKETS = 120
"""So many browsers of one network may come by public links in a minute."""


class Tally:
    """Counts something by network, for a minute from the first one on."""

    def __init__(self, most: int) -> None:
        self._counts = tally.Tally(most)

    def wait_seconds(self, address: str | None) -> int:
        """How long this network has to wait, since it has reached the limit; 0 if it has not."""
        return self._counts.wait_seconds(network_of(address))

    def note(self, address: str | None) -> None:
        """One more."""
        self._counts.note(network_of(address))
