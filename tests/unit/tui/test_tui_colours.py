"""Sixteen colours, and none: what is said stays readable, and red stays red."""

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.color import Color

from tui.colours import ON_DARK, ON_LIGHT, Readable

NAMES = {"red": 1, "green": 2, "yellow": 3, "cyan": 6}


@pytest.mark.parametrize("theme", [ON_DARK, ON_LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("name", NAMES)
def test_a_colour_is_the_one_of_its_name_where_there_are_sixteen(theme: TerminalTheme, name: str) -> None:
    """A failure must not look like a cancelled run."""
    shade = RichColor.parse(name).get_truecolor(theme)
    assert (RichColor.from_triplet(shade).downgrade(ColorSystem.STANDARD).number or 0) % 8 == NAMES[name]


@pytest.mark.parametrize(
    ("behind", "shown"), [("rgb(18,18,18)", "rgb(58,58,58)"), ("rgb(240,240,240)", "rgb(200,200,200)")]
)
def test_grey_on_nearly_the_same_grey_becomes_readable(behind: str, shown: str) -> None:
    """As a red word does on black where `NO_COLOR` is set."""
    (segment,) = Readable().apply([Segment("failed", Style.parse(f"bold {shown} on {behind}"))], Color.parse("black"))
    assert segment.style is not None
    assert segment.style.color is not None
    assert segment.style.bold
    assert segment.style.color.triplet in ((235, 235, 235), (18, 18, 18))
    assert segment.style.color != Style.parse(shown).color


def test_what_stands_out_stays_as_it_is() -> None:
    styles = [Style.parse("rgb(200,200,200) on rgb(18,18,18)"), Style.parse("bold"), None]
    segments = [Segment("text", style) for style in styles]
    assert [one.style for one in Readable().apply(segments, Color.parse("black"))] == styles
