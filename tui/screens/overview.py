"""The workspace at a glance: how its jobs stand, what runs, what comes, what went wrong."""

from datetime import timedelta
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from cli.output.jobs import short_ref
from cli.output.text import clean
from runtime.wire.jobs import DetailedScriptResponse
from runtime.wire.machine import MachineResponse, ask_machine
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.stats import RunStatsResponse
from tui.estate import Changed
from tui.screens.page import Page, or_none
from tui.widgets.hour_bars import HourBars
from tui.widgets.listing import Column, Listing
from tui.widgets.parts import Parts
from tui.wording import (
    duration_text,
    machine_parts,
    reason_text,
    run_title,
    schedule_text,
    state_style,
    state_text,
)

Run = DetailedRunResponse
Job = DetailedScriptResponse
DAY = timedelta(days=1)
COUNT_SECONDS = 3.0
"""The chart is counted anew at most so often."""
MACHINE_SECONDS = 5.0
_NEXT = 50


class OverviewScreen(Page):
    """Six answers."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self) -> None:
        super().__init__()
        self._wants_counts = True

    def content(self) -> ComposeResult:
        """Counts, chart, four lists."""
        now: list[Column[Run]] = [
            Column("Runs now", lambda run: run_title(run, run.script.job_ref)),
            Column("Status", lambda run: state_text(run.status), 12, spare=1),
            Column("For", lambda run: duration_text(run, self.now), 11),
        ]
        then: list[Column[Job]] = [
            Column("Runs next", lambda job: clean(short_ref(job.job_ref))),
            Column("When", lambda job: self.brief(job.next_scheduled_run), 14),
            Column("Schedule", schedule_text, 24, spare=1),
        ]
        failed: list[Column[Run]] = [
            Column(self._failed_title, lambda run: run_title(run, run.script.job_ref), 18),
            Column("Reason", reason_text),
            Column("When", lambda run: self.brief(run.time_ended), 14, spare=1),
        ]
        recent: list[Column[Run]] = [
            Column("Recent runs", lambda run: run_title(run, run.script.job_ref)),
            Column("Status", lambda run: state_text(run.status), 11, lambda run: state_style(run.status)),
            Column("Started", lambda run: self.brief(run.time_started or run.date_added), 14, spare=1),
            Column("Took", lambda run: duration_text(run, self.now), 11, spare=2),
        ]
        yield Parts(id="counts")
        yield Parts(id="machine")
        yield HourBars(id="chart")
        with Horizontal(classes="row"):
            yield Listing(now, lambda run: run.id, empty="nothing runs", id="now")
            yield Listing(then, lambda job: job.id, empty="no clock starts anything", id="next")
        with Horizontal(classes="row"):
            yield Listing(recent, lambda run: run.id, empty="no runs yet", id="recent")
            yield Listing(failed, lambda run: run.id, empty="nothing has failed", id="failures")

    def on_mount(self) -> None:
        """Count now and then."""
        self.set_interval(COUNT_SECONDS, self._count)
        self.set_interval(MACHINE_SECONDS, self._look_at_machine)
        self.query_one("#now").focus()

    def changed(self, changed: Changed) -> None:
        """Show everything anew; it is little."""
        estate = self.estate
        if not estate.is_loaded:
            self.query_one("#counts", Parts).show(["loading ..."])
            return
        if changed.everything or changed.runs:
            self.query_one("#now", Listing).show(estate.active)
            self.query_one("#failures", Listing).show(estate.failures(DAY, self.now))
            self.query_one("#recent", Listing).show(estate.recent[:_NEXT])
        due = [job for job in estate.jobs.values() if job.next_scheduled_run is not None and not job.archived]
        self.query_one("#next", Listing).show(sorted(due, key=lambda job: str(job.next_scheduled_run))[:_NEXT])
        self._show_counts()
        self._wants_counts = True
        if changed.everything:
            self._count()
            self._look_at_machine()

    def tick(self) -> None:
        """Relative times."""
        for listing in self.query(Listing):
            listing.refresh()

    def _failed_title(self) -> str:
        cut = self.estate.misses_failures(DAY, self.now)
        return "Failed, the newest" if cut else "Failed, last day"

    def _show_counts(self) -> None:
        counted = self.estate.counts()
        order = (
            "running",
            "starting",
            "pending",
            "cancelling",
            "failed",
            "completed",
            "cancelled",
            "skipped",
            "never run",
            "paused",
            "archived",
        )
        parts = [f"{state_text(state).strip()} {counted[state]}" for state in order if counted.get(state)]
        self.query_one("#counts", Parts).show([f"{sum(counted.values())} jobs", *parts])

    def _count(self) -> None:
        if not self._wants_counts or not self.is_current:
            return
        self._wants_counts = False
        end = self.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        place = self.place
        self.fetch(lambda: place.console.counts(end - DAY, end, "1h"), self._show_chart, group="counts")

    def _show_chart(self, counts: RunStatsResponse) -> None:
        self.query_one(HourBars).show(counts.buckets)

    def _look_at_machine(self) -> None:
        """No event says how much memory is left."""
        if self.is_current:
            connection = self.place.client.connection
            self.fetch(lambda: or_none(lambda: ask_machine(connection)), self._show_machine, group="machine")

    def _show_machine(self, machine: MachineResponse | None) -> None:
        self.query_one("#machine", Parts).show(machine_parts(machine) if machine else ())

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Look at a run or a job."""
        from tui.screens.job import JobScreen
        from tui.screens.run import RunScreen

        screen = JobScreen if event.listing.id == "next" else RunScreen
        self.app.push_screen(screen(event.row.id))
