"""A table of any length: only the rows on the screen are drawn, so two thousand jobs cost what twenty do.

Columns give way where the terminal is narrow. The row under the cursor is marked by a sign as well as by its colours.

What keys act on is the row that was marked when somebody looked, whatever has come since: the mark goes with its row.
Where it cannot, because the row is gone, or has left the view of somebody who looks at the top, where the newest comes,
there is no mark until a key or the mouse sets one, and `current` is None.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from tui.widgets.scrolled_lines import ScrolledLines

Row = TypeVar("Row")

_GAP = 2
_MARK = 2
_HEADING = 1
_UNKNOWN = "not known yet"
"""Stands where rows will, until they or their absence are shown."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column of a listing.

    Attributes:
        title: Its heading, or what says it whenever it is drawn.
        width: In cells; 0 takes what is left.
        style: Of a row's value, a style of Rich.
        order: What rows are sorted by; None for a column that is not sorted.
        spare: Columns shown only where there is room; the highest goes first, 0 never.
        least: Cells that one without a width has, as long as there are others that can go.
    """

    title: str | Callable[[], str]
    value: Callable[[Row], str]
    width: int = 0
    style: Callable[[Row], str] | None = None
    order: Callable[[Row], Any] | None = None
    spare: int = 0
    right: bool = False
    least: int = 16


class Listing(ScrolledLines, Generic[Row], can_focus=True):
    """Rows under a heading, one of which is marked."""

    DEFAULT_CSS = """
    Listing { height: 1fr; background: $background; scrollbar-gutter: stable; scrollbar-size: 0 1; }
    Listing > .listing--heading { color: $foreground-muted; text-style: bold underline; }
    Listing > .listing--cursor { background: $surface-lighten-2; text-style: bold; }
    Listing:focus > .listing--cursor { background: $primary; color: $text; text-style: bold; }
    Listing > .listing--empty { color: $foreground-muted; text-style: italic; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "listing--heading",
        "listing--cursor",
        "listing--empty",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(False)", "First", show=False),
        Binding("end", "edge(True)", "Last", show=False),
        Binding("enter", "choose", "Open"),
        Binding("less_than_sign", "sort(-1)", "Sort by the column before", show=False),
        Binding("greater_than_sign", "sort(1)", "Sort by the next column", show=False),
    ]

    class Highlighted(Message):
        """The cursor is on another row, or on none."""

        def __init__(self, listing: "Listing[Any]", row: Any) -> None:
            super().__init__()
            self.listing = listing
            self.row = row

        @property
        def control(self) -> "Listing[Any]":
            """Whose cursor it is."""
            return self.listing

    class Chosen(Highlighted):
        """A row was chosen, by Enter or the mouse."""

    class EndReached(Message):
        """The cursor is on the last row, or was moved where there is none: if there is more, it is wanted now."""

        def __init__(self, listing: "Listing[Any]") -> None:
            super().__init__()
            self.listing = listing

        @property
        def control(self) -> "Listing[Any]":
            """Whose end it is."""
            return self.listing

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        key: Callable[[Row], Hashable],
        *,
        empty: str = "nothing here",
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._key = key
        self._empty = empty
        self._is_known = False
        self._rows: list[Row] = []
        self._shown: list[tuple[Column[Row], int]] = []
        self.cursor = 0
        self._base = Style()
        self.is_marked = False
        self._is_at_top = True
        self._begins_anew = True
        self.sorted_by: int | None = None
        self.is_descending = False

    @property
    def rows(self) -> Sequence[Row]:
        """In the order shown."""
        return self._rows

    @property
    def current(self) -> Row | None:
        """The marked row."""
        return self._rows[self.cursor] if self.is_marked and self.cursor < len(self._rows) else None

    def say_empty(self, text: str) -> None:
        """What stands in place of rows when there are none."""
        self._empty = text
        self.refresh()

    def show(self, rows: Sequence[Row], *, anew: bool = False) -> None:
        """Show these rows; the mark stays on its row.

        Args:
            anew: Somebody has asked for other rows, so that the first is marked, also where it comes only later.
        """
        before = self.current
        begins = anew or self._begins_anew
        self._rows, self._is_known = self._in_order(rows), True
        self._begins_anew = begins and not self._rows
        if begins:
            self.cursor, self.is_marked, self._is_at_top = 0, bool(self._rows), True
        elif before is not None:
            self._go_along(self._key(before))
        self.cursor = min(self.cursor, max(0, len(self._rows) - 1))
        self._measure()
        after = self.current
        if (before is None) != (after is None) or (
            before is not None and after is not None and self._key(before) != self._key(after)
        ):
            self.post_message(self.Highlighted(self, after))
        self._follow_cursor()
        self.refresh()

    def _go_along(self, marked: Hashable) -> None:
        """Put the cursor where the marked row is now, or take the mark away."""
        near = [self.cursor] if self.cursor < len(self._rows) else []
        places = (place for place in (*near, *range(len(self._rows))) if self._key(self._rows[place]) == marked)
        place = next(places, None)
        if place is None:
            self.is_marked = False
        elif self._is_at_top and place >= self._height - _HEADING > 0:
            self.cursor, self.is_marked = 0, False
        else:
            self.cursor = place

    def mark(self) -> None:
        """Mark the row at the cursor, if none is marked."""
        if not self.is_marked and self._rows:
            self._go_to(self.cursor)

    def replace(self, rows: Mapping[Any, Row]) -> bool:
        """Show newer rows in the places of those of the same keys, which costs less than showing all anew.

        Returns:
            False, with nothing done, if that would not do: one is not shown, or the order may be another now.
        """
        if self.sorted_by is not None:
            return False
        places = [place for place, row in enumerate(self._rows) if self._key(row) in rows]
        if len(places) < len(rows):
            return False
        for place in places:
            self._rows[place] = rows[self._key(self._rows[place])]
        self.refresh()
        return True

    def select(self, key: Hashable) -> None:
        """Put the cursor on a row, if it is there."""
        for place, row in enumerate(self._rows):
            if self._key(row) == key:
                self._go_to(place)
                return

    # --- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the screen, all on one background, which is not worked out for each."""
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One row of the screen; the heading does not scroll."""
        width = self._width
        base = self._base
        if y == 0:
            style = base + self.get_component_rich_style("listing--heading", partial=True)
            return self._strip([(self._title(column), style) for column, _ in self._shown], "  ", style, width)
        place = y - _HEADING + round(self.scroll_y)
        if place >= len(self._rows):
            if not self._rows and y == _HEADING + 1:
                style = base + self.get_component_rich_style("listing--empty", partial=True)
                text = self._empty if self._is_known else _UNKNOWN
                return Strip([Segment(set_cell_size(f"  {text}", width), style)], width)
            return Strip([Segment(" " * width, base)], width)
        row = self._rows[place]
        is_current = self.is_marked and place == self.cursor
        line = base + self.get_component_rich_style("listing--cursor", partial=True) if is_current else base
        cells = [
            (column.value(row), line if is_current or column.style is None else line + Style.parse(column.style(row)))
            for column, _ in self._shown
        ]
        return self._strip(cells, "> " if is_current else "  ", line, width)

    def _strip(self, cells: Sequence[tuple[str, Style]], mark: str, line: Style, width: int) -> Strip:
        segments = [Segment(mark, line)]
        for (text, style), (column, size) in zip(cells, self._shown, strict=True):
            shown = _cut(text, size)
            if column.right:
                shown = " " * (size - cell_len(shown)) + shown
            segments.append(Segment(set_cell_size(shown, size), style))
            segments.append(Segment(" " * _GAP, line))
        return Strip(segments).adjust_cell_length(width, line)

    def _title(self, column: Column[Row]) -> str:
        title = column.title if isinstance(column.title, str) else column.title()
        if self.sorted_by is not None and self._columns[self.sorted_by] is column:
            return f"{title} {'▼' if self.is_descending else '▲'}"
        return title

    def _measure(self) -> None:
        """Which columns fit, and how wide they are."""
        room = self._width - _MARK
        shown = list(self._columns)

        def needed() -> int:
            return sum((column.width or column.least) + _GAP for column in shown)

        while needed() > room and any(column.spare for column in shown):
            shown.remove(max(shown, key=lambda column: column.spare))
        flexible = [column for column in shown if not column.width]
        left = room - sum(column.width + _GAP for column in shown)
        share = max(8, left // len(flexible)) if flexible else 0
        self._shown = [(column, column.width or share) for column in shown]
        self.virtual_size = Size(self._width, len(self._rows) + _HEADING)

    def on_resize(self, _: events.Resize) -> None:
        """Choose the columns that fit now."""
        self._measure()
        self._follow_cursor()

    # --- moving

    def action_move(self, by: int) -> None:
        """Move the cursor; without a mark, set it."""
        self._go_to(self.cursor + by if self.is_marked else self.cursor)

    def action_page(self, by: int) -> None:
        """Move it by a screen."""
        self._go_to(self.cursor + by * max(1, self._height - _HEADING - 1))

    def action_edge(self, last: bool) -> None:
        """Move it to the first or last row."""
        self._go_to(len(self._rows) - 1 if last else 0)

    def action_choose(self) -> None:
        """Choose the marked row; without a mark, set it."""
        if self.current is None:
            self.mark()
        else:
            self._is_at_top = False  # who comes back finds it marked
            self.post_message(self.Chosen(self, self.current))

    def action_sort(self, by: int) -> None:
        """Sort by the next column that is shown and can be sorted; after the last the order is the usual one."""
        able: list[int | None] = [None, *(self._columns.index(column) for column, _ in self._shown if column.order)]
        place = able.index(self.sorted_by) if self.sorted_by in able else 0  # there may be less room than there was
        self.sort_by(able[(place + by) % len(able)], is_descending=False)

    def sort_by(self, place: int | None, *, is_descending: bool) -> None:
        """Sort by a column, None for the order in which the rows were given."""
        self.sorted_by, self.is_descending = place, is_descending
        self._begins_anew = self._is_at_top
        self.post_message(self.Sorted())

    class Sorted(Message):
        """Another order is wanted: whoever owns the rows shows them again."""

    def on_click(self, event: events.Click) -> None:
        """The heading sorts; a row gets the cursor, and twice chooses it."""
        place = event.y - _HEADING + round(self.scroll_y)
        if event.y == 0:
            self._sort_at(event.x)
        elif place < len(self._rows):
            was_current = self.is_marked and place == self.cursor
            self._go_to(place)
            if event.chain > 1 or was_current:
                self.action_choose()

    def _sort_at(self, x: int) -> None:
        at = _MARK
        for column, size in self._shown:
            if at <= x < at + size + _GAP and column.order is not None:
                place = self._columns.index(column)
                self.sort_by(place, is_descending=self.sorted_by == place and not self.is_descending)
            at += size + _GAP

    def on_focus(self) -> None:
        """Who comes here finds a mark."""
        self.mark()

    def _go_to(self, place: int) -> None:
        before, place = self.cursor, max(0, min(place, len(self._rows) - 1))
        if self._rows and (place != before or not self.is_marked):
            self.cursor, self.is_marked = place, True
            self.post_message(self.Highlighted(self, self.current))
        self._is_at_top = place == 0
        if place >= len(self._rows) - 1:
            self.post_message(self.EndReached(self))
        self._follow_cursor()
        for changed in {before, place}:  # scrolling draws everything by itself
            self.refresh_line(changed + _HEADING)

    def _follow_cursor(self) -> None:
        height = self._height - _HEADING
        if height < 1:
            return  # it has no place on the screen yet
        top = round(self.scroll_y)
        wanted = min(max(top, self.cursor - height + 1), self.cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True, immediate=True)

    def _in_order(self, rows: Sequence[Row]) -> list[Row]:
        if self.sorted_by is None:
            return list(rows)
        order = self._columns[self.sorted_by].order
        if order is None:
            return list(rows)
        by = [(order(row), row) for row in rows]
        known = sorted(
            (each for each in by if each[0] is not None), key=lambda each: each[0], reverse=self.is_descending
        )
        return [row for _, row in known] + [row for value, row in by if value is None]  # what is missing comes last


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
