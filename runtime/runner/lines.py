"""Cuts a program's output into log lines and masks secrets in them. Pure: bytes and the time go in, text comes out."""

from runtime.domain.masking import NO_SECRETS, Masker

LONGEST_LINE_BYTES = 64 * 1024
"""A longer line is cut into several."""
PARTIAL_LINE_SECONDS = 1.0
"""A line without an end, a prompt or a progress bar, is shown after this long; the rest of it is a line of its own."""


class LineSplitter:
    """Splits one stream; UTF-8, with the replacement character for what is not.

    No line is cut within a secret, and the end of an unfinished one is held back while it may be the beginning of a
    secret. `pending_bytes` is how much of what was fed is not part of a line handed out yet: a reader that wants to
    resume after a crash remembers its offset less this, and needs to remember nothing else.
    """

    def __init__(self, masker: Masker = NO_SECRETS) -> None:
        self._masker = masker
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
        lines = [text for line in head.split(b"\n") for text in self._texts(line)] if newline else []
        cut, self._rest = self._cut(tail, more_may_come=True)
        return lines + cut

    def overdue(self, now: float) -> list[str]:
        """The unfinished line, once it has waited `PARTIAL_LINE_SECONDS`; call it at least that often."""
        if not self._rest or now - self._since < PARTIAL_LINE_SECONDS:
            return []
        # A character that has not arrived whole stays; unless nothing else is there, then it will never be whole.
        end = _boundary(self._rest, min(len(self._rest), LONGEST_LINE_BYTES)) or len(self._rest)
        found = self._masker.find(self._rest)
        end = found.uncut(min(end, self._masker.open_end(self._rest)))
        self._rest, self._since = self._rest[end:], now
        return [_decode(found.masked(end))] if end else []

    def finish(self) -> list[str]:
        """The unfinished line, when nothing will follow."""
        rest, self._rest = self._rest, b""
        return self._texts(rest) if rest else []

    def _texts(self, line: bytes) -> list[str]:
        """A whole line, in as many pieces as it takes."""
        if len(line) <= LONGEST_LINE_BYTES:
            return [_decode(self._masker.mask(line))]
        cut, rest = self._cut(line, more_may_come=False)
        return [*cut, _decode(self._masker.mask(rest))]

    def _cut(self, line: bytes, *, more_may_come: bool) -> tuple[list[str], bytes]:
        """Cut pieces of at most `LONGEST_LINE_BYTES` off a line, within neither a character nor a secret.

        Where a cut may lie across a secret that has not arrived whole, it waits: the pieces are the same, however the
        line comes.
        """
        keep = LONGEST_LINE_BYTES + (self._masker.lookahead if more_may_come else 0)
        pieces: list[str] = []
        start = 0
        while len(line) - start > keep:
            window = line[start : start + LONGEST_LINE_BYTES + self._masker.lookahead]
            found = self._masker.find(window)
            place = found.uncut(_boundary(window, LONGEST_LINE_BYTES))
            pieces.append(_decode(found.masked(place)))
            start += place
        return pieces, line[start:]


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
