"""The line at the top: the screens by their keys, the workspace, and whether what is shown is current."""

from typing import TYPE_CHECKING, cast

from rich.cells import cell_len
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
        parts = [
            Content.from_markup(
                f"[@click=app.switch_mode('{mode}')]{'[reverse]' if app.current_mode == mode else ''} {label} [/]"
            )
            for mode, label in SCREENS
        ]
        left = Content("").join(parts)
        name = clean(app.estate.workspace.name) if app.estate.workspace else ""
        state = "offline" if app.trouble else "live" if app.estate.is_loaded else "loading"
        room = self.size.width - left.cell_length - len(state) - 4
        name = name if cell_len(name) <= room else name[: max(0, room - 1)] + "…" if room > 3 else ""
        right = Content.assemble(name, " ", (f" {state} ", "reverse" if app.trouble else ""))
        gap = max(1, self.size.width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * gap, right)
