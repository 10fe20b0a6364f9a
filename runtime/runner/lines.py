"""Cuts a program's output into log lines. Pure: bytes and the time go in, text comes out."""

LONGEST_LINE_BYTES = 64 * 1024
"""A longer line is cut into several."""
PARTIAL_LINE_SECONDS = 1.0
"""A line without an end, a prompt or a progress bar, is shown after this long; the rest of it is a line of its own."""


class LineSplitter:
    """Splits one stream; UTF-8, with the replacement character for what is not.

    `pending_bytes` is how much of what was fed is not part of a line handed out yet: a reader that wants to resume
    after a crash remembers its offset less this.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._since = 0.0

    @property
    def pending_bytes(self) -> int:
        """Bytes fed and not yet handed out."""
        return len(self._rest)

    def feed(self, data: bytes, now: float) -> list[str]:
        """Take bytes as they come, hand out the lines they complete.

        Args:
            now: Seconds on any clock that does not run backwards; used by `overdue`.
        """
        head, newline, tail = (self._rest + data).rpartition(b"\n")
        if newline or not self._rest:
            self._since = now
        lines = [text for line in head.split(b"\n") for text in _texts(line)] if newline else []
        if len(tail) > LONGEST_LINE_BYTES:
            *cut, tail = _pieces(tail)
            lines += [_decode(piece) for piece in cut]
        self._rest = tail
        return lines

    def overdue(self, now: float) -> list[str]:
        """The unfinished line, once it has waited `PARTIAL_LINE_SECONDS`; call it at least that often."""
        if not self._rest or now - self._since < PARTIAL_LINE_SECONDS:
            return []
        cut = _boundary(self._rest, len(self._rest))
        # A character that has not arrived whole stays; unless nothing else is there, then it will never be whole.
        whole, self._rest = (self._rest[:cut], self._rest[cut:]) if cut else (self._rest, b"")
        self._since = now
        return [_decode(whole)]

    def finish(self) -> list[str]:
        """The unfinished line, when nothing will follow."""
        rest, self._rest = self._rest, b""
        return list(_texts(rest)) if rest else []


def _texts(line: bytes) -> list[str]:
    if len(line) <= LONGEST_LINE_BYTES:
        return [_decode(line)]
    return [_decode(piece) for piece in _pieces(line)]


def _pieces(line: bytes) -> list[bytes]:
    """Cut into pieces of at most `LONGEST_LINE_BYTES`, not within a character."""
    pieces, start = [], 0
    while len(line) - start > LONGEST_LINE_BYTES:
        window = line[start : start + LONGEST_LINE_BYTES]
        size = _boundary(window, len(window))
        pieces.append(window[:size])
        start += size
    return [*pieces, line[start:]]


def _decode(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


def _boundary(data: bytes, end: int) -> int:
    """The last place at or before `end` that does not cut a UTF-8 character in two; `end` if it is not UTF-8."""
    if end == 0:
        return 0
    for back in range(1, min(4, end) + 1):
        byte = data[end - back]
        if byte & 0xC0 == 0x80:
            continue
        length = 1 if byte < 0x80 else 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4
        return end if back >= length else end - back
    return end
