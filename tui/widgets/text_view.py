"""Text that is wider and longer than the screen: lines as they are, moved by keys in both directions."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip

from tui.widgets.scrolled_lines import ScrolledLines

_MARGIN = 1


class TextView(ScrolledLines, can_focus=True):
    """Only lines on the screen are drawn. They must be fit to be shown already.

    Args:
        style: Of a line, by its text; a style of Rich. It only repeats what the line says.
    """

    DEFAULT_CSS = "TextView { height: 1fr; background: $background; scrollbar-size: 1 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
    ]

    def __init__(self, *, style: Callable[[str], str] | None = None, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._style = style
        self.lines: Sequence[str] = ()
        self._is_plain = False

    def show(self, lines: Sequence[str], *, is_plain: bool = False) -> None:
        """Show these, from the first on.

        Args:
            is_plain: None of them has a style.
        """
        self._is_plain = is_plain
        self.lines = [line.expandtabs(4) for line in lines]
        width = max((cell_len(line) for line in self.lines), default=0)
        self.virtual_size = Size(width + 2 * _MARGIN, len(self.lines))
        self.scroll_to(0, 0, animate=False, immediate=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        left, top = round(self.scroll_x), round(self.scroll_y)
        base, width = self.rich_style, self._width
        place = y + top
        if place >= len(self.lines):
            return Strip([Segment(" " * width, base)], width)
        line = self.lines[place]
        style = base + Style.parse(self._style(line)) if self._style and not self._is_plain else base
        strip = Strip([Segment(" " * _MARGIN, base), Segment(line, style)])
        return strip.crop(left, left + width).adjust_cell_length(width, base)
