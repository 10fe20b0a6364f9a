"""One file of a version of the code: what changed in it, line by line, or all of it."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from cli.output.code_diff import FileChange, change_lines, whole_lines
from cli.output.text import clean
from runtime.sizes import bytes_text
from tui.estate import Changed
from tui.screens.page import Page
from tui.widgets.text_view import TextView


class FileDiffScreen(Page):
    """Goes from file to file of a comparison.

    Args:
        before: The older version; 0 where there is none.
        changes: All files of the two; `place` is the one to begin with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("n", "go(1)", "Next file"),
        Binding("N", "go(-1)", "File before", show=False),
        Binding("f", "whole", "Whole file/changes"),
        Binding("y", "copy", "Copy text"),
    ]

    def __init__(self, before: int, after: int, changes: Sequence[FileChange], place: int) -> None:
        super().__init__()
        self._before, self._after = before, after
        self._changes, self._place = changes, place
        self._wants_whole = False

    def content(self) -> ComposeResult:
        """What is compared, and the text."""
        yield Static(id="head", classes="note", markup=False)
        yield TextView(style=_line_style, id="text")

    def on_mount(self) -> None:
        """Begin."""
        self.query_one("#text").focus()
        self._ask()

    def changed(self, changed: Changed) -> None:
        """Versions do not change."""

    def action_go(self, by: int) -> None:
        """The next file, or the one before, that differs."""
        place = self._place + by
        while 0 <= place < len(self._changes) and self._changes[place].fate == "same":
            place += by
        if 0 <= place < len(self._changes):
            self._place, self._wants_whole = place, False
            self._ask()
        else:
            self.notify("no file that differs " + ("after" if by > 0 else "before") + " this one", timeout=3)

    def action_whole(self) -> None:
        """All of the file, or what changed in it."""
        self._wants_whole = not self._wants_whole
        self._ask()

    def action_copy(self) -> None:
        """Copy what is shown."""
        self.app.copy_to_clipboard("\n".join(self.query_one(TextView).lines))
        self.notify(clean(self._changes[self._place].path), title="copied the text of", markup=False)

    def _ask(self) -> None:
        change, before, after, read = self._changes[self._place], self._before, self._after, self.place.code.file
        is_whole = self._wants_whole or change.fate == "same"
        version = before if change.fate == "removed" else after
        what = f"version {version}" if is_whole else f"version {after} since version {before}" if before else "new"
        head = f"{clean(change.path)}  {change.fate}  {bytes_text(change.file.size_in_bytes)}  {what}"

        def ask() -> list[str]:
            if is_whole:
                return list(whole_lines(read(version, change.path)))
            return change_lines(change, before, after, read)

        def show(lines: list[str]) -> None:
            self.query_one("#head", Static).update(head)
            self.query_one(TextView).show(lines, is_plain=is_whole)

        self.fetch(ask, show, group="file")


def _line_style(line: str) -> str:
    """The sign at the line's beginning says the same."""
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
