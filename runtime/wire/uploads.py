"""Sending a file while saying how much of it has gone."""

from collections.abc import Callable
from typing import BinaryIO

Progress = Callable[[int], None]
"""Called with the number of bytes sent so far."""


class ReportingFile:
    """A file open for reading that reports what has been read of it.

    httpx reads it in chunks, learns its length from `fileno`, and seeks to the start to send it a second time.
    """

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        """Read and report."""
        chunk = self._file.read(size)
        self._progress(self._file.tell())
        return chunk

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, as files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where the next read begins."""
        return self._file.tell()

    def fileno(self) -> int:
        """The descriptor, whose size is the upload's."""
        return self._file.fileno()
