"""What can be done to a job, wherever one is looked at."""

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from cli.output.jobs import short_ref
from runtime.wire.jobs import DetailedScriptResponse
from tui import actions
from tui.screens.page import Page
from tui.screens.prompts import Ask, Confirm


class JobActions(Page):
    """A screen with a job that its keys are about."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "launch", "Launch"),
        Binding("R", "launch_refresh", "Launch with refresh", show=False),
        Binding("c", "cancel_job", "Cancel"),
        Binding("p", "pause", "Pause", tooltip="keep the clock from starting it, or let it start it again"),
        Binding("s", "schedule", "Schedule", tooltip="put another schedule in the place of the one in the code"),
        Binding("x", "revert", "Revert schedule", show=False),
        Binding("u", "link", "Public link on/off", show=False),
        Binding("y", "copy_link", "Copy link", tooltip="its public link, else its address, else its page"),
        Binding("Y", "copy_reference", "Copy reference"),
        Binding("o", "open", "Serve and open", show=False),
        Binding("a", "archive", "Archive or bring back", show=False),
    ]

    @property
    def job(self) -> DetailedScriptResponse | None:
        """The job that keys are about."""
        raise NotImplementedError

    def _do(self, what: Callable[..., str], *more: object) -> None:
        job, place = self.job, self.place
        if job is not None:
            self.ours.act(lambda: what(place, job, *more))

    def action_launch(self) -> None:
        """Start the job."""
        self._do(actions.launch)

    def action_launch_refresh(self) -> None:
        """Start it from nothing, after a question: it drops what was loaded."""
        job, place = self.job, self.place
        if job is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.ours.act(lambda: actions.launch(place, job, refresh=True))

        question = f"Launch {short_ref(job.job_ref)} with refresh? Jobs downstream load everything again too."
        self.app.push_screen(Confirm(question), answered)

    def action_cancel_job(self) -> None:
        """Stop its newest active run."""
        self._do(actions.cancel_job)

    def action_pause(self) -> None:
        """Stop or start its clock."""
        self._do(actions.pause_or_resume)

    def action_schedule(self) -> None:
        """Ask for another schedule."""
        job, place = self.job, self.place
        if job is None:
            return

        def answered(trigger: str | None) -> None:
            if trigger:
                self.ours.act(lambda: actions.override(place, job, trigger))

        hint = "`every:10m`, or a cron expression such as `0 6 * * 1-5`"
        self.app.push_screen(
            Ask(f"Schedule of {short_ref(job.job_ref)}", job.schedule_override or "", hint=hint), answered
        )

    def action_revert(self) -> None:
        """Return to the schedule in the code."""
        self._do(actions.revert)

    def action_link(self) -> None:
        """Switch the public link."""
        job = self.job
        if job is not None and job.script_type != "interactive":
            self.notify(f"{short_ref(job.job_ref)} is {job.script_type}", title="only interactive jobs have links")
            return
        self._do(actions.switch_link)

    def action_copy_link(self) -> None:
        """Copy the address that most people can use: the public link, else the app's, else the job's page."""
        job = self.job
        if job is None:
            return
        if url := job.public_url or job.script_url:
            self.copy(url)
        else:
            self.copy_link("jobs", job.job_ref)

    def action_copy_reference(self) -> None:
        """Copy what commands and triggers call the job."""
        if self.job is not None:
            self.copy(self.job.job_ref)

    def action_open(self) -> None:
        """Start an interactive job if it does not run, and open it in the browser."""
        job, place, app = self.job, self.place, self.app
        if job is None:
            return
        if job.script_type != "interactive":
            self.notify("only interactive jobs have pages", title=short_ref(job.job_ref), markup=False)
            return

        def serve() -> str:
            said = actions.launch(place, job)
            if job.script_url:
                app.call_from_thread(app.open_url, job.script_url)
                return f"{said}: {job.script_url}"
            return f"{said}; the daemon gives no URL for it"

        self.ours.act(serve)

    def action_archive(self) -> None:
        """Archive the job, after a question, or bring it back."""
        job, place = self.job, self.place
        if job is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.ours.act(lambda: actions.archive_or_not(place, job))

        verb = "Bring back" if job.archived else "Archive"
        self.app.push_screen(Confirm(f"{verb} {short_ref(job.job_ref)}?"), answered)
