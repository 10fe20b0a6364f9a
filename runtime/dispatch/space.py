"""Room on the disk: new work is refused while some is left, so that what goes on can still end well.

A run that ends needs a few pages of the database, a log its lines. The reserve is theirs: below it uploads and launches
are refused, and pending runs wait.
"""

import os
from pathlib import Path

from runtime.errors import ROOM_HINT, DiskFullError


class Space:
    """The file system of the state directory."""

    def __init__(self, state_dir: Path, reserve_bytes: int) -> None:
        self._state_dir = state_dir
        self.reserve_bytes = reserve_bytes

    @property
    def total_bytes(self) -> int:
        """All of it."""
        status = os.statvfs(self._state_dir)
        return status.f_blocks * status.f_frsize

    @property
    def free_bytes(self) -> int:
        """What an ordinary user can still write."""
        status = os.statvfs(self._state_dir)
        return status.f_bavail * status.f_frsize

    @property
    def is_short(self) -> bool:
        """Whether the reserve has been touched."""
        return self.free_bytes < self.reserve_bytes

    def require(self, what: str) -> None:
        """Let new work begin.

        Args:
            what: For the message: `the upload`, `the run`.

        Raises:
            DiskFullError: less than the reserve is free.
        """
        free = self.free_bytes
        if free < self.reserve_bytes:
            raise DiskFullError(
                f"{what} is refused: {megabytes(free)} are free on the disk of the state directory, "
                f"less than the {megabytes(self.reserve_bytes)} kept in reserve",
                hint=ROOM_HINT,
            )


def megabytes(number: int) -> str:
    """Bytes for people."""
    return f"{number / 1024**2:,.0f} MiB"
