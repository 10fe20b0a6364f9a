"""What each sandbox takes of the disk: its own files, its share of the shared ones, and what has no name.

All sandboxes of a daemon are in one ledger, so that what one of them hides can be told from what the others take.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from runtime.sandbox.held import held_files, written_bytes
from runtime.sandbox.identity import ProcessIdentity
from runtime.sandbox.memory import processes_of
from runtime.sandbox.quota import DiskUse, device_of, disk_use, laid_bytes
from runtime.sandbox.sharing import SharedPlaces, Writer


class DiskLedger:
    """The accounts of one daemon's sandboxes, all on one file system."""

    def __init__(self) -> None:
        self._accounts: set[DiskAccount] = set()
        self._shared: WeakValueDictionary[tuple[Path, ...], SharedPlaces] = WeakValueDictionary()
        self.left_behind = 0
        """Bytes that sandboxes which have ended had added to shared places."""
        self.changing = Lock()
        """Held while an account is opened or closed, which different threads may do; never while one looks."""

    def shared(self, places: Sequence[Path]) -> SharedPlaces:
        """The same for all who name the same places."""
        return self._shared.setdefault(tuple(places), SharedPlaces(places))

    def open(self, account: "DiskAccount") -> None:
        """Count it among the others."""
        self._accounts.add(account)

    def close(self, account: "DiskAccount") -> None:
        """Its sandbox has ended, or is not watched any more."""
        if account in self._accounts:
            self._accounts.discard(account)
            self.left_behind += account.left_behind

    def taken_by_others(self, account: "DiskAccount") -> int:
        """Bytes that can be seen of what all others take or have left since this one began; blocks while it looks."""
        others = [other for other in tuple(self._accounts) if other is not account]
        return sum(other.use().bytes for other in others) + self.left_behind - account.left_before


class DiskAccount:
    """What one sandbox takes.

    Args:
        own: Directories that are its alone; what the runtime says it has laid into them does not count.
        kept: Directories that others write to as well, each group looked at as one; its part of their growth counts.
        besides: Bytes of what it takes elsewhere.
    """

    def __init__(
        self,
        ledger: DiskLedger,
        init: ProcessIdentity,
        own: Sequence[Path],
        kept: Sequence[Sequence[Path]],
        besides: Callable[[], int] | None = None,
    ) -> None:
        self.init = init
        self._ledger = ledger
        self._own = tuple(own)
        self._kept = [(ledger.shared(places), tuple(places)) for places in kept if places]
        self._besides = besides
        self._writers: list[tuple[SharedPlaces, Writer]] = []
        self._places = (*self._own, *(place for _, places in self._kept for place in places))
        self._has_ended = False
        self._began_with = 0
        self.left_before = 0

    @property
    def place(self) -> Path | None:
        """One of its directories; all are on one file system."""
        return next(iter(self._places), None)

    @property
    def left_behind(self) -> int:
        """What of the growth of shared places is its own, as of the last look."""
        return sum(shared.share_of(writer).bytes for shared, writer in self._writers)

    def open(self, baseline: int | None) -> int:
        """Begin to count; blocks while it looks. Nothing is counted once it is closed, meanwhile or before.

        Args:
            baseline: What the first group of shared places held when the sandbox began, where that is known.

        Returns:
            The same, known or looked at now.
        """
        self.left_before = self._ledger.left_behind
        self._began_with = written_bytes(processes_of(self.init.pid))
        writers = self._writers or self._join(baseline)
        with self._ledger.changing:
            self._writers = writers
            self._ledger.open(self)
            if self._has_ended:  # while this looked
                self._close()
        return writers[0][1].baseline if writers else 0

    def close(self) -> None:
        """Stop counting, for good."""
        with self._ledger.changing:
            self._has_ended = True
            self._close()

    def use(self) -> DiskUse:
        """What it takes now, and whether it hides something; blocks while it looks."""
        laid = self._laid()
        own = disk_use(self._own)
        laid = max(laid, self._laid())  # something may have been laid or taken away while this looked
        for shared, _ in self._writers:
            shared.look()
        nameless = held_files(processes_of(self.init.pid)[1:], device_of(self._places)).nameless
        besides = self._besides() if self._besides else 0
        taken = max(own.bytes - laid, 0) + self.left_behind + nameless.bytes + besides
        return DiskUse(bytes=taken, hides=own.hides or nameless.hides)

    def suspected_use(self, use: DiskUse, filled: int) -> int:
        """What it takes if it takes what nobody else is seen to take; no less than what is seen of itself. Blocks.

        Args:
            use: What is seen of it.
            filled: By how many bytes the file system has become fuller since it began.
        """
        shared_hide = any(shared.share_of(writer).hides for shared, writer in self._writers)
        if not use.hides and not shared_hide:
            return use.bytes
        unseen = filled - self._ledger.taken_by_others(self)
        if not use.hides:
            # What hides in a shared place may be from long ago; it has at most what it has written.
            unseen = min(unseen, written_bytes(processes_of(self.init.pid)) - self._began_with)
        return max(use.bytes, unseen)

    def _join(self, baseline: int | None) -> list[tuple[SharedPlaces, Writer]]:
        """All of the shared places, or none where one cannot be looked at."""
        with ExitStack() as joined:
            writers = []
            for shared, _ in self._kept:
                writer = shared.join(self.init, baseline)
                joined.callback(shared.leave, writer)
                writers.append((shared, writer))
                baseline = None
            joined.pop_all()
        return writers

    def _close(self) -> None:
        self._ledger.close(self)
        for shared, writer in self._writers:
            shared.leave(writer)
        self._writers = []

    def _laid(self) -> int:
        return sum(sum(laid_bytes(place).values()) for place in self._own)
