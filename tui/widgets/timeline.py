"""Runs over time: a line for each job, a bar for each run, from some hours ago until now."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cli.output.jobs import short_ref
from cli.output.text import clean
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES
from tui.wording import SIGNS, duration_text, minute_text, reason_text, run_state, run_title, state_style

HOURS = (1, 3, 6, 12, 24, 72)
_FILL = {"completed": "█", "failed": "▓", "cancelled": "▒", "skipped": "·"}
_ACTIVE = "▶"
_UNKNOWN = "╌"
_AROUND = 2
"""The axis above the jobs, the marked run below them."""

Run = DetailedRunResponse


class Timeline(ScrollView, can_focus=True):
    """Every status has a character of its own as well as a colour.

    One run is marked and told in words below; as in a listing, keys act on the run that was marked when somebody
    looked: the mark stays on it whatever begins meanwhile, and is gone with it.
    """

    DEFAULT_CSS = """
    Timeline { height: 1fr; background: $background; }
    Timeline > .timeline--name { color: $text; }
    Timeline > .timeline--axis { color: $foreground-muted; text-style: underline; }
    Timeline > .timeline--cursor { background: $surface-lighten-2; text-style: bold; }
    Timeline > .timeline--marked { background: $primary; color: $text; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "timeline--name",
        "timeline--axis",
        "timeline--cursor",
        "timeline--marked",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("left", "step(1)", "The run before", show=False),
        Binding("right", "step(-1)", "The next run", show=False),
        Binding("enter", "choose", "Open the run", show=False),
    ]

    class Chosen(Message):
        """A run was chosen."""

        def __init__(self, run_id: UUID) -> None:
            super().__init__()
            self.run_id = run_id

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.hours = 6
        self._now: datetime | None = None
        self._known_since: datetime | None = None
        self._jobs: list[tuple[str, list[Run]]] = []
        self._cursor = 0
        self._marked: UUID | None = None
        self._begins_anew = True

    @property
    def current(self) -> Run | None:
        """The marked run."""
        return next((run for run in self._runs_at_cursor if run.id == self._marked), None)

    @property
    def count(self) -> int:
        """How many runs are drawn."""
        return sum(len(runs) for _, runs in self._jobs)

    @property
    def _runs_at_cursor(self) -> list[Run]:
        """The runs of the job at the cursor, newest first."""
        return self._jobs[self._cursor][1] if self._cursor < len(self._jobs) else []

    def show(self, runs: Sequence[Run], now: datetime, *, known_since: datetime | None = None) -> None:
        """Draw runs, given newest first; the job that ran last stands first.

        Args:
            known_since: Of what was created before, only some runs are given; None where nothing is left out.
        """
        was = self._jobs[self._cursor][0] if self._cursor < len(self._jobs) else None
        self._now, self._known_since = now, known_since
        since = now - timedelta(hours=self.hours)
        jobs: dict[str, list[Run]] = {}
        for run in runs:
            if _end(run, now) >= since:
                jobs.setdefault(run.script.job_ref, []).append(run)
        self._jobs = list(jobs.items())
        if self._begins_anew:
            self._cursor, self._marked = 0, None
            if self._jobs:
                self._begins_anew = False
                self._mark()
        else:
            places = (place for place, (job_ref, _) in enumerate(self._jobs) if job_ref == was)
            self._cursor = next(places, min(self._cursor, max(0, len(self._jobs) - 1)))
            self._marked = self._marked if self.current is not None else None
        self.virtual_size = Size(self.size.width, len(self._jobs) + _AROUND)
        self.refresh()

    def begin_anew(self) -> None:
        """Somebody has asked for other runs: mark the newest of those that are shown next."""
        self._begins_anew = True

    def zoom(self, by: int) -> bool:
        """Reach less or more far back; the answer says whether that is possible."""
        before = self.hours
        self.hours = HOURS[max(0, min(len(HOURS) - 1, HOURS.index(before) + by))]
        return self.hours != before

    # --- drawing

    def render_line(self, y: int) -> Strip:
        """The axis, a job, or the marked run in words."""
        width, base = self.size.width, self.rich_style
        names = min(28, width // 3)
        room = max(10, width - names - 2)
        if self._now is None:
            return Strip.blank(width, base)
        if y == 0:
            style = base + self.get_component_rich_style("timeline--axis", partial=True)
            return Strip([Segment(set_cell_size(f"  last {self.hours} h", names + 2), style), *self._axis(room, style)])
        if y == self.size.height - 1:
            return Strip([Segment(set_cell_size(self._in_words(self._now), width), base)], width)
        place = y - 1 + round(self.scroll_y)
        if place >= len(self._jobs):
            text = "  nothing ran" if not self._jobs and y == 1 else ""
            return Strip([Segment(set_cell_size(text, width), base)], width)
        job_ref, runs = self._jobs[place]
        is_current = place == self._cursor and self._marked is not None
        line = base + self.get_component_rich_style("timeline--cursor", partial=True) if is_current else base
        name = set_cell_size(("> " if is_current else "  ") + clean(short_ref(job_ref)), names + 1) + " "
        return Strip([Segment(name, line), *self._bars(runs, room, line)]).adjust_cell_length(width, line)

    def _in_words(self, now: datetime) -> str:
        run = self.current
        if run is None:
            return ""
        at = minute_text(_begin(run))[5:]
        parts = (run_title(run, run.script.job_ref), run_state(run), at, duration_text(run, now), reason_text(run))
        return "> " + "   ".join(part for part in parts if part)

    def _axis(self, room: int, style: Style) -> list[Segment]:
        """Times of day along the top."""
        marks = max(1, room // 12)
        cells = [" "] * room
        for mark in range(marks):
            at = self._moment(mark * room // marks, room).astimezone()
            for place, character in enumerate(f"|{at:%H:%M}"):
                cells[min(room - 1, mark * room // marks + place)] = character
        return [Segment("".join(cells), style)]

    def _bars(self, runs: Sequence[Run], room: int, line: Style) -> list[Segment]:
        cells: list[tuple[str, Style]] = [(" ", line)] * room
        if self._known_since is not None:
            unknown = max(0, min(room, self._cell(self._known_since, room)))
            cells[:unknown] = [(_UNKNOWN, line + Style.parse("dim"))] * unknown
        marked = self.get_component_rich_style("timeline--marked", partial=True)
        for run in reversed(runs):
            first, last = self._span(run, room)
            style = line + Style.parse(state_style(run.status) or "none")
            if run.id == self._marked:
                style += marked
            for cell in range(first, last + 1):
                cells[cell] = (_FILL.get(run.status, _ACTIVE), style)
            if run.status in ("failed", "cancelled") and first <= last:
                cells[last] = (SIGNS[run.status], style)
        return [Segment(text, style) for text, style in cells]

    def _span(self, run: Run, room: int) -> tuple[int, int]:
        """The first and the last cell of a run; the last stands before the first where it is not in view."""
        assert self._now is not None  # noqa: S101 - it is drawn only once there is a time
        first, last = self._cell(_begin(run), room), self._cell(_end(run, self._now), room)
        return max(0, first), min(room - 1, last)

    def _cell(self, at: datetime, room: int) -> int:
        assert self._now is not None  # noqa: S101 - see above
        ago = (self._now - at).total_seconds()
        return int(room - 1 - ago * room / (self.hours * 3600))

    def _moment(self, cell: int, room: int) -> datetime:
        assert self._now is not None  # noqa: S101 - see above
        return self._now - timedelta(hours=self.hours * (room - cell) / room)

    # --- moving

    def on_focus(self) -> None:
        """Who comes here finds a mark."""
        self.mark()

    def mark(self) -> None:
        """Mark the newest run of the job at the cursor, if none is marked."""
        if self.current is None:
            self._mark()

    def _mark(self, run: Run | None = None) -> None:
        """Mark a run of the job at the cursor, the newest where none is given."""
        runs = self._runs_at_cursor
        self._marked = run.id if run is not None else runs[0].id if runs else None
        top, height = round(self.scroll_y), max(1, self.size.height - _AROUND)
        wanted = min(max(top, self._cursor - height + 1), self._cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True, immediate=True)
        self.refresh()

    def action_move(self, by: int) -> None:
        """Move from job to job; without a mark, set it."""
        if self.current is not None:
            self._cursor = max(0, min(len(self._jobs) - 1, self._cursor + by))
        self._mark()

    def action_step(self, by: int) -> None:
        """Move from run to run of a job; without a mark, set it."""
        runs, run = self._runs_at_cursor, self.current
        self._mark(None if run is None else runs[max(0, min(len(runs) - 1, runs.index(run) + by))])

    def action_choose(self) -> None:
        """Look at the marked run; without a mark, set it."""
        if self.current is not None:
            self.post_message(self.Chosen(self.current.id))
        self.mark()

    def on_click(self, event: events.Click) -> None:
        """Mark a run; the second click looks at it. Beside the bars of a job its newest run is meant."""
        place = event.y - 1 + round(self.scroll_y)
        if event.y == 0 or event.y == self.size.height - 1 or place >= len(self._jobs):
            return
        names = min(28, self.size.width // 3)
        room, runs = max(10, self.size.width - names - 2), self._jobs[place][1]
        cell = event.x - names - 2
        here = (run for run in runs for first, last in (self._span(run, room),) if first <= cell <= last)
        run = next(here, runs[0])
        was_marked = self.current is not None and run.id == self._marked
        self._cursor = place
        self._mark(run)
        if was_marked:
            self.action_choose()


def _begin(run: Run) -> datetime:
    return run.time_started or run.date_added


def _end(run: Run, now: datetime) -> datetime:
    return now if run.status not in FINAL_RUN_STATUSES else run.time_ended or _begin(run)
