"""Directories that several sandboxes write to at the same time, and how much of their growth is whose.

The disk does not say who wrote a file. So growth goes to whoever has the grown file open; what nobody or several have
open is divided by how much each has written since the last look; and growth that nobody is known to have written (the
kernel counts no `fallocate`) is divided among those who have files open there or hide something, or else among all.
What was there before a sandbox began, what others wrote, and what comes from one that has ended are never its own.
"""

import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from runtime.sandbox.held import held_files, written_bytes
from runtime.sandbox.identity import ProcessIdentity, is_alive
from runtime.sandbox.memory import processes_of
from runtime.sandbox.quota import LARGE_BYTES, DiskUse, Stock, device_of, take_stock


@dataclass(eq=False)
class Writer:
    """One sandbox in a shared place; bytes, as of the last look."""

    init: ProcessIdentity
    baseline: int
    """What was there when it began."""
    written: int
    """What it had written to disks in all, as far as is known."""
    charged: float = 0
    """What of the growth since it joined is its own."""


class SharedPlaces:
    """Directories on one file system, looked at as one.

    Looking takes long and is done by threads, one at a time; who has waited for another's look does not repeat it.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(places)
        self._looking = Lock()
        self._writers: set[Writer] = set()
        self._stock = Stock()
        self._divided = Stock()
        self._looked_at = float("-inf")
        self._has_lost_one = False

    def join(self, init: ProcessIdentity, baseline: int | None) -> Writer:
        """A sandbox begins to write here; blocks while it looks.

        Args:
            baseline: What was here when it began, where that has been looked at before; what it has written since, as
                far as the place has grown, is its own already.
        """
        self.look()
        if not self._writers:
            self._has_lost_one = False
        there = self._stock.use.bytes
        written = written_bytes(processes_of(init.pid))
        if baseline is None:
            writer = Writer(init, there, written)
        else:
            writer = Writer(init, baseline, written, charged=min(max(there - baseline, 0), written))
        self._writers.add(writer)
        return writer

    def leave(self, writer: Writer) -> None:
        """It has ended, or is not watched any more."""
        self._writers.discard(writer)
        self._has_lost_one = True

    def share_of(self, writer: Writer) -> DiskUse:
        """What of the growth is its own, as of the last look; whether the place hides something from everybody."""
        grown = max(self._stock.use.bytes - writer.baseline, 0)
        return DiskUse(bytes=min(grown, round(writer.charged)), hides=self._stock.use.hides)

    def look(self) -> None:
        """Look at the place anew and divide what has changed since it was divided last; blocks."""
        asked_at = time.monotonic()
        with self._looking:
            if self._looked_at > asked_at:
                return
            self._looked_at = time.monotonic()
            self._stock = take_stock(self._places)
            change = self._stock.use.bytes - self._divided.use.bytes
            if abs(change) < LARGE_BYTES:
                return  # too little to ask all processes for
            before, self._divided = self._divided, self._stock
            if change > 0:
                self._divide(change, before)
            else:
                self._give_back(-change)

    def _divide(self, growth: int, before: Stock) -> None:
        writers = tuple(self._writers)  # they come and go in other threads
        if not writers:
            return
        pids = {writer: processes_of(writer.init.pid) for writer in writers}
        wrote = {writer: self._written_since(writer, pids[writer]) for writer in writers}
        # Nobody knows what one that has just ended had written at last, so nobody else is charged with what is left.
        is_complete = not self._has_lost_one and all(is_alive(writer.init) for writer in writers)
        self._has_lost_one = False

        device = device_of(self._places)
        large = self._stock.large
        held = {writer: held_files(pids[writer][1:], device) for writer in writers}
        holds = {writer: files.written & large.keys() for writer, files in held.items()}
        shares = _in_the_open(before, self._stock, holds)
        _scale(shares, growth)
        rest = growth - sum(shares.values())

        unseen = {writer: max(wrote[writer] - shares.get(writer, 0), 0.0) for writer in writers}
        _scale(unseen, rest)
        _add(shares, unseen)
        rest -= sum(unseen.values())

        if rest > 0 and is_complete:
            suspects = [writer for writer in writers if holds[writer] or held[writer].nameless.hides] or list(writers)
            _add(shares, {writer: rest / len(suspects) for writer in suspects})
        for writer, share in shares.items():
            writer.charged += share

    @staticmethod
    def _written_since(writer: Writer, pids: Sequence[int]) -> float:
        """Processes that end take their counts with them, unless somebody waits for them; so the count may fall."""
        written = max(written_bytes(pids), writer.written)
        since, writer.written = written - writer.written, written
        return since

    def _give_back(self, shrunk: int) -> None:
        """Who has removed something is not known; it can only have been what somebody had written."""
        returned = {writer: writer.charged for writer in tuple(self._writers)}
        _scale(returned, shrunk)
        for writer, amount in returned.items():
            writer.charged -= amount


def _in_the_open(before: Stock, now: Stock, holds: Mapping[Writer, Set[int]]) -> dict[Writer, float]:
    """What large files have grown by that exactly one has open for writing."""
    shares: dict[Writer, float] = {}
    for inode, size in now.large.items():
        grown = size - before.large.get(inode, 0)
        if grown > 0:
            holders = [writer for writer, inodes in holds.items() if inode in inodes]
            if len(holders) == 1:
                _add(shares, {holders[0]: float(grown)})
    return shares


def _scale(amounts: dict[Writer, float], most: float) -> None:
    """Make amounts smaller, all by the same factor, so that they are no more than `most` together."""
    total = sum(amounts.values())
    if total > most:
        for writer in amounts:
            amounts[writer] *= most / total


def _add(amounts: dict[Writer, float], more: dict[Writer, float]) -> None:
    for writer, amount in more.items():
        amounts[writer] = amounts.get(writer, 0.0) + amount
