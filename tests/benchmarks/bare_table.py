"""A Textual application of two screens with a table each: `python -m tests.benchmarks.bare_table ROWS`."""

import sys
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable


class BareTable(Screen[None]):
    """As many rows, of as many columns as the list of jobs has."""

    def __init__(self, last_column: str, rows: int) -> None:
        super().__init__()
        self._last_column = last_column
        self._rows = rows

    def compose(self) -> ComposeResult:
        """The table."""
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        """Fill it."""
        table = self.query_one(DataTable)
        table.add_columns("Job", "State", "Type", "Schedule", "Next run", "Runs", self._last_column)
        table.add_rows(
            (f"crowd.job_{row:05}", "completed", "batch", "by hand", "", "", "1 h ago") for row in range(self._rows)
        )


class BareTables(App[None]):
    """The keys of the screens are those of ours."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("2", "switch_mode('jobs')", "Jobs"),
        Binding("3", "switch_mode('runs')", "Runs"),
    ]
    DEFAULT_MODE = "jobs"

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.add_mode("jobs", lambda: BareTable("Last runs", rows))
        self.add_mode("runs", lambda: BareTable("Took", rows))


if __name__ == "__main__":
    BareTables(int(sys.argv[1])).run()
