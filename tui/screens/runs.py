"""Runs of all jobs, newest first, as far back as somebody scrolls; as a list or drawn over time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import ContentSwitcher, Input, Static

from cli.output.jobs import short_ref
from cli.output.text import clean
from cli.selectors import candidates
from runtime.wire.jobs import DetailedScriptResponse
from runtime.wire.run_details import DetailedRunResponse, ListRunsResponse
from tui import actions
from tui.estate import Changed, Estate, newest_first
from tui.filters import is_meant, parts_of
from tui.run_pages import RunPages
from tui.screens.page import Page, or_none
from tui.screens.run_columns import run_columns
from tui.widgets.listing import Listing
from tui.widgets.timeline import Timeline
from tui.wording import reason_text, run_reference, runs_text

PAGE = 200
SEARCHED_AT_ONCE = 500
SEARCHED_PAGES = 10
"""Words are looked for in so many pages; the end of the list, once reached, has as many more looked through."""
FOUND_AT_ONCE = 50
DRAWN_AT_MOST = 2000
STATUSES = ("", "running", "failed", "completed", "cancelled", "skipped", "pending", "starting")

Run = DetailedRunResponse


class RunsScreen(Page):
    """The list asks for more when its end is reached; `status` is asked of the daemon, words are looked for here."""

    AUTO_FOCUS = "#runs"  # a key that comes early is none for the filter
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter"),
        Binding("escape", "clear", "No filter", show=False),
        Binding("s", "status(1)", "Next status"),
        Binding("S", "status(-1)", "Previous status", show=False),
        Binding("g", "timeline", "Timeline"),
        Binding("c", "cancel", "Cancel"),
        Binding("y", "copy_link", "Copy link"),
        Binding("Y", "copy_reference", "Copy reference"),
        Binding("plus", "zoom(-1)", "Shorter timeline", show=False),
        Binding("minus", "zoom(1)", "Longer timeline", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._status = ""
        self._filter = ""
        self._parts: list[str] = []
        self._named: DetailedScriptResponse | None = None
        self._pages = RunPages(Estate())
        self._of_named: RunPages | None = None
        self._drawn: RunPages | None = None
        self._left_to_search, self._enough = 0, 0
        self._said = ""

    def content(self) -> ComposeResult:
        """The filter and what it lets through, the list, the timeline."""
        with Horizontal(classes="filter-line"):
            yield Input(placeholder="filter: a part of a job's name, tag:ingest, failed, manual ...", id="filter")
            yield Static(id="said", markup=False)
        with ContentSwitcher(initial="runs"):
            yield Listing(run_columns(self), lambda run: run.id, id="runs")
            yield Timeline(id="timeline")

    def on_screen_resume(self) -> None:
        """What is shown has the keys."""
        self.query_one(f"#{self._shown}").focus()

    @property
    def _shown(self) -> str:
        return self.query_one(ContentSwitcher).current or "runs"

    def changed(self, changed: Changed) -> None:
        """Show the runs that are meant."""
        for pages in self._all_pages():
            if changed.everything:
                pages.renew(self.estate)
            for run_id, run in changed.runs.items():
                pages.put(run_id, run)
        if changed.everything:
            self._make_sure()
            self._understand()
            if self.estate.is_loaded and self._pages.total is None and not self._pages.is_complete:
                self._ask(self._pages, PAGE)
        if changed.everything or changed.runs:
            self._trim()
            self._show_runs()

    def tick(self) -> None:
        """Durations go on."""
        self.query_one("#runs").refresh()
        if self._shown == "timeline":
            if self._drawn is not None:
                self._drawn.forget_before(self.now - timedelta(hours=self.query_one(Timeline).hours))
            self._show_runs()

    def _trim(self) -> None:
        """Keep what comes from filling the memory of a screen that is left open; what is in view stays."""
        listing = self.query_one("#runs", Listing)
        top = round(listing.scroll_y)
        in_view = listing.rows[top : top + listing.size.height] if self._shown == "runs" else ()
        seen = min((run.date_added for run in in_view), default=None)
        for pages in self._all_pages():
            pages.trim(seen)

    def _all_pages(self) -> Iterator[RunPages]:
        yield from (pages for pages in (self._pages, self._of_named, self._drawn) if pages is not None)

    # --- what is shown

    def _show_runs(self, *, anew: bool = False) -> None:
        if self._shown == "timeline":
            self._draw_timeline(anew=anew)
            return
        listing, runs = self.query_one("#runs", Listing), self._listed()
        listing.say_empty(self._nothing())
        listing.show(newest_first(runs), anew=anew)
        self._say(self._how_many(len(runs)))

    def _listed(self) -> list[Run]:
        named = self._of_named.runs if self._of_named is not None else {}
        return [run for run in {**named, **self._pages.runs}.values() if self._is_meant(run)]

    def _is_meant(self, run: Run) -> bool:
        if not self._parts:
            return True
        described = " ".join((run.script.job_ref, f"#{run.number}", run.status, run.trigger, reason_text(run)))
        return is_meant(self._parts, run.script, described)

    def _nothing(self) -> str:
        if not self.estate.is_loaded:
            return "loading ..."
        if not (self._parts or self._status):
            return "no runs yet"
        return "no run matches; Escape shows all" + ("" if self._pages.is_complete else ", End looks further back")

    def _how_many(self, count: int) -> str:
        pages = self._pages
        here, of_all = len(pages.runs), pages.count
        said = f"{count:,}" if self._parts else ""
        if pages.is_complete or here >= of_all:
            said += f" of {runs_text(here)}" if said else runs_text(here)
        else:
            newest = (
                f"the newest {here:,} of {of_all:,} runs" if pages.total is not None else f"the newest {here:,} runs"
            )
            said = f"{said} in {newest}" if said else newest
        if self._of_named is not None and self._named is not None and not pages.is_complete:
            part = "all" if self._of_named.is_complete else f"the newest {len(self._of_named.runs):,}"
            said += f" and {part} of {clean(short_ref(self._named.job_ref))}"
        return said + (f", {self._status}" if self._status else "")

    def _draw_timeline(self, *, anew: bool = False) -> None:
        timeline, drawn = self.query_one(Timeline), self._drawn
        if anew:
            timeline.begin_anew()
        if drawn is None:
            return
        # What began long before these hours may reach into them.
        others = {run.id: run for run in self.estate.runs.values() if self._status in ("", run.status)}
        runs = newest_first(run for run in {**others, **drawn.runs}.values() if self._is_meant(run))
        timeline.show(runs, self.now, known_since=None if drawn.is_complete else drawn.since)
        match = f"{timeline.count:,} of " if self._parts else ""
        said = f"the newest {len(drawn.runs):,} of {drawn.count:,} runs" if not drawn.is_complete else "all runs"
        status = f", {self._status}" if self._status else ""
        self._say(f"{match}{said} of {timeline.hours} h{status}")

    def _say(self, text: str) -> None:
        if text != self._said:  # saying it lays out the screen
            self._said = text
            self.query_one("#said", Static).update(text)

    # --- asking for more

    def _ask(self, pages: RunPages, limit: int) -> None:
        """Ask for the next page; new runs push older ones back, so pages overlap rather than leave a gap."""
        place, offset, since = self.place, pages.offset, pages.since

        def take(page: ListRunsResponse) -> None:
            if not any(pages is one for one in self._all_pages()):
                return  # something else is wanted by now
            if pages.since != since:  # the page would not go on from what is still here
                self._ask(pages, limit)
                return
            pages.take(page)
            self._show_runs()
            self._go_on(pages)

        group = "drawn" if pages is self._drawn else "named" if pages is self._of_named else "more"
        self.fetch(lambda: place.console.runs(limit, offset, **pages.wanted), take, group=group)

    def _make_sure(self) -> None:
        """Ask for each run that may have ended unseen."""
        unsure = frozenset().union(*(pages.unsure for pages in self._all_pages()))
        if not unsure:
            return
        place = self.place

        def ask() -> dict[UUID, Run | None]:
            return {one: or_none(lambda one=one: place.client.run(place.workspace_id, one)) for one in unsure}  # type: ignore[misc]

        def take(told: dict[UUID, Run | None]) -> None:
            for pages in self._all_pages():
                for run_id in pages.unsure & told.keys():
                    pages.put(run_id, told[run_id])
            self._show_runs()

        self.fetch(ask, take, group="unsure")

    def _go_on(self, pages: RunPages) -> None:
        """Ask for yet another page while that is wanted."""
        if pages.is_complete:
            return
        if pages is self._drawn and len(pages.runs) < DRAWN_AT_MOST:
            self._ask(pages, SEARCHED_AT_ONCE)
        elif pages is self._pages and self._left_to_search and self._parts and len(self._listed()) < self._enough:
            self._left_to_search -= 1
            self._ask(pages, SEARCHED_AT_ONCE)

    def _search(self) -> None:
        """Look for more that matches, in so many pages."""
        if not self._parts or self._shown == "timeline":
            return
        is_asking = any(one.group == "more" and one.node is self and one.is_running for one in self.workers)
        self._left_to_search, self._enough = SEARCHED_PAGES, len(self._listed()) + FOUND_AT_ONCE
        if not is_asking:
            self._go_on(self._pages)

    def _understand(self) -> None:
        """What the filter means, as the jobs are now; the runs of a job that it names are asked for by themselves."""
        jobs = self.estate.jobs.values()
        self._parts = parts_of(self._filter, jobs)
        refs = candidates(self._filter, [job.job_ref for job in jobs]) if self._filter else []
        named = next((job for job in jobs if refs == [job.job_ref]), None)
        if named is not None and (self._named is None or self._named.id != named.id or self._of_named is None):
            self._of_named = RunPages(self.estate, status=self._status, script_id=str(named.id))
            if not self._of_named.is_complete:
                self._ask(self._of_named, PAGE)
        elif named is None:
            self._of_named = None
        self._named = named

    def _ask_for_drawn(self, *, anew: bool) -> None:
        start = self.now - timedelta(hours=self.query_one(Timeline).hours)
        self._drawn = RunPages(self.estate, status=self._status, start=start.isoformat())
        self._show_runs(anew=anew)
        self._go_on(self._drawn)

    def on_listing_end_reached(self) -> None:
        """The last row is reached: there may be more."""
        if self._of_named is not None and not self._of_named.is_complete:
            self._ask(self._of_named, PAGE)
        if self._parts:
            self._search()
        elif not self._pages.is_complete:
            self._ask(self._pages, PAGE)

    # --- keys

    def on_listing_sorted(self) -> None:
        """Show them in the new order."""
        self._show_runs()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Look at one."""
        self._open(event.row.id)

    def on_timeline_chosen(self, event: Timeline.Chosen) -> None:
        """Look at one."""
        self._open(event.run_id)

    def _open(self, run_id: UUID) -> None:
        from tui.screens.run import RunScreen

        self.app.push_screen(RunScreen(run_id))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._filter = event.value.strip()
        self._understand()
        self._show_runs(anew=True)
        self._search()

    def on_input_submitted(self) -> None:
        """Back to what is shown."""
        self.query_one(f"#{self._shown}").focus()

    def action_filter(self) -> None:
        """Type a filter."""
        self.set_focus(self.query_one("#filter"))

    def action_clear(self) -> None:
        """Show all."""
        self.query_one("#filter", Input).value = ""
        if self._status:
            self._begin_with("")
        self.query_one(f"#{self._shown}").focus()

    def action_status(self, by: int) -> None:
        """Only the runs of one status, or all."""
        self._begin_with(STATUSES[(STATUSES.index(self._status) + by) % len(STATUSES)])
        self.notify(f"runs: {self._status or 'all'}", timeout=2)

    def _begin_with(self, status: str) -> None:
        self._status = status
        self._pages, self._of_named = RunPages(self.estate, status=status), None
        self._understand()
        if self._shown == "timeline":
            self._ask_for_drawn(anew=True)
        else:
            self._drawn = None
            self._show_runs(anew=True)
        self._left_to_search, self._enough = SEARCHED_PAGES, FOUND_AT_ONCE
        if not self._pages.is_complete:
            self._ask(self._pages, PAGE)

    def action_timeline(self) -> None:
        """The list or the drawing."""
        switcher = self.query_one(ContentSwitcher)
        switcher.current = "runs" if switcher.current == "timeline" else "timeline"
        if switcher.current == "timeline":
            self._ask_for_drawn(anew=True)
        else:
            self._drawn = None
            self._show_runs()
            self._search()
        self.query_one(f"#{switcher.current}").focus()

    def action_zoom(self, by: int) -> None:
        """Let the drawing reach less or more far back."""
        if self._shown == "timeline" and self.query_one(Timeline).zoom(by):
            self._ask_for_drawn(anew=False)
            self.query_one(Timeline).mark()

    @property
    def _current(self) -> Run | None:
        """The run that keys are about: the one that is marked in what is shown."""
        if self._shown == "timeline":
            return self.query_one(Timeline).current
        run: Run | None = self.query_one("#runs", Listing).current
        return run

    def action_copy_link(self) -> None:
        """Copy the address of the page of the marked run."""
        run = self._current
        if run is not None:
            self.copy_link("runs", str(run.id))

    def action_copy_reference(self) -> None:
        """Copy what commands call the marked run."""
        run = self._current
        if run is not None:
            self.copy(run_reference(run))

    def action_cancel(self) -> None:
        """Stop the marked run."""
        run, place = self._current, self.place
        if run is not None:
            self.ours.act(lambda: actions.cancel_run(place, run))
