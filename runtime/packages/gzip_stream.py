"""Reading exactly one gzip member from a stranger, in bounded memory.

The standard library's reader joins members and skips zero padding behind them. Both clients write one member and
nothing else, so all else is refused here: an archive has one meaning, whoever reads it.
"""

import zlib
from typing import BinaryIO

from runtime.errors import InvalidError

_CHUNK_BYTES = 256 * 1024
_GZIP_ONLY = 31  # zlib's spelling of "window of 32 KiB, gzip header and trailer"


class GzipStream:
    """The decompressed bytes of `raw`, holding at most a few chunks of 256 KiB at a time."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._inflate = zlib.decompressobj(wbits=_GZIP_ONLY)
        self._chunk = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, at least one; nothing only at the verified end.

        Raises:
            InvalidError: the stream is not gzip, damaged, truncated, or has bytes behind its end.
        """
        if self._at == len(self._chunk) and not self._fill():
            return b""
        piece = self._chunk[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def read_exactly(self, size: int) -> bytes:
        """`size` bytes, which the caller knows to be few; InvalidError where the stream ends before."""
        piece = self.read(size)
        while len(piece) < size:
            more = self.read(size - len(piece))
            if not more:
                raise InvalidError("the archive ends too early", code="package")
            piece += more
        return piece

    def _fill(self) -> bool:
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._raw.read(_CHUNK_BYTES)
            try:
                chunk = self._inflate.decompress(data, _CHUNK_BYTES)
            except zlib.error as error:
                raise InvalidError("the archive is not gzip or is damaged", code="package") from error
            if chunk:
                self._chunk, self._at = chunk, 0
                return True
            if not data and not self._inflate.eof:
                raise InvalidError("the archive is truncated", code="package")
        if self._inflate.unused_data or self._raw.read(1):
            raise InvalidError("there is something behind the end of the archive", code="package")
        return False
