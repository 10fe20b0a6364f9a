"""A log of any length: pages of it are asked for where they come into view, so a million lines open at once.

The scroll position counts lines of the log, also where they are wrapped: the line at the top says where one is.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip

from cli.output import times
from cli.output.text import clean
from runtime.wire.log_pages import level_of
from runtime.wire.logs import LogLine
from tui.widgets.scrolled_lines import ScrolledLines

PAGE_LINES = 500
KEPT_PAGES = 40
_TAB = 4
_MEASURED = 2000
"""So many characters of a line are measured; the rest is taken to be as wide as it can be."""
_KEPT_TEXTS = 200
_LEVEL_STYLES = {"error": "bold red", "warning": "yellow", "debug": "dim", "info": ""}


def drawn_text(content: str) -> str:
    """A line as it is drawn: safe for a terminal, with tabs up to the next multiple of four cells."""
    text = clean(content)
    if "\t" not in text or text.isascii():
        return text.expandtabs(_TAB)
    first, *others = text.split("\t")
    parts, width = [first], cell_len(first)
    for other in others:
        gap = _TAB - width % _TAB
        parts += (" " * gap, other)
        width += gap + cell_len(other)
    return "".join(parts)


def most_cells(content: str) -> int:
    """How many cells a line takes when it is drawn; of a very long one, how many at most."""
    width, rest = cell_len(drawn_text(content[:_MEASURED])), content[_MEASURED:]
    if rest:
        rest = clean(rest)
        width += len(rest) * (1 if rest.isascii() else 2) + rest.count("\t") * (_TAB - 1)
    return width


def first_cells(text: str, cells: int) -> str:
    """So much of a text that it fills so many cells, if there is as much; perhaps some more."""
    size = cells
    while size < len(text) and cell_len(text[:size]) < cells:
        size *= 2
    return text[:size]


def wrapped(text: str, room: int) -> list[str]:
    """Text in rows of at most so many cells; one row for an empty text. A wide character is never cut in two."""
    return chop_cells(text, room) or [""]


class LogView(ScrolledLines, can_focus=True):
    """Lines by their numbers, those that are not here yet as dots."""

    DEFAULT_CSS = """
    LogView { height: 1fr; background: $background; scrollbar-gutter: stable; scrollbar-size: 0 1; }
    LogView > .log--number { color: $foreground-muted; }
    LogView > .log--found { background: $warning 40%; text-style: bold underline; }
    LogView > .log--current { background: $surface-lighten-2; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--number", "log--found", "log--current"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "lines(-1)", "Up", show=False),
        Binding("down,j", "lines(1)", "Down", show=False),
        Binding("pageup,b", "pages(-1)", "Page up", show=False),
        Binding("pagedown,space", "pages(1)", "Page down", show=False),
        Binding("home,g", "go_to(0)", "Begin", show=False),
        Binding("end,G", "follow", "End", show=False),
        Binding("left", "sideways(-8)", "Left", show=False),
        Binding("right", "sideways(8)", "Right", show=False),
    ]

    total = var(0)
    wrap = var(False)
    following = var(True)
    show_times = var(True)

    class Wanted(Message):
        """A page that is in view and not here."""

        def __init__(self, page: int) -> None:
            super().__init__()
            self.page = page

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._pages: OrderedDict[int, list[LogLine]] = OrderedDict()
        self._asked: dict[int, int] = {}
        """Pages that are asked for, with the total at the time."""
        self._lacking: dict[int, int] = {}
        """Pages that were not told whole, with the total at the time."""
        self._texts: dict[int, str] = {}
        """Long lines as they are drawn."""
        self._widest = 0
        self._layout: list[tuple[int, bool, str | None]] = []
        self.found: int | None = None
        self.needle = ""

    # --- what is known

    def put(self, first_line: int, lines: Sequence[LogLine], total: int) -> None:
        """Take in lines that came, in order, and how many there are in all.

        A log only grows, but for one that is removed: then nothing that is here is of it.
        """
        page = first_line // PAGE_LINES
        if total < self._asked.pop(page, 0):
            self.total = total
            for forgotten in (self._pages, self._asked, self._lacking, self._texts):
                forgotten.clear()
        for line in lines:
            kept = self._pages.setdefault(line.line_num // PAGE_LINES, [])
            place = line.line_num % PAGE_LINES
            if place == len(kept):
                kept.append(line)
        self.total = max(self.total, total)
        if first_line % PAGE_LINES == 0 and len(self._pages.get(page, ())) < min(PAGE_LINES, total - first_line):
            self._lacking[page] = self.total
        self._widest = max([self._widest, *(most_cells(line.content) for line in lines)])
        self._forget_far_pages()
        self._resize()
        if self.following:
            self._scroll(self._end())
        self.refresh()

    def failed(self, page: int) -> None:
        """A page could not be had; it is asked for again when it is next in view."""
        self._asked.pop(page, None)

    def line(self, number: int) -> LogLine | None:
        """A line, if it is here; otherwise it is asked for, unless the answer is known to be without it."""
        page, place = divmod(number, PAGE_LINES)
        lines = self._pages.get(page)
        if lines is not None and place < len(lines):
            self._pages.move_to_end(page)
            return lines[place]
        if page not in self._asked and number < self.total != self._lacking.get(page):
            self._asked[page] = self.total
            self.post_message(self.Wanted(page))
        return None

    @property
    def top(self) -> int:
        """The number of the line at the top."""
        return round(self.scroll_y)

    # --- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lay the visible lines out, then draw."""
        self._layout = self._lay_out()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width = self._width
        base = self.rich_style
        if y >= len(self._layout):
            return Strip([Segment(" " * width, base)], width)
        number, is_first, text = self._layout[y]
        line = self.line(number)
        gutter = self._gutter(number, line) if is_first else " " * self._gutter_width()
        style = base
        if number == self.found:
            style = base + self.get_component_rich_style("log--current", partial=True)
        segments = [Segment(gutter, style + self.get_component_rich_style("log--number", partial=True))]
        if text is None or line is None:
            segments.append(Segment("…", style))
        else:
            level = level_of(line.content)
            body = style + Style.parse(_LEVEL_STYLES.get(level or "", "") or "none")
            left = round(self.scroll_x)
            right = left + self._room
            in_view = first_cells(text, right + len(self.needle))
            segments += Strip(self._marked(in_view, body)).crop(left, right)
        return Strip(segments).adjust_cell_length(width, style)

    def _marked(self, text: str, style: Style) -> Iterable[Segment]:
        found, at = style + self.get_component_rich_style("log--found", partial=True), 0
        for match in re.finditer(re.escape(self.needle), text, re.IGNORECASE) if self.needle else ():
            yield Segment(text[at : match.start()], style)
            yield Segment(match[0], found)
            at = match.end()
        yield Segment(text[at:], style)

    def _gutter(self, number: int, line: LogLine | None) -> str:
        digits = len(str(self.total))
        mark = ">" if number == self.found else " "
        if line is None:
            return f"{mark}{number + 1:>{digits}} ".ljust(self._gutter_width())
        when = f"{times.clock(line.reported_at)} " if self.show_times else ""
        phase = "setup " if line.phase == "setup" else ""
        level = level_of(line.content)
        sign = {"error": "E ", "warning": "W "}.get(level or "", "  ")
        return set_cell_size(f"{mark}{number + 1:>{digits}} {when}{phase or sign}", self._gutter_width())

    def _gutter_width(self) -> int:
        return len(str(self.total)) + 2 + (13 if self.show_times else 0) + 6

    def _lay_out(self) -> list[tuple[int, bool, str | None]]:
        """For each row of the screen its line, whether that begins here, and what stands there if it is known."""
        height = self._height
        rows: list[tuple[int, bool, str | None]] = []
        number = self.top
        while len(rows) < height and number < self.total:
            parts = self._parts(number)
            rows += [(number, place == 0, part) for place, part in enumerate(parts[: height - len(rows)])]
            number += 1
        return rows

    def _parts(self, number: int) -> Sequence[str | None]:
        """The rows that a line takes."""
        line = self.line(number)
        if line is None:
            return (None,)
        text = self._texts.get(number) or drawn_text(line.content)
        if len(text) > _MEASURED:
            if len(self._texts) >= _KEPT_TEXTS:
                self._texts.clear()
            self._texts[number] = text
        # No more is wrapped than a screen has room for.
        return wrapped(first_cells(text, (self._height + 1) * self._room), self._room) if self.wrap else (text,)

    @property
    def _room(self) -> int:
        """Cells for what a line says; at least those of one wide character."""
        return max(2, self._width - self._gutter_width())

    # --- moving

    def action_lines(self, by: int) -> None:
        """Scroll by lines; upwards also ends following, and the end that is reached downwards is followed."""
        top = self.top + by
        # Far from the end nothing of it is asked for.
        is_near_end = by > 0 and top >= self.total - self._height
        self.following = is_near_end and top >= min(end := self._end(), self.total - 1)
        self._scroll(end if self.following else top)

    def action_pages(self, by: int) -> None:
        """Scroll by screens."""
        self.action_lines(by * max(1, self._height - 1))

    def action_go_to(self, number: int) -> None:
        """Bring a line to the top."""
        self.following = False
        self._scroll(number)

    def action_follow(self) -> None:
        """Go to the end and stay there."""
        self.following = True
        self._scroll(self._end())

    def action_sideways(self, by: int) -> None:
        """Scroll a wide log."""
        if not self.wrap:
            self.scroll_to(x=max(0, round(self.scroll_x) + by), animate=False, force=True, immediate=True)

    def show_found(self, number: int) -> None:
        """Bring a line that was looked for to the middle."""
        self.found = number
        self.following = False
        self._scroll(number - self._height // 3)
        self.refresh()

    def watch_wrap(self) -> None:
        """Lay out anew."""
        self.scroll_to(x=0, animate=False, force=True, immediate=True)
        self._resize()
        self.refresh()

    def watch_show_times(self) -> None:
        """Draw anew."""
        self.refresh()

    def on_resize(self, _: events.Resize) -> None:
        """Keep the end in view where it is followed."""
        self._resize()
        if self.following:
            self._scroll(self._end())

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        """Reading on from here is not following."""
        self.following = False

    def _end(self) -> int:
        """The top line with which the last one is at the bottom."""
        number, rows = self.total, 0
        while number > 0 and (rows := rows + len(self._parts(number - 1))) <= self._height:
            number -= 1
        return number

    def _resize(self) -> None:
        # With wrapped lines the last one must be able to reach the top, since lines and rows are not the same.
        height = self.total + (max(0, self._height - 1) if self.wrap else 0)
        width = 0 if self.wrap else self._widest + self._gutter_width()
        self.virtual_size = Size(max(width, self._width), height)

    def _scroll(self, top: int) -> None:
        self.scroll_to(y=max(0, min(top, max(0, self.total - 1))), animate=False, force=True, immediate=True)
        self.refresh()

    def _forget_far_pages(self) -> None:
        last = (self.total - 1) // PAGE_LINES
        while len(self._pages) > KEPT_PAGES:
            oldest = next(page for page in self._pages if page != last)
            del self._pages[oldest]
