"""The line at the top: the screens by their keys, the workspace, and whether what is shown is current."""

from typing import TYPE_CHECKING, cast

from rich.cells import cell_len, set_cell_size
from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from cli.output.text import clean

if TYPE_CHECKING:
    from tui.app import RuntimeTui

SCREENS = (
    ("overview", "1 Overview"),
    ("jobs", "2 Jobs"),
    ("runs", "3 Runs"),
    ("versions", "4 Versions"),
    ("data", "5 Data"),
    ("settings", "6 Settings"),
)


class TopBar(Widget):
    """Clicking a name goes there."""

    def on_mount(self) -> None:
        """Draw anew when the daemon goes or comes back."""
        self.watch(self.app, "trouble", self._draw)

    def _draw(self) -> None:
        self.refresh()

    def render(self) -> RenderResult:
        """One line."""
        app = cast("RuntimeTui", self.app)
        name = clean(app.estate.workspace.name) if app.estate.workspace else ""
        state = "offline" if app.trouble else "live" if app.estate.is_loaded else "loading"
        return bar(self.size.width, app.current_mode, name, state, is_reversed=bool(app.trouble))


def bar(width: int, mode: str, name: str, state: str, *, is_reversed: bool = False) -> Content:
    """What the line says, in so many cells: the state always, then as much of the rest as there is room for.

    Where it is narrow, only the screen that is seen has its name, the others their keys.
    """
    right = Content.assemble((f" {state} ", "reverse" if is_reversed else ""))
    left = _screens(mode, with_names=True)
    if left.cell_length + right.cell_length > width:
        left = _screens(mode, with_names=False)
    left = left.truncate(max(0, width - right.cell_length), ellipsis=True)
    room = width - left.cell_length - right.cell_length - 2
    if cell_len(name) > room:
        name = set_cell_size(name, room - 1).rstrip() + "…" if room > 1 else ""
    gap = width - left.cell_length - right.cell_length - cell_len(name) - (1 if name else 0)
    return Content.assemble(left, " " * max(0, gap), name, " " if name else "", right)


def _screens(mode: str, *, with_names: bool) -> Content:
    """The screens by their keys, the one that is seen reversed."""
    labels = (
        (name, f" {label if with_names or name == mode else label.partition(' ')[0]} ") for name, label in SCREENS
    )
    return Content("").join(
        Content.from_markup(f"[@click=app.switch_mode('{name}')]{'[reverse]' if name == mode else ''}{label}[/]")
        for name, label in labels
    )
