"""One job: its schedule, runs, intervals, versions and what differs between them."""

import difflib
import json
from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static, TabbedContent, TabPane

from cli.output.jobs import entry_point, job_label
from cli.output.text import clean
from runtime.wire.failures import BadRequestError, InConflictError
from runtime.wire.jobs import DetailedScriptResponse, ScriptVersionResponse
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.schedules import IntervalSpanResponse, IntervalsResponse, ScheduleResponse
from tui import actions
from tui.estate import Changed, job_state
from tui.screens.job_actions import JobActions
from tui.screens.page import or_none
from tui.screens.run_columns import run_columns
from tui.widgets.facts import Facts
from tui.widgets.listing import Column, Listing
from tui.wording import minute_text, run_reference, schedule_text, state_text, tags_of

RUNS = 200


class JobScreen(JobActions):
    """Tabs over one job."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("i", "tab('intervals')", "Intervals", show=False),
        Binding("v", "tab('versions')", "Versions", show=False),
        Binding("r", "tab('runs')", "Runs", show=False),
        Binding("d", "tab('about')", "About", show=False),
    ]

    def __init__(self, job_id: UUID) -> None:
        super().__init__()
        self._job_id = job_id
        self._runs: dict[UUID, DetailedRunResponse] = {}
        self._schedule: ScheduleResponse | None = None
        self._has_intervals = False
        self._known_version: int | None = None
        """That of the job when its versions were asked for."""

    def content(self) -> ComposeResult:
        """Four tabs."""
        span: list[Column[IntervalSpanResponse]] = [
            Column("State", lambda one: one.state, 10, lambda one: _SPAN_STYLES.get(one.state, "")),
            Column("From", lambda one: minute_text(one.start), 24),
            Column("To", lambda one: minute_text(one.end)),
        ]
        version: list[Column[ScriptVersionResponse]] = [
            Column("Version", lambda one: str(one.version), 8),
            Column("Created", lambda one: self.when(one.date_added), 20),
            Column("Trigger", lambda one: clean(one.default_trigger or "")),
        ]
        with TabbedContent(initial="about"):
            with TabPane("About", id="about"), VerticalScroll(id="all-facts"):
                yield Facts(id="facts")
            with TabPane("Runs", id="runs"):
                yield Listing(run_columns(self, with_job=False), lambda run: run.id, empty="no runs yet", id="run-list")
            with TabPane("Intervals", id="intervals"):
                yield Listing(span, lambda one: one.start, empty="the job has no interval", id="spans")
            with TabPane("Versions", id="versions"):
                yield Listing(version, lambda one: one.version, id="version-list")
                with VerticalScroll():
                    yield Static(id="diff", markup=False)

    @property
    def job(self) -> DetailedScriptResponse | None:
        """The job that the screen is about."""
        return self.estate.jobs.get(self._job_id)

    def changed(self, changed: Changed) -> None:
        """Show the job as it is, its runs, and what else may be another now."""
        have_runs_changed = self._put_runs(changed.runs)
        if changed.everything or have_runs_changed:
            self._show_runs()
        if not (changed.everything or changed.packages or self._job_id in changed.jobs):
            return
        self._show_facts()
        job, place = self.job, self.place
        if job is None:
            return
        is_new = changed.everything or self._known_version is None
        if is_new:
            self.fetch(lambda: place.console.runs(RUNS, script_id=str(job.id)).items, self._take_runs, group="runs")
        if is_new or changed.packages or job.version != self._known_version:
            self.fetch(lambda: place.console.versions(job.job_ref), self._show_versions, group="versions", in_turn=True)
        if is_new or job.version != self._known_version or (have_runs_changed and self._has_intervals):
            self.fetch(
                lambda: or_none(lambda: place.schedules.intervals(job.job_ref), BadRequestError, InConflictError),
                self._take_intervals,
                group="intervals",
                in_turn=True,
            )
        self._known_version = job.version
        self.fetch(lambda: place.schedules.schedule(job.job_ref), self._take_schedule, group="schedule", in_turn=True)

    def tick(self) -> None:
        """Relative times."""
        self._show_facts()
        self.query_one("#run-list").refresh()

    def action_tab(self, name: str) -> None:
        """Show a tab."""
        self.query_one(TabbedContent).active = name
        keys_go_to = {"about": "#all-facts", "runs": "#run-list", "intervals": "#spans", "versions": "#version-list"}
        self.query_one(keys_go_to[name]).focus()

    @property
    def _is_about_a_run(self) -> bool:
        """Whether keys are about the marked run rather than the job."""
        return self.query_one(TabbedContent).active == "runs"

    @property
    def _current(self) -> DetailedRunResponse | None:
        run: DetailedRunResponse | None = self.query_one("#run-list", Listing).current
        return run

    def action_cancel_job(self) -> None:
        """Stop the marked run, elsewhere than among the runs the newest active one."""
        run, place = self._current, self.place
        if not self._is_about_a_run:
            super().action_cancel_job()
        elif run is not None:
            self.ours.act(lambda: actions.cancel_run(place, run))

    def action_copy_link(self) -> None:
        """Copy the address of the marked run's page, elsewhere the job's."""
        if not self._is_about_a_run:
            super().action_copy_link()
        elif (run := self._current) is not None:
            self.copy_link("runs", str(run.id))

    def action_copy_reference(self) -> None:
        """Copy what commands call the marked run, elsewhere the job."""
        if not self._is_about_a_run:
            super().action_copy_reference()
        elif (run := self._current) is not None:
            self.copy(run_reference(run))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Look at a run."""
        if event.listing.id == "run-list":
            from tui.screens.run import RunScreen

            self.app.push_screen(RunScreen(event.row.id))

    def on_listing_highlighted(self, event: Listing.Highlighted) -> None:
        """Show what a version has changed."""
        if event.listing.id == "version-list":
            self._show_diff(event.row)

    def on_listing_sorted(self) -> None:
        """Show runs in the new order."""
        self._show_runs()

    def _put_runs(self, changed: Mapping[UUID, DetailedRunResponse | None]) -> bool:
        """Put those runs of the job that have changed, and take away those that are gone; whether there were any."""
        were_any = False
        for run_id, run in changed.items():
            if run is None:
                were_any |= self._runs.pop(run_id, None) is not None
            elif run.script.id == self._job_id:
                self._runs[run_id] = run
                were_any = True
        return were_any

    def _take_runs(self, runs: list[DetailedRunResponse]) -> None:
        """The newest, as the daemon told them, and as changes have made them since."""
        newest = max((run.number for run in runs), default=0)
        of_job = {run.id: run for run in self.estate.runs.values() if run.script.id == self._job_id}
        told = {run.id: of_job.get(run.id, run) for run in runs}
        self._runs = told | {run_id: run for run_id, run in of_job.items() if run.number > newest}
        self._show_runs()

    def _show_runs(self) -> None:
        runs = sorted(self._runs.values(), key=lambda run: run.number, reverse=True)[:RUNS]
        if len(runs) < len(self._runs):
            self._runs = {run.id: run for run in runs}
        self.query_one("#run-list", Listing).show(runs)

    def _take_schedule(self, schedule: ScheduleResponse) -> None:
        self._schedule = schedule
        self._show_facts()

    def _take_intervals(self, intervals: IntervalsResponse | None) -> None:
        self._has_intervals = intervals is not None
        self.query_one("#spans", Listing).show(intervals.spans[::-1] if intervals else [])

    def _show_versions(self, versions: list[ScriptVersionResponse]) -> None:
        listing = self.query_one("#version-list", Listing)
        listing.show(versions)
        self._show_diff(listing.current)

    def _show_diff(self, version: ScriptVersionResponse | None) -> None:
        """What the marked version has changed; nothing where none is marked."""
        if version is None:
            self.query_one("#diff", Static).update()
            return
        older = [row for row in self.query_one("#version-list", Listing).rows if row.version < version.version]
        before = max(older, key=lambda row: row.version, default=None)
        self.query_one("#diff", Static).update(difference(before, version))

    def _show_facts(self) -> None:
        job, schedule = self.job, self._schedule
        if job is None:
            self.query_one("#facts", Facts).show([("Job", "it is gone" if self.estate.is_loaded else "…")])
            return
        ticks = [self.when(tick) for tick in schedule.next_ticks] if schedule else []
        self.query_one("#facts", Facts).show(
            (
                ("Job", job.job_ref),
                ("Label", job_label(job)),
                ("State", state_text(job_state(job))),
                ("Description", job.description or ""),
                ("Type", job.script_type),
                ("Entry point", entry_point(job.job_definition)),
                ("Version", str(job.version)),
                ("Deployed from", job.deployment_module or "ad hoc"),
                ("Profile", job.profile or ""),
                ("Tags", tags_of(job)),
                ("Schedule", schedule_text(job)),
                ("Override", job.schedule_override or ""),
                ("Next ticks", ", ".join(ticks)),
                (
                    "Would run now",
                    f"{'yes' if schedule.would_run else 'no'}, {schedule.explanation}" if schedule else "",
                ),
                ("Triggers", "\n".join(job.triggers or ())),
                ("Freshness", ", ".join(job.freshness or ())),
                ("Interval from", self.when(job.interval_start)),
                ("Interval to", self.when(job.interval_end)),
                ("URL", job.script_url or ""),
                ("Public link", job.public_url or ""),
                ("Changed", self.when(job.date_updated)),
                ("Created", self.when(job.date_added)),
            )
        )


_SPAN_STYLES = {"done": "green", "running": "cyan", "failed": "red", "missing": "yellow"}


def difference(before: ScriptVersionResponse | None, after: ScriptVersionResponse) -> Content:
    """What differs between two definitions, line by line; the whole definition where there is none before."""
    new = _lines(after)
    if before is None:
        return Content("\n".join(new))
    title = (f"version {before.version}", f"version {after.version}")
    lines = list(difflib.unified_diff(_lines(before), new, *title, lineterm="", n=2))
    styles = {"+": "$text-success", "-": "$text-error", "@": "$text-accent"}
    coloured = [Content.assemble((line, styles.get(line[:1], ""))) for line in lines]
    return Content("\n").join(coloured) if coloured else Content("no difference but the version")


def _lines(version: ScriptVersionResponse) -> list[str]:
    text = json.dumps(version.job_definition, indent=2, sort_keys=True, ensure_ascii=False)
    return [clean(line) for line in text.split("\n")]
