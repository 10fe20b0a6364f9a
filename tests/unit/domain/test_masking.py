"""No secret survives in a line of a log, in whatever form and however it comes."""

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.domain.masking import (
    LONGEST_PATTERN_BYTES,
    MASK,
    MOST_ENDING_TOGETHER,
    MOST_PATTERN_BYTES,
    NO_SECRETS,
    Masker,
    hiding_all,
    masker_for,
)

SECRET = 'q@zz "wörx"/+\\1'
ALPHABET = "ab\u00e4"
PATTERNS = st.sets(st.text(ALPHABET, min_size=1, max_size=6).map(str.encode), min_size=1, max_size=5)
TEXTS = st.text(ALPHABET + "c", max_size=40).map(str.encode)


def naive(patterns: set[bytes], data: bytes) -> bytes:
    """Masks byte by byte, by looking everywhere for everything."""
    hidden = [
        any(
            data[start : start + len(one)] == one and start <= place < start + len(one)
            for one in patterns
            for start in range(max(0, place - len(one) + 1), place + 1)
        )
        for place in range(len(data))
    ]
    shown = b""
    for place, is_hidden in enumerate(hidden):
        if not is_hidden:
            shown += data[place : place + 1]
        elif place == 0 or not hidden[place - 1]:
            shown += MASK.encode()
    return shown


@given(PATTERNS, TEXTS)
def test_every_byte_of_every_secret_is_masked_overlapping_ones_too(patterns: set[bytes], data: bytes) -> None:
    masked = Masker(patterns).mask(data)
    assert masked == naive(patterns, data)
    assert not any(pattern in masked for pattern in patterns)


@given(PATTERNS, TEXTS, st.data())
def test_both_sides_of_an_uncut_place_are_masked_as_one_text_would_be(
    patterns: set[bytes], data: bytes, draw: st.DataObject
) -> None:
    """The right side by itself: a reader that starts anew there knows nothing of the left one."""
    masker = Masker(patterns)
    found = masker.find(data)
    place = found.uncut(draw.draw(st.integers(0, len(data))))
    left, right = found.masked(place), masker.mask(data[place:])
    both = left + right
    assert both.replace(MASK.encode() * 2, MASK.encode()) == naive(patterns, data)


@given(PATTERNS, TEXTS, TEXTS)
def test_what_stands_before_an_open_end_is_masked_whatever_follows(
    patterns: set[bytes], data: bytes, following: bytes
) -> None:
    masker = Masker(patterns)
    found = masker.find(data)
    place = found.uncut(masker.open_end(data))
    assert found.masked(place) == masker.find(data + following).masked(place)


@pytest.mark.parametrize(
    "printed",
    [
        SECRET,
        json.dumps({"password": SECRET}),
        json.dumps({"password": SECRET}, ensure_ascii=False),
        repr([SECRET]),
        f"postgresql://loader:{quote(SECRET)}@host",
        f"postgresql://loader:{quote(SECRET, safe='')}@host",
        f"https://host/?token={quote_plus(SECRET)}&x=1",
        f"Basic {base64.b64encode(SECRET.encode()).decode()}",
        *(f"Basic {base64.b64encode((user + ':' + SECRET).encode()).decode()}" for user in ("a", "ab", "abc")),
        f"{base64.urlsafe_b64encode(b'u:' + SECRET.encode() + b':more').decode()}",
    ],
)
def test_a_secret_is_masked_in_every_form_a_program_prints_it_in(printed: str) -> None:
    masked = masker_for([SECRET]).mask_text(f"before {printed} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    for part in ("q@z", "q%40z", "w\u00f6", "u00f6", "%C3", "rx", "cUB6", "FAen", "xQHp"):
        assert part not in masked


def test_a_value_of_several_lines_is_masked_line_by_line_and_as_one_escaped_line() -> None:
    key = "-----BEGIN KEY-----\n  MIIabc123\n}\n  MIIdef456\n-----END KEY-----\n"
    masker = masker_for([key])
    assert [masker.mask_text(line) for line in key.splitlines()] == [MASK, f"  {MASK}", "}", f"  {MASK}", MASK]
    assert masker.mask_text(json.dumps({"key": key})) == f'{{"key": "{MASK}\\n"}}'


def test_space_around_a_value_does_not_hide_it() -> None:
    assert masker_for(["  hunter2\r\n"]).mask_text("is 'hunter2'.") == f"is '{MASK}'."


def test_secrets_that_touch_share_one_mask_and_others_have_their_own() -> None:
    masker = masker_for(["hunter2", "12345678"])
    assert masker.mask_text("hunter212345678 hunter2hunter2") == f"{MASK} {MASK}"


def test_what_is_not_worth_masking_is_left_alone() -> None:
    line = "2024-01-01 prod wrote 1 row, true"
    assert masker_for(["prod", "1", "true", "row", ""]).mask_text(line) == line


def test_a_very_long_value_is_masked_whole() -> None:
    value = "".join(f"{number:x}-" for number in range(10_000, 15_000))
    masker = masker_for([value])
    assert masker.lookahead < LONGEST_PATTERN_BYTES
    assert masker.mask_text(f"<{value}>") == f"<{MASK}>"


def test_without_secrets_a_line_passes_untouched() -> None:
    line = b"anything"
    assert NO_SECRETS.mask(line) is line
    assert NO_SECRETS.lookahead == 0
    assert NO_SECRETS.open_end(line) == len(line)


def test_where_secrets_are_unknown_nothing_is_shown() -> None:
    masker = hiding_all("nobody knows")
    assert (masker.mask_text("anything"), masker.mask_text(""), masker.withheld) == (MASK, "", "nobody knows")


@pytest.mark.parametrize(
    "values",
    [
        [f"{number:0100}" for number in range(MOST_PATTERN_BYTES // 100 + 1)],
        ["".join(f"{number:x}" for number in range(MOST_PATTERN_BYTES))],
        ["z" * length for length in range(4, 5 + MOST_ENDING_TOGETHER)],
    ],
    ids=["many", "huge", "endings of each other"],
)
def test_values_made_to_exhaust_the_daemon_hide_the_whole_log(values: list[str]) -> None:
    assert masker_for(values).withheld


@given(st.lists(st.text(min_size=4, max_size=20), max_size=4), st.text(max_size=60))
@example(["0" * 7], "0" * 20)
def test_no_text_is_too_strange_to_mask(values: list[str], line: str) -> None:
    masker = masker_for(values)
    masked = masker.mask_text(line)
    assert masked.encode() == masker.mask(line.encode())


def test_fifty_secrets_do_not_slow_a_log_of_fifty_thousand_lines_a_second() -> None:
    """Half a processor at most, on any machine; measured, it is a tenth of that."""
    masker = masker_for([f"sk-{number:04}-{number * 7919:032x}" for number in range(50)])
    lines = [b"2026-01-02 03:04:05 INFO wrote %d rows into table orders in 0.53 seconds" % n for n in range(50_000)]
    started = time.process_time()
    for line in lines:
        masker.mask(line)
    assert time.process_time() - started < 0.5
