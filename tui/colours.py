"""What the names of colours look like, and how text stays readable where there are none.

A colour only ever repeats what a word or a sign says.
"""

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.filter import LineFilter

_Shade = tuple[int, int, int]
_BLACK, _WHITE = (18, 18, 18), (235, 235, 235)


def _theme(background: _Shade, foreground: _Shade, shades: list[_Shade]) -> TerminalTheme:
    return TerminalTheme(background, foreground, [_BLACK, *shades, _WHITE], [(110, 110, 110), *shades, (255, 255, 255)])


# Red, green, yellow, blue, magenta, cyan: each of them is nearest to the colour of its name where there are but 16.
ON_DARK = _theme(
    _BLACK, _WHITE, [(255, 95, 95), (80, 220, 100), (240, 200, 60), (90, 150, 255), (190, 130, 255), (80, 210, 220)]
)
ON_LIGHT = _theme(_WHITE, _BLACK, [(180, 0, 0), (0, 120, 0), (140, 100, 0), (0, 0, 170), (140, 0, 140), (0, 120, 140)])

_LEAST_DIFFERENCE = 110
"""Between text and what is behind it, of 255 steps of grey."""


class Readable(LineFilter):
    """Where colours have become greys, text that stands out too little from what is behind it turns black or white."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text in other greys."""
        behind = (background.r, background.g, background.b)
        return [Segment(text, _readable(style, behind) if style else style, None) for text, style, _ in segments]


@lru_cache(4096)
def _readable(style: Style, background: _Shade) -> Style:
    if style.color is None or style.color.triplet is None:
        return style
    behind = style.bgcolor.triplet if style.bgcolor is not None and style.bgcolor.triplet is not None else background
    if abs(_grey(style.color.triplet) - _grey(behind)) >= _LEAST_DIFFERENCE:
        return style
    red, green, blue = _WHITE if _grey(behind) < 128 else _BLACK
    return style + Style(color=f"rgb({red},{green},{blue})")


def _grey(shade: _Shade) -> float:
    red, green, blue = shade
    return 0.299 * red + 0.587 * green + 0.114 * blue
