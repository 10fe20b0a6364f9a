"""Counts what costs us something or should not go on for ever, and says from when on it is too much."""

import time
from collections import OrderedDict

PER_SECONDS = 60.0
_MOST_KEYS = 10_000


class Tally:
    """Counts something by a key, such as a network, for a minute from the first one on."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, key: str) -> int:
        """How long whoever this key stands for has to wait, having reached the limit; 0 if they have not."""
        count, began = self._counts.get(key, (0, 0.0))
        rest = PER_SECONDS - (time.monotonic() - began)
        return int(rest) + 1 if count >= self._most and rest > 0 else 0

    def note(self, key: str) -> None:
        """One more."""
        now = time.monotonic()
        count, began = self._counts.pop(key, (0, now))
        self._counts[key] = (1, now) if now - began >= PER_SECONDS else (count + 1, began)
        while len(self._counts) > _MOST_KEYS:
            self._counts.popitem(last=False)
