"""Bytes into lines."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.runner.lines import LONGEST_LINE_BYTES, PARTIAL_LINE_SECONDS, LineSplitter


def split(*pieces: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for piece in pieces for line in splitter.feed(piece, 0.0)] + splitter.finish()


def test_lines_end_with_newlines_with_or_without_a_carriage_return() -> None:
    assert split(b"one\ntwo\r\n\nfour\n") == ["one", "two", "", "four"]


def test_a_line_may_come_in_pieces_even_within_a_character() -> None:
    data = "größe\n".encode()
    assert split(*(data[i : i + 1] for i in range(len(data)))) == ["größe"]


def test_the_last_line_needs_no_end() -> None:
    assert split(b"one\ntwo") == ["one", "two"]


def test_what_is_not_utf8_is_replaced() -> None:
    assert split(b"a\xffb\n") == ["a\ufffdb"]


def test_a_carriage_return_within_a_line_is_kept() -> None:
    assert split(b"10%\r20%\n") == ["10%\r20%"]


def test_a_long_line_is_cut_at_a_character() -> None:
    lines = split("ä".encode() * LONGEST_LINE_BYTES + b"\n")
    assert "".join(lines) == "ä" * LONGEST_LINE_BYTES
    assert {len(line.encode()) for line in lines} == {LONGEST_LINE_BYTES}


def test_a_very_long_line_is_cut_whether_it_comes_at_once_or_in_blocks() -> None:
    size = 256 * LONGEST_LINE_BYTES
    for blocks in ([b"x" * size], [b"x" * (size // 16)] * 16):
        lines = split(*blocks, b"\n")
        assert "".join(lines) == "x" * size
        assert max(map(len, lines)) == LONGEST_LINE_BYTES


def test_an_unfinished_line_is_shown_after_a_second_and_its_rest_by_itself() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"Password: ", 10.0) == []
    assert splitter.overdue(10.0 + PARTIAL_LINE_SECONDS / 2) == []
    assert splitter.pending_bytes == 10
    assert splitter.overdue(10.0 + PARTIAL_LINE_SECONDS) == ["Password: "]
    assert splitter.pending_bytes == 0
    assert splitter.overdue(100.0) == []
    assert splitter.feed(b"hidden\n", 100.0) == ["hidden"]


def test_an_unfinished_character_waits_for_its_rest() -> None:
    splitter = LineSplitter()
    splitter.feed("grö".encode()[:-1], 0.0)
    assert splitter.overdue(5.0) == ["gr"]
    assert splitter.feed("ö\n".encode()[1:], 6.0) == ["ö"]


def test_the_clock_of_an_unfinished_line_starts_with_that_line() -> None:
    splitter = LineSplitter()
    splitter.feed(b"one\ntw", 0.0)
    splitter.feed(b"o\nthr", 10.0)
    assert splitter.overdue(10.5) == []
    assert splitter.overdue(11.0) == ["thr"]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))), st.data())
def test_however_it_is_cut_nothing_is_lost(lines: list[str], data: st.DataObject) -> None:
    encoded = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=8)))
    pieces = [encoded[a:b] for a, b in zip([0, *cuts], [*cuts, len(encoded)], strict=True)]
    assert split(*pieces) == lines


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_bytes_are_handed_out_or_pending(pieces: list[bytes]) -> None:
    splitter, fed = LineSplitter(), b""
    for piece in pieces:
        fed += piece
        splitter.feed(piece, 0.0)
        assert splitter.pending_bytes == len(fed) - (fed.rfind(b"\n") + 1)
