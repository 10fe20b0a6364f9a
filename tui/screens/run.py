"""One run: its log, live, and everything that is known of it."""

import io
from typing import ClassVar
from uuid import UUID

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static, TabbedContent, TabPane
from textual.worker import get_current_worker

from cli.output.jobs import short_ref
from runtime.wire.environments import RunEnvironmentResponse
from runtime.wire.failures import ApiError, ForbiddenError, MissingError
from runtime.wire.log_pages import LogPageResponse
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES
from tui import actions
from tui.estate import Changed
from tui.log_file import is_taken, log_text, save_log
from tui.run_details import pinned_versions, run_facts, runs_near
from tui.screens.page import Page, or_none
from tui.screens.prompts import Ask, Confirm
from tui.screens.run_columns import run_columns
from tui.widgets.facts import Facts
from tui.widgets.listing import Listing
from tui.widgets.log_view import PAGE_LINES, LogView
from tui.wording import duration_text, reason_text, run_reference, run_state, run_title

LOOK_SECONDS = 0.25
"""How often a live log is looked at; what that costs does not depend on how fast it grows."""
RETRY_SECONDS = 1.0


class RunScreen(Page):
    """Opens at the end of the log, and follows it while the run goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("slash", "search", "Search"),
        Binding("n", "find(1)", "Next", show=False),
        Binding("N", "find(-1)", "Previous", show=False),
        Binding("e", "error(1)", "Error"),
        Binding("E", "error(-1)", "Error before", show=False),
        Binding("f", "follow", "Follow"),
        Binding("w", "wrap", "Wrap"),
        Binding("m", "moments", "Times of lines", show=False),
        Binding("s", "save", "Save"),
        Binding("c", "cancel", "Cancel"),
        Binding("d", "tab", "Details"),
        Binding("y", "copy_link", "Copy link"),
        Binding("Y", "copy_reference", "Copy reference", show=False),
        Binding("r", "copy", "Copy the line or reason", show=False),
        Binding("u", "upstream", "Run that started it", show=False),
        Binding("J", "job", "The job", show=False),
    ]

    def __init__(self, run_id: UUID) -> None:
        super().__init__()
        self._run_id = run_id
        self._run: DetailedRunResponse | None = None
        self._versions = ""
        self._environment: RunEnvironmentResponse | None = None
        self._knows_environment = False
        self._knows_near = False
        self._known_lines = 0
        self._is_looking = False
        self._is_log_whole = False
        self._had_no_answer = False

    def content(self) -> ComposeResult:
        """Head, log, details."""
        yield Static(id="head", classes="note", markup=False)
        with TabbedContent(initial="log"):
            with TabPane("Log", id="log"), Vertical():
                yield LogView(id="lines")
                yield Input(placeholder="search", id="search")
            with TabPane("Details", id="details"), VerticalScroll(id="all-facts"):
                yield Facts(id="facts")
            with TabPane("Up- and downstream", id="related"):
                yield Listing(run_columns(self), lambda run: run.id, empty="no run led here or followed", id="near")

    def on_mount(self) -> None:
        """Look at the end of the log, now and then."""
        self.query_one("#search").display = False
        self.query_one("#lines").focus()
        self.set_interval(LOOK_SECONDS, self._look)

    def changed(self, changed: Changed) -> None:
        """Show the run as it is; it is asked for where the workspace has no room for it."""
        run_id = self._run_id
        run = self.estate.runs.get(run_id) if changed.everything else changed.runs.get(run_id)
        if run is not None:
            self._take(run)
        elif changed.everything:
            if self._run is None or self._run.status not in FINAL_RUN_STATUSES:
                self._ask_for_run()
            self._show_head()
            self._show_facts()
        if changed.everything:
            if self._run is not None:
                self._ask_for_rest(self._run)
            self._look()
            self.query_one("#lines").refresh()
        if self._run is not None and changed.runs:
            self._show_near()

    def tick(self) -> None:
        """Its duration goes on, and so do relative times."""
        self._show_head()
        if self.query_one(TabbedContent).active == "details":
            self._show_facts()

    # --- the run

    def _ask_for_run(self) -> None:
        place, run_id = self.place, self._run_id
        self.fetch(lambda: place.client.run(place.workspace_id, run_id), self._take, group="run")

    def _take(self, run: DetailedRunResponse) -> None:
        before, self._run = self._run, run
        self._show_head()
        self._show_facts()
        if before is None or (before.time_started is None and run.time_started is not None):
            self._ask_for_rest(run)

    def _ask_for_rest(self, run: DetailedRunResponse) -> None:
        """Ask for what stays as it is, until there was an answer."""
        place = self.place
        if not self._versions:
            self.fetch(lambda: pinned_versions(place, run), self._take_versions, group="versions")
        if not self._knows_near:
            self.fetch(lambda: runs_near(place, run), self._take_near, group="near")
        if run.time_started is not None and not self._knows_environment:
            self.fetch(
                lambda: or_none(lambda: place.console.environment(run.id)), self._take_environment, group="environment"
            )

    def _take_versions(self, versions: str) -> None:
        self._versions = versions
        self._show_facts()

    def _take_environment(self, environment: RunEnvironmentResponse | None) -> None:
        self._environment, self._knows_environment = environment, True
        self._show_facts()

    def _take_near(self, runs: list[DetailedRunResponse]) -> None:
        self._knows_near = True
        self.query_one("#near", Listing).show(runs)

    def _show_near(self) -> None:
        shown = {run.id: run for run in self.query_one("#near", Listing).rows}
        shown |= {run.id: run for run in self.estate.runs.values() if run.prev_run_id == self._run_id}
        current = [self.estate.runs.get(run_id, run) for run_id, run in shown.items()]
        self.query_one("#near", Listing).show(sorted(current, key=lambda run: run.date_added))

    def _show_head(self) -> None:
        run = self._run
        if run is None:
            return
        parts = [run_title(run, run.script.job_ref), run_state(run), duration_text(run, self.now)]
        view = self.query_one("#lines", LogView)
        if view.following and run.status not in FINAL_RUN_STATUSES:
            parts.append("following")
        if view.total:
            parts.append(f"{view.total:,} lines")
        text = "  ".join(part for part in parts if part)
        if run.reason:
            text += f"\n{reason_text(run)}"
        self.query_one("#head", Static).update(text)

    def _show_facts(self) -> None:
        run = self._run
        if run is None:
            return
        facts = run_facts(run, self._versions, self._environment, self.when, self.now)
        self.query_one("#facts", Facts).show(facts)

    # --- the log

    def _look(self) -> None:
        """Look at the end of the log while the screen is seen, until the run has ended and all of it is known.

        Each look is short and the next waits for it: a screen that is left open holds no thread.
        """
        if self._is_looking or self._is_log_whole or not self.is_current:
            return
        self._is_looking = True
        log, view, known = self.place.log(self._run_id), self.query_one("#lines", LogView), self._known_lines
        was_final = self._run is not None and self._run.status in FINAL_RUN_STATUSES

        def ask() -> None:
            worker, page, is_refused = get_current_worker(), None, False
            try:
                page = log.page(known, PAGE_LINES)
            except (MissingError, ForbiddenError):
                is_refused = True
            except ApiError:
                pass  # the feed says that the daemon is away
            if not worker.is_cancelled:
                self.app.call_from_thread(looked, page, is_refused)

        def looked(page: LogPageResponse | None, is_refused: bool) -> None:
            if page is None and not is_refused:
                self._had_no_answer = True
                self.set_timer(RETRY_SECONDS, self._look_again)
                return
            self._is_looking = False
            if self._had_no_answer and self._run is None:
                self._ask_for_run()
            self._had_no_answer = False
            if page is not None and page.total > known:
                self._known_lines = page.total
                self._put(view, known, page)
            else:
                self._is_log_whole = is_refused or was_final

        self.run_worker(ask, thread=True, group="tail")

    def _look_again(self) -> None:
        self._is_looking = False
        self._look()

    def _put(self, view: LogView, first_line: int, page: LogPageResponse) -> None:
        if view.is_attached:
            view.put(first_line, page.lines, page.total)
            self._show_head()

    def on_log_view_wanted(self, event: LogView.Wanted) -> None:
        """Ask for a page that is in view."""
        log, view, first_line = self.place.log(self._run_id), self.query_one("#lines", LogView), event.page * PAGE_LINES

        def ask() -> None:
            try:
                page = log.page(first_line, PAGE_LINES)
            except ApiError:
                self.app.call_from_thread(view.failed, event.page)
            else:
                self.app.call_from_thread(self._put, view, first_line, page)

        self.run_worker(ask, thread=True, group="pages")

    def action_follow(self) -> None:
        """Go to the end and stay there."""
        self.query_one("#lines", LogView).action_follow()
        self._show_head()

    def action_wrap(self) -> None:
        """Break long lines, or not."""
        view = self.query_one("#lines", LogView)
        view.wrap = not view.wrap

    def action_moments(self) -> None:
        """The time of each line, or not."""
        view = self.query_one("#lines", LogView)
        view.show_times = not view.show_times

    def action_search(self) -> None:
        """Type what to look for."""
        self.query_one(TabbedContent).active = "log"
        field = self.query_one("#search", Input)
        field.display = True
        self.set_focus(field)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for it, from what is in view on."""
        view = self.query_one("#lines", LogView)
        view.needle = event.value
        view.found = None
        view.focus()
        self.query_one("#search").display = bool(event.value)
        if event.value:
            self.action_find(1)

    def action_find(self, direction: int) -> None:
        """The next or previous line that holds what is looked for."""
        needle = self.query_one("#lines", LogView).needle
        if needle:
            self._look_for(needle, direction)

    def action_error(self, direction: int) -> None:
        """The next or previous line that looks like an error."""
        self._look_for(None, direction)

    def _look_for(self, text: str | None, direction: int) -> None:
        view, log = self.query_one("#lines", LogView), self.place.log(self._run_id)
        # At the end of a log that nobody has looked through yet, the first find is the first of all, or the last.
        ends = 0 if direction > 0 else view.total - 1
        start = view.found + direction if view.found is not None else ends if view.following else view.top
        what = "error" if text is None else f"`{text}`"

        def ask() -> int | None:
            place: int | None = start if 0 <= start < max(1, view.total) else None
            while place is not None:
                found = log.find(text, place, backwards=direction < 0)
                if found.line_nums:
                    return found.line_nums[0]
                place = found.next_line
            return None

        def show(number: int | None) -> None:
            if number is None:
                self.notify(f"no {what} {'before' if direction < 0 else 'after'} this", timeout=3, markup=False)
            else:
                self.query_one(TabbedContent).active = "log"
                view.show_found(number)
                self._show_head()

        self.fetch(ask, show, group="find")

    def action_save(self) -> None:
        """Write the log to a file."""
        run = self._run
        if run is None:
            return
        name = f"{short_ref(run.script.job_ref).replace('/', '_')}-{run.number}.log"
        if self.app.is_web:
            self._deliver(name)
            return

        def answered(path: str | None) -> None:
            if path and is_taken(path):
                self.app.push_screen(
                    Confirm(f"`{path}` is there already.\n\nWrite over it?"),
                    lambda yes: self._save(path) if yes else None,
                )
            elif path:
                self._save(path)

        self.app.push_screen(Ask("Save the log to", name), answered)

    def _save(self, path: str) -> None:
        log, total = self.place.log(self._run_id), self.query_one("#lines", LogView).total
        self.ours.act(lambda: save_log(log.page, path, total))

    def _deliver(self, name: str) -> None:
        """Hand the log to the browser: a file of the machine that serves it would be of no use."""
        log, total = self.place.log(self._run_id), self.query_one("#lines", LogView).total

        def show(text: str) -> None:
            self.app.deliver_text(io.StringIO(text), save_filename=name)

        self.fetch(lambda: "".join(log_text(log.page, total)), show, group="save")

    # --- elsewhere

    def action_cancel(self) -> None:
        """Stop the run."""
        run, place = self._run, self.place
        if run is not None:
            self.ours.act(lambda: actions.cancel_run(place, run))

    def action_tab(self) -> None:
        """Log, details, related runs, in turn."""
        tabs = self.query_one(TabbedContent)
        names = ("log", "details", "related")
        tabs.active = names[(names.index(tabs.active) + 1) % len(names)]
        self.query_one({"log": "#lines", "details": "#all-facts", "related": "#near"}[tabs.active]).focus()

    def action_copy(self) -> None:
        """Copy the line that was found, else why the run ended, else its reference."""
        view, run = self.query_one("#lines", LogView), self._run
        line = view.line(view.found) if view.found is not None else None
        text = line.content if line else (run.reason or run_reference(run)) if run else ""
        self.copy(text)

    def action_copy_link(self) -> None:
        """Copy the address of the run's page."""
        self.copy_link("runs", str(self._run_id))

    def action_copy_reference(self) -> None:
        """Copy what commands call the run."""
        if self._run is not None:
            self.copy(run_reference(self._run))

    def action_upstream(self) -> None:
        """Look at the run that started this one."""
        if self._run is not None and self._run.prev_run_id is not None:
            self.app.push_screen(RunScreen(self._run.prev_run_id))
        else:
            self.notify("no run started this one")

    def action_job(self) -> None:
        """Look at the job."""
        from tui.screens.job import JobScreen

        if self._run is not None:
            self.app.push_screen(JobScreen(self._run.script.id))

    def action_back(self) -> None:
        """Close the search, then the screen."""
        field, view = self.query_one("#search", Input), self.query_one("#lines", LogView)
        if field.display:
            field.display = False
            view.needle, view.found = "", None
            view.refresh()
            view.focus()
        else:
            self.app.pop_screen()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Look at another run."""
        self.app.push_screen(RunScreen(event.row.id))
