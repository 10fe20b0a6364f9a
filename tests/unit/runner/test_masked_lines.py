"""Bytes into lines without secrets: however they come and wherever they are cut."""

import re
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.masking import MASK, Masker, masker_for
from runtime.runner import lines as module
from runtime.runner.lines import LONGEST_LINE_BYTES, PARTIAL_LINE_SECONDS, LineSplitter

SECRET = "hunter2-hunter2"
PATTERNS = st.sets(st.text("ab\u00e4", min_size=2, max_size=4).map(str.encode), min_size=1, max_size=4)
OUTPUTS = st.lists(st.sampled_from("aaaabbbb\u00e4\u00e4c\n"), min_size=10, max_size=60).map(
    lambda s: "".join(s).encode()
)
PLAIN_PATTERNS = st.sets(st.text("ab", min_size=2, max_size=4).map(str.encode), min_size=1, max_size=4)
PLAIN_OUTPUTS = st.lists(st.sampled_from("aaabbbc\n"), min_size=10, max_size=60).map(lambda s: "".join(s).encode())
SHORT_LINES = mock.patch.object(module, "LONGEST_LINE_BYTES", 9)  # longer than any of the patterns


def split(masker: Masker, *pieces: bytes) -> list[str]:
    splitter = LineSplitter(masker)
    return [line for piece in pieces for line in splitter.feed(piece, 0.0)] + splitter.finish()


def cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    """The same bytes in several writes."""
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def one_mask(text: str) -> str:
    return re.sub(rf"(?:{re.escape(MASK)})+", MASK, text)


@SHORT_LINES
@given(PATTERNS, OUTPUTS, st.data())
def test_however_it_is_written_the_masked_lines_are_the_same(
    patterns: set[bytes], output: bytes, draw: st.DataObject
) -> None:
    masker = Masker(patterns)
    assert split(masker, *cut(output, draw)) == split(masker, output)


@SHORT_LINES
@given(PATTERNS, OUTPUTS)
def test_cut_lines_put_together_are_the_masked_whole(patterns: set[bytes], output: bytes) -> None:
    masker = Masker(patterns)
    whole = [masker.mask(line).decode() for line in output.split(b"\n")]
    assert one_mask("".join(split(masker, output))) == one_mask("".join(whole))


@SHORT_LINES
@given(PLAIN_PATTERNS, PLAIN_OUTPUTS, st.data())
def test_neither_pauses_nor_new_daemons_let_a_secret_through(
    patterns: set[bytes], output: bytes, draw: st.DataObject
) -> None:
    """After each write, time may pass, or another daemon may take over and read on from the stored offset."""
    masker, now = Masker(patterns), 0.0
    splitter, shown, fed = LineSplitter(masker), list[str](), b""
    for piece in cut(output, draw):
        fed += piece
        shown += splitter.feed(piece, now)
        event = draw.draw(st.sampled_from(["nothing", "pause", "long pause", "restart"]))
        for _ in range({"pause": 1, "long pause": 20}.get(event, 0)):
            now += PARTIAL_LINE_SECONDS
            shown += splitter.overdue(now)
        if event == "restart":
            pending = fed[len(fed) - splitter.pending_bytes :]
            splitter = LineSplitter(masker)
            shown += splitter.feed(pending, now)
    text = one_mask("".join([*shown, *splitter.finish()]))
    assert text == one_mask("".join(masker.mask(line).decode() for line in output.split(b"\n")))
    assert not any(pattern.decode() in line for pattern in patterns for line in shown)


def test_a_secret_split_over_two_writes_is_masked() -> None:
    assert split(masker_for([SECRET]), b"is hunter2-", b"hunter2.\n") == [f"is {MASK}."]


def test_a_secret_across_the_place_where_a_long_line_is_cut_is_masked_in_the_second_piece() -> None:
    before = b"x" * (LONGEST_LINE_BYTES - 5)
    first, second = split(masker_for([SECRET]), before + SECRET.encode() + b"y\n")
    assert (first, second) == (before.decode(), f"{MASK}y")


def test_a_secret_shown_half_after_a_second_is_held_back_until_it_is_known() -> None:
    splitter = LineSplitter(masker_for([SECRET]))
    splitter.feed(b"Password: hunter2-hun", 0.0)
    assert splitter.overdue(1.0) == ["Password: "]
    assert splitter.pending_bytes == len("hunter2-hun")
    assert splitter.overdue(100.0) == []
    assert splitter.feed(b"ter2!", 100.0) == []
    assert splitter.overdue(101.0) == [f"{MASK}!"]
    assert splitter.pending_bytes == 0


def test_what_was_held_back_and_became_no_secret_is_shown() -> None:
    splitter = LineSplitter(masker_for([SECRET]))
    splitter.feed(b"hunt", 0.0)
    assert splitter.overdue(5.0) == []
    assert splitter.feed(b"ing season\n", 6.0) == ["hunting season"]
    splitter.feed(b"hunt", 7.0)
    assert splitter.finish() == ["hunt"]


@pytest.mark.parametrize("blocks", [1, 7])
def test_a_line_of_nothing_but_secrets_is_masked_to_its_end(blocks: int) -> None:
    output = SECRET.encode() * (3 * LONGEST_LINE_BYTES // len(SECRET))
    size = len(output) // blocks + 1
    pieces = [output[start : start + size] for start in range(0, len(output), size)]
    assert split(masker_for([SECRET]), *pieces) == [MASK] * 3
