"""The jobs of the workspace: starred ones first, filtered by the selectors that commands take."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from cli.output.jobs import short_ref
from cli.output.text import clean
from runtime.wire.jobs import DetailedScriptResponse
from tui.estate import Changed, job_state
from tui.filters import is_meant, parts_of
from tui.screens.job_actions import JobActions
from tui.widgets.listing import Column, Listing
from tui.wording import is_starred, schedule_text, sparkline, state_style, state_text, tags_of

Job = DetailedScriptResponse


def described(job: Job) -> str:
    """The words that a job is found by."""
    return " ".join((job.job_ref, job.name or "", tags_of(job), job_state(job), job.script_type))


class JobsScreen(JobActions):
    """All jobs."""

    AUTO_FOCUS = "#jobs"  # a key that comes early is none for the filter
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter"),
        Binding("escape", "clear", "No filter", show=False),
        Binding("z", "archived", "Archived too", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""
        self._shows_archived = False

    def content(self) -> ComposeResult:
        """The filter and the list."""
        yield Input(placeholder="filter: a part of a name, tag:ingest, schedule:*, batch, failed ...", id="filter")
        columns: list[Column[Job]] = [
            Column("Job", lambda job: ("* " if is_starred(job) else "") + clean(short_ref(job.job_ref)),
                   order=lambda job: job.job_ref, least=19),
            Column("State", lambda job: state_text(job_state(job)), 12, lambda job: state_style(job_state(job)),
                   order=job_state),
            Column("Type", lambda job: job.script_type, 11, order=lambda job: job.script_type, spare=5),
            Column("Schedule", schedule_text, 24, order=schedule_text, spare=2),
            Column("Next run", lambda job: self.brief(job.next_scheduled_run), 14,
                   order=lambda job: job.next_scheduled_run, spare=3),
            Column("Last runs", lambda job: sparkline(self.estate.runs_of(job)), 12, spare=1),
            Column("Last run", lambda job: self.brief(job.last_run.time_started or job.last_run.date_added)
                   if job.last_run else "", 14, order=lambda job: job.last_run and job.last_run.date_added, spare=4),
            Column("Tags", tags_of, 14, order=tags_of, spare=6),
        ]  # fmt: skip
        yield Listing(columns, lambda job: job.id, id="jobs")

    def changed(self, changed: Changed) -> None:
        """Show the jobs that are meant."""
        if not (changed.everything or changed.jobs):
            return
        listing = self.query_one("#jobs", Listing)
        if not (changed.everything or changed.packages or self._filter) and self._replaced(listing, changed):
            return
        self._show_jobs(anew=False)

    def _show_jobs(self, *, anew: bool) -> None:
        listing = self.query_one("#jobs", Listing)
        jobs = [job for job in self.estate.jobs.values() if self._shows_archived or not job.archived]
        parts = parts_of(self._filter, jobs)
        shown = [job for job in jobs if is_meant(parts, job, described(job))] if parts else jobs
        listing.say_empty(
            "loading ..." if not self.estate.is_loaded
            else "no job matches; Escape shows all" if jobs
            else "nothing is deployed yet: `dlt-runtime deploy`"
        )  # fmt: skip
        listing.show(sorted(shown, key=lambda job: (job.archived, not is_starred(job), job.job_ref)), anew=anew)

    def _replaced(self, listing: Listing[Job], changed: Changed) -> bool:
        """Whether it was enough to put the jobs that have changed in their places."""
        jobs = {job_id: self.estate.jobs.get(job_id) for job_id in changed.jobs}
        known = {job_id: job for job_id, job in jobs.items() if job is not None and not job.archived}
        return len(known) == len(jobs) and listing.replace(known)

    def tick(self) -> None:
        """Relative times."""
        self.query_one("#jobs").refresh()

    @property
    def job(self) -> Job | None:
        """The one under the cursor."""
        row = self.query_one("#jobs", Listing).current
        return self.estate.jobs.get(row.id) if row is not None else None

    def on_screen_resume(self) -> None:
        """The list has the keys."""
        self.query_one("#jobs").focus()

    def on_listing_sorted(self) -> None:
        """Show them in the new order."""
        self.changed(Changed(everything=True))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Look at one."""
        from tui.screens.job import JobScreen

        self.app.push_screen(JobScreen(event.row.id))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._filter = event.value.strip()
        self._show_jobs(anew=True)

    def on_input_submitted(self) -> None:
        """Back to the list."""
        self.query_one("#jobs").focus()

    def action_filter(self) -> None:
        """Type a filter."""
        self.set_focus(self.query_one("#filter"))

    def action_clear(self) -> None:
        """Show all."""
        self.query_one("#filter", Input).value = ""
        self.query_one("#jobs").focus()

    def action_archived(self) -> None:
        """Show archived jobs too, or not."""
        self._shows_archived = not self._shows_archived
        self.changed(Changed(everything=True))
