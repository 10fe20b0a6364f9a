"""Masking secrets in what programs print. Pure: values go in, a masker comes out; it knows bytes and no files.

Every byte of every occurrence of every secret is masked, overlapping ones included, whichever form it stands in: as it
is, as JSON, as a Python literal, percent-encoded for a URL, or somewhere within a base64 text. A value of several lines
is a secret line by line, since logs are read line by line.

A text that comes in pieces must not be cut within a secret, or neither piece would show it. `Found.uncut` moves a cut
to where a secret begins; `Masker.open_end` says where the end of a text may be the beginning of one. What is then
handed out is masked for good, and what is held back can be looked at again from there without any memory of what came
before: a reader that starts anew at a cut masks the same bytes.
"""

import base64
import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from ahocorasick_rs import BytesAhoCorasick

from runtime.domain.secret_values import is_worth_masking

MASK = "***"

LONGEST_PATTERN_BYTES = 512
"""A longer secret is looked for in parts, so that this much context is always enough to see one."""
MOST_PATTERN_BYTES = 512 * 1024
"""Some 10 MB of memory and 60 ms to prepare; beyond that everything is masked."""
MOST_ENDING_TOGETHER = 8
"""How many secrets may end at the same place, each the end of the next (`abcd`, `xabcd`, ...). Made on purpose,
thousands of them would make a short line match millions of times; beyond this everything is masked."""

_LONGEST_ENCODED_CHARACTERS = 16 * 1024
"""A longer value is masked as it is, line by line, and not in encoded forms."""
_SHORTEST_BASE64 = 8
_BASE64_LEAD = (0, 2, 3)
"""How many characters of a base64 text also depend on what comes 0, 1 or 2 bytes before."""

Match = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """The secrets in a text, as places from and to; they may overlap."""

    data: bytes = field(repr=False)
    matches: Sequence[Match]
    hides_all: bool = False

    def uncut(self, place: int) -> int:
        """The nearest place at or before `place` where a cut lets the rest be masked without the part before it."""
        return min((start for start, end in self.matches if start < place < end), default=place)

    def masked(self, until: int) -> bytes:
        """The text up to a place, which may lie within a secret; secrets that touch share one mask."""
        if self.hides_all:
            return MASK.encode() if until else b""
        parts: list[bytes] = []
        reached = 0
        for start, end in sorted(self.matches):
            if start >= until:
                break
            if start > reached or not parts:
                parts += (self.data[reached:start], MASK.encode())
            reached = max(reached, end)
        return b"".join([*parts, self.data[reached:until]])


class Masker:
    """Finds and masks a set of secrets; make it with `masker_for`.

    Attributes:
        lookahead: How many bytes beyond a place must be known before it is certain that no secret lies across it.
        withheld: Why everything is masked, where it is.
    """

    def __init__(self, patterns: Iterable[bytes], *, withheld: str | None = None) -> None:
        self._patterns = sorted(set(patterns))
        self._automaton = BytesAhoCorasick(self._patterns) if self._patterns else None
        self.withheld = withheld
        self.lookahead = max(map(len, self._patterns), default=1) - 1

    def find(self, data: bytes) -> Found:
        """All secrets in a text without newlines."""
        matches = self._automaton.find_matches_as_indexes(data, overlapping=True) if self._automaton else []
        return Found(data, [(start, end) for _, start, end in matches], self.withheld is not None)

    def mask(self, data: bytes) -> bytes:
        """A whole line, masked; the very same object if there is nothing to mask."""
        if self.withheld is None and not (
            self._automaton and self._automaton.find_matches_as_indexes(data, overlapping=True)
        ):
            return data
        return self.find(data).masked(len(data))

    def mask_text(self, text: str) -> str:
        """As `mask`, for a line that is text already."""
        data = text.encode(errors="replace")
        masked = self.mask(data)
        return text if masked is data else masked.decode(errors="replace")

    def open_end(self, data: bytes) -> int:
        """Where the longest beginning of a secret starts that the text ends with; its length if there is none."""
        for start in range(max(0, len(data) - self.lookahead), len(data)):
            tail = data[start:]
            following = bisect_right(self._patterns, tail)
            if following < len(self._patterns) and self._patterns[following].startswith(tail):
                return start
        return len(data)


NO_SECRETS = Masker(())
"""Lets everything pass."""


def hiding_all(why: str) -> Masker:
    """A masker that shows nothing: where secrets are not known, no line can be known to be free of them."""
    return Masker((), withheld=why)


def masker_for(values: Iterable[str]) -> Masker:
    """The masker of these values; those not worth masking are left alone (`secret_values.is_worth_masking`)."""
    patterns = {piece for value in values for form in _forms(value.strip()) for piece in _pieces(form)}
    if sum(map(len, patterns)) > MOST_PATTERN_BYTES:
        return hiding_all("the secrets files hold more values than can be masked")
    if _most_ending_together(patterns) > MOST_ENDING_TOGETHER:
        return hiding_all("too many values of the secrets files are endings of each other")
    return Masker(patterns)


def _forms(value: str) -> Iterator[bytes]:
    """The ways in which a value, or a line of it, may stand in one line of a log."""
    lines = {line.strip() for line in value.split("\n")}
    for line in filter(is_worth_masking, lines):
        yield line.encode()
    if len(value) > _LONGEST_ENCODED_CHARACTERS:
        return
    for text in filter(is_worth_masking, lines | {value}):
        yield from (form.encode() for form in _escaped(text))
    if is_worth_masking(value):
        yield from _base64_forms(value.encode())


def _escaped(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield quote(text)
    yield quote(text, safe="")
    yield quote(text, safe=" +")  # as SQLAlchemy writes passwords into URLs
    yield quote_plus(text)


def _base64_forms(content: bytes) -> Iterator[bytes]:
    """The part of a base64 text that is the same whatever stands before and after: `user:password`, for one."""
    for shift, lead in enumerate(_BASE64_LEAD):
        encoded = base64.b64encode(bytes(shift) + content)[lead : (shift + len(content)) * 8 // 6]
        if len(encoded) >= _SHORTEST_BASE64:
            yield encoded
            yield encoded.translate(bytes.maketrans(b"+/", b"-_"))


def _pieces(form: bytes) -> Iterator[bytes]:
    count = math.ceil(len(form) / LONGEST_PATTERN_BYTES)
    size = math.ceil(len(form) / count)
    return (form[start : start + size] for start in range(0, len(form), size))


def _most_ending_together(patterns: Iterable[bytes]) -> int:
    """The length of the longest chain of patterns in which each is the end of the next."""
    chain: list[bytes] = []
    longest = 0
    for backwards in sorted(pattern[::-1] for pattern in patterns):
        while chain and not backwards.startswith(chain[-1]):
            chain.pop()
        chain.append(backwards)
        longest = max(longest, len(chain))
    return longest
