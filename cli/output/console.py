"""Where words go: what was asked for to stdout, everything about it to stderr.

On a terminal tables and colours are Rich's; in a pipe a table is one line per row, fields separated by tabs, without
a heading, and times are exact. Rich is imported only when a terminal is there to see it.
"""

import json
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.output import times
from cli.output.text import cell, clean

if TYPE_CHECKING:
    from rich.console import Console

STATUS_STYLES: Mapping[str, str] = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "running": "cyan",
    "starting": "cyan",
    "skipped": "dim",
}


_GAP = 2
_WRAPPED_WIDTH = 20
"""What a column that wraps counts for when it is decided which columns fit."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        style: May depend on the value.
        wraps: Whether a terminal that is too narrow may break its text.
        spare: Columns that a terminal shows only where there is room; the highest goes first, 0 never.
    """

    title: str
    style: str | Callable[[str], str] = ""
    wraps: bool = False
    spare: int = 0


@dataclass
class Output:
    """Writes for a person or for a program, whichever reads.

    Args:
        timestamps: Exact times and durations also on a terminal.
        now: The clock that relative times refer to.
    """

    timestamps: bool = False
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads stdout."""
        return sys.stdout.isatty()

    # --- stdout

    def line(self, text: str) -> None:
        """One line of what was asked for, taken as it is: clean it first."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def json(self, value: Any) -> None:
        """A JSON document: indented on a terminal and in a pipe alike, so that both show the same."""
        self.line(json.dumps(value, indent=2, ensure_ascii=False))

    def json_line(self, value: Any) -> None:
        """One JSON document on one line, for lists that grow while they are read."""
        self.line(json.dumps(value, ensure_ascii=False))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """A table, or tab-separated lines in a pipe."""
        if not self.is_terminal:
            for row in rows:
                self.line("\t".join(cell(value) for value in row))
            return
        from rich.table import Table
        from rich.text import Text

        console = self._rich(to_stderr=False)
        places = _fitting(columns, rows, console.width)
        shown = Table(box=None, header_style="bold", padding=(0, _GAP, 0, 0), pad_edge=False)
        for place in places:
            title = columns[place].title
            shown.add_column(title, no_wrap=not columns[place].wraps, min_width=len(title), overflow="fold")
        for row in rows:
            shown.add_row(*(Text(cell(row[place]), style=_style(columns[place], row[place])) for place in places))
        console.print(shown)

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Named values, one a line; those that are empty are left out."""
        pairs = [(name, value) for name, value in pairs if value]
        if not self.is_terminal:
            for name, value in pairs:
                self.line(f"{name}\t{cell(value)}")
            return
        from rich.text import Text

        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self._rich(to_stderr=False).print(
                Text.assemble((f"{name:<{width}}  ", "bold"), clean(value)), soft_wrap=True
            )

    # --- stderr

    def message(self, text: str, *, style: str = "") -> None:
        """Something about the command: what it does, what came of it."""
        safe = "\n".join(clean(line) for line in text.split("\n"))
        if style and _has_colour(sys.stderr):
            from rich.text import Text

            self._rich(to_stderr=True).print(Text(safe, style=style), soft_wrap=True)
        else:
            sys.stderr.write(safe + "\n")
            sys.stderr.flush()

    def warning(self, text: str) -> None:
        """Something a person should know that does not stop the command."""
        self.message(f"warning: {text}", style="yellow")

    def error(self, message: str, hint: str | None = None) -> None:
        """Why the command ends here, and the way out."""
        self.message(f"error: {message}", style="bold red")
        if hint:
            self.message(f"hint: {hint}")

    @contextmanager
    def waiting(self, text: str) -> Generator[None, None, None]:
        """Shows that something takes its time, where somebody watches."""
        if not sys.stderr.isatty():
            yield
            return
        with self._rich(to_stderr=True).status(clean(text)):
            yield

    @contextmanager
    def progress(self, text: str, total_bytes: int) -> Generator[Callable[[int], None], None, None]:
        """A bar for bytes on their way; yields what is to be told how many have gone."""
        if not sys.stderr.isatty():
            yield lambda _: None
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        layout = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*layout, console=self._rich(to_stderr=True), transient=True) as bar:
            task = bar.add_task(clean(text), total=total_bytes)
            yield lambda sent: bar.update(task, completed=sent)

    # --- values

    def time(self, at: datetime | None) -> str:
        """A point in time: relative for a person, exact for a program or on request; nothing for None."""
        if at is None:
            return ""
        return times.relative(at, self.now()) if self.is_terminal and not self.timestamps else times.exact(at)

    def duration(self, seconds: float | None) -> str:
        """A duration: in words for a person, else seconds as a number; nothing for None."""
        if seconds is None:
            return ""
        return times.duration(seconds) if self.is_terminal and not self.timestamps else f"{seconds:.3f}"

    def _rich(self, *, to_stderr: bool) -> "Console":
        from rich.console import Console

        return Console(stderr=to_stderr, highlight=False, markup=False, emoji=False)


def _style(column: Column, value: str) -> str:
    return column.style(value) if callable(column.style) else column.style


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns to show: those with any value, fewer of the spare ones where the terminal is narrow."""
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(len(columns))]
    places = [place for place, widest in enumerate(widths) if widest]

    def needed(place: int) -> int:
        content = min(widths[place], _WRAPPED_WIDTH) if columns[place].wraps else widths[place]
        return max(content, len(columns[place].title)) + _GAP

    while sum(needed(place) for place in places) > width:
        spare = max(places, key=lambda place: columns[place].spare)
        if not columns[spare].spare:
            break
        places.remove(spare)
    return places


def status_style(status: str) -> str:
    """How a run's status looks."""
    return STATUS_STYLES.get(status, "")


def _has_colour(stream: Any) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")
