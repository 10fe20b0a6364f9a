"""Text, times and log lines as they are shown."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.output import times
from cli.output.log_lines import log_line
from cli.output.text import cell, clean

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb", r"a\rb"),
        ("one\ntwo", r"one\ntwo"),
        ("tab\tstays", "tab\tstays"),
        ("abc\u202edef", r"abc\u202edef"),
        ("line\u2028end", r"line\u2028end"),
        ("Ünïcödé \u65e5\u672c \U0001f34e", "Ünïcödé \u65e5\u672c \U0001f34e"),
        ("\U0001f468\u200d\U0001f33e", "\U0001f468\u200d\U0001f33e"),
        ("\ud800", r"\ud800"),
    ],
)
def test_nothing_in_a_text_steers_the_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_a_cleaned_text_has_no_control_character_but_the_tab_and_can_be_written(text: str) -> None:
    shown = clean(text)
    shown.encode()
    assert not any(character != "\t" and (ord(character) < 32 or 127 <= ord(character) < 160) for character in shown)
    assert "\t" not in cell(text)


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59.9), "59 seconds ago"),
        (timedelta(minutes=2, seconds=59), "2 minutes ago"),
        (timedelta(hours=23), "23 hours ago"),
        (timedelta(days=6), "6 days ago"),
        (timedelta(days=15), "2 weeks ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(hours=-3), "in 3 hours"),
    ],
)
def test_a_time_is_said_relative_to_now(ago: timedelta, shown: str) -> None:
    assert times.relative(NOW - ago, NOW) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (4.9, "4 s"),
        (60, "1 min"),
        (64, "1 min 4 s"),
        (7500, "2 h 5 min"),
        (3605, "1 h"),
        (266_400, "3 d 2 h"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, shown: str) -> None:
    assert times.duration(seconds) == shown


def test_an_exact_time_is_utc_with_milliseconds() -> None:
    assert times.exact(NOW.astimezone()) == "2026-01-02T03:04:05.678Z"


def test_a_log_line_looks_as_the_public_client_prints_it() -> None:
    local = NOW.astimezone().strftime("%H:%M:%S.678")
    assert log_line(0, NOW, "setup", "hello", timestamps=False) == f"[   1] {local} [setup]   hello"
    assert log_line(9999, NOW, "program", "\x1b[2Jx", timestamps=True) == (
        r"[10000] 2026-01-02T03:04:05.678Z [program] \x1b[2Jx"
    )
