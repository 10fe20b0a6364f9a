"""What the pipelines have loaded: tables with their columns, loads over time, and where the data comes from."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static, TabbedContent, TabPane

from cli.output.jobs import short_ref
from cli.output.text import clean
from runtime.wire.jobs import DASHBOARD_JOB_REF
from runtime.wire.lineage import LineageResponse, ask_lineage
from runtime.wire.pipeline_client import PipelineClient
from runtime.wire.pipelines import DetailedPipelineResponse, LoadResponse, PipelineResponse
from runtime.wire.runs import FINAL_RUN_STATUSES
from tui.estate import Changed
from tui.lineage import in_words, picture
from tui.screens.page import Page, or_none
from tui.widgets.listing import Column, Listing
from tui.widgets.row_plot import RowPlot
from tui.widgets.table_tree import TableTree
from tui.widgets.text_view import TextView
from tui.wording import state_style, state_text

TABS = ("tables", "loads", "lineage")


class DataScreen(Page):
    """Pipelines left, what is known of the chosen one right; lineage is all pipelines' and takes all of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "next", "Next tab"),
        Binding("w", "words", "Lineage in words"),
        Binding("y", "copy_link", "Copy link"),
        Binding("Y", "copy_reference", "Copy name", show=False),
        Binding("o", "open", "Dashboard", tooltip="open the workspace's dashboard in the browser"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lineage: LineageResponse | None = None
        self._in_words = False
        self._drawn: tuple[LineageResponse | None, bool] = (None, False)
        """The lineage that is drawn, or being drawn, and whether in words."""
        self._is_drawing = False
        self._is_known = False
        self._wanted = ""

    def content(self) -> ComposeResult:
        """The list and three tabs."""
        pipelines: list[Column[PipelineResponse]] = [
            Column("Pipeline", lambda one: clean(one.pipeline_name)),
            Column("Profile", lambda one: clean(one.profile), 8, spare=1),
            Column("Tables", lambda one: str(one.table_count), 6, right=True),
        ]
        loads: list[Column[LoadResponse]] = [
            Column("Load", lambda one: self.brief(one.started_at), 14),
            Column("Status", lambda one: state_text(one.status), 11, lambda one: state_style(one.status)),
            Column("Rows", lambda one: f"{one.total_rows:,}", 11, right=True),
            Column("Tables", lambda one: clean(", ".join(f"{name} {count:,}" for name, count in
                                                         one.rows_by_table.items())), spare=2),
            Column("New columns", _schema_changes, 0, spare=1),
        ]  # fmt: skip
        with Horizontal(classes="row"):
            with Vertical(id="pipelines-side"):
                yield Listing(
                    pipelines,
                    lambda one: (one.pipeline_name, one.profile),
                    empty="no pipeline has run yet",
                    id="pipelines",
                )
            with Vertical():
                yield Static(classes="note", id="about", markup=False)
                with TabbedContent(initial="tables"):
                    with TabPane("Tables", id="tables"):
                        yield TableTree(id="tree")
                    with TabPane("Loads", id="loads"):
                        yield RowPlot(id="plot")
                        yield Listing(loads, lambda one: one.transaction_id, empty="no loads yet", id="load-list")
                    with TabPane("Lineage", id="lineage"):
                        yield TextView(id="drawing")

    def changed(self, changed: Changed) -> None:
        """Ask anew when runs have changed."""
        if not (changed.everything or changed.runs or changed.packages):
            return
        client, place = self._client, self.place
        self.fetch(lambda: or_none(client.pipelines) or [], self._show_pipelines, group="pipelines", in_turn=True)
        if changed.everything or changed.packages or self._ended(changed):
            self.fetch(
                lambda: or_none(lambda: ask_lineage(place.client.connection, place.workspace_id)),
                self._take_lineage,
                group="lineage",
                in_turn=True,
            )

    def on_screen_resume(self) -> None:
        """The list has the keys."""
        self.query_one("#pipelines").focus()

    def choose(self, name: str) -> None:
        """Put the cursor on a pipeline, as soon as they are known."""
        self._wanted = name
        self._choose_wanted()

    def _choose_wanted(self) -> None:
        name, listing = self._wanted, self.query_one("#pipelines", Listing)
        if not name or not self._is_known:
            return
        self._wanted = ""
        found = next((row for row in listing.rows if row.pipeline_name == name), None)
        if found is not None:
            listing.select((found.pipeline_name, found.profile))
        else:
            title = f"there is no pipeline `{clean(name)}`"
            self.notify(
                "a pipeline is listed once a run of it has reported", title=title, severity="warning", markup=False
            )

    def _ended(self, changed: Changed) -> bool:
        """Whether a run has ended: it may have run a pipeline that it never ran before."""
        return any(run is not None and run.status in FINAL_RUN_STATUSES for run in changed.runs.values())

    @property
    def _client(self) -> PipelineClient:
        return PipelineClient(self.place.client.connection, self.place.workspace_id)

    def _show_pipelines(self, pipelines: list[PipelineResponse]) -> None:
        listing = self.query_one("#pipelines", Listing)
        before = listing.current
        listing.show(pipelines)
        if before is not None:  # the first row follows whichever pipeline was heard of last
            listing.select((before.pipeline_name, before.profile))
        self._is_known = True
        self._choose_wanted()
        if before is not None and listing.current is not None:  # another mark is told of as such
            self._ask_again(listing.current)

    def on_listing_highlighted(self, event: Listing.Highlighted) -> None:
        """Show what is known of a pipeline."""
        if event.listing.id == "pipelines" and event.row is not None:
            self._ask_for(event.row)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """A load leads to its run."""
        if event.listing.id == "load-list":
            from tui.screens.run import RunScreen

            self.app.push_screen(RunScreen(event.row.run_id))

    def _ask_for(self, pipeline: PipelineResponse) -> None:
        client = self._client
        self.fetch(lambda: client.pipeline(pipeline.pipeline_name, pipeline.profile), self._show_one, group="pipeline")

    def _ask_again(self, pipeline: PipelineResponse) -> None:
        """Ask for the pipeline that is shown, after a run; an answer that comes late is shown unless another is."""
        client, listing = self._client, self.query_one("#pipelines", Listing)

        def show(one: DetailedPipelineResponse) -> None:
            current = listing.current
            if current is not None and (current.pipeline_name, current.profile) == (
                pipeline.pipeline_name,
                pipeline.profile,
            ):
                self._show_one(one)

        self.fetch(lambda: client.pipeline(pipeline.pipeline_name, pipeline.profile), show, group="shown", in_turn=True)

    def _show_one(self, pipeline: DetailedPipelineResponse) -> None:
        parts = (
            pipeline.pipeline_name,
            f"into {pipeline.dataset_name}" if pipeline.dataset_name else "",
            f"on {pipeline.destination_name or pipeline.destination_type}" if pipeline.destination_type else "",
            f"last load {self.when(pipeline.date_updated)}",
        )
        self.query_one("#about", Static).update(clean("  ".join(part for part in parts if part)))
        self.query_one(TableTree).show(pipeline)
        self.query_one("#load-list", Listing).show(pipeline.loads)
        self.query_one("#plot", RowPlot).show([load.total_rows for load in reversed(pipeline.loads)])

    def _take_lineage(self, lineage: LineageResponse | None) -> None:
        if lineage != self._lineage:
            self._lineage = lineage
            self._draw_lineage()

    def _draw_lineage(self) -> None:
        """Draw where it is looked at, and one drawing after the other: a large one takes time and memory."""
        lineage, wanted = self._lineage, (self._lineage, self._in_words)
        if lineage is None or self._is_drawing or self.query_one(TabbedContent).active != "lineage":
            return
        if self._drawn[0] is lineage and self._drawn[1] == self._in_words:
            return
        self._drawn, self._is_drawing = wanted, True
        draw = in_words if self._in_words else picture

        def show(lines: list[str]) -> None:
            self._is_drawing = False
            self.query_one("#drawing", TextView).show(lines)
            self._draw_lineage()

        self.fetch(lambda: draw(lineage), show, group="draw")

    def action_words(self) -> None:
        """Lineage as words or as a picture."""
        self._in_words = not self._in_words
        self._go_to("lineage")
        self._draw_lineage()

    def action_next(self) -> None:
        """The next tab."""
        self._go_to(TABS[(TABS.index(self.query_one(TabbedContent).active) + 1) % len(TABS)])

    def _go_to(self, tab: str) -> None:
        self.query_one(TabbedContent).active = tab
        self.query_one({"tables": "#tree", "loads": "#load-list", "lineage": "#drawing"}[tab]).focus()

    def on_tabbed_content_tab_activated(self, event: TabbedContent.TabActivated) -> None:
        """Lineage is not of one pipeline."""
        is_lineage = event.pane.id == "lineage"
        self.query_one("#pipelines-side").display = not is_lineage
        self.query_one("#about").display = not is_lineage
        self._draw_lineage()

    def action_copy_link(self) -> None:
        """Copy the address of the pipeline's page."""
        row = self.query_one("#pipelines", Listing).current
        if row is not None:
            self.copy_link("pipelines", row.pipeline_name)

    def action_copy_reference(self) -> None:
        """Copy what code calls the pipeline."""
        row = self.query_one("#pipelines", Listing).current
        if row is not None:
            self.copy(row.pipeline_name)

    def action_open(self) -> None:
        """Open the workspace's dashboard; a visit starts it."""
        jobs = self.estate.jobs.values()
        job = next((job for job in jobs if job.job_ref == DASHBOARD_JOB_REF and not job.archived), None)
        if job is None:
            name = short_ref(DASHBOARD_JOB_REF)
            says = f"deploying a workspace that has a `__deployment__.py` adds it, as the job `{name}`"
            self.notify(says, title="there is no dashboard", severity="warning", markup=False)
        elif job.script_url:
            self.app.open_url(job.script_url)
        else:
            self.notify("the daemon gives no URL for it", title=short_ref(job.job_ref), severity="warning")


def _schema_changes(load: LoadResponse) -> str:
    return clean(", ".join(f"{table}: {' '.join(columns)}" for table, columns in load.schema_changes.items()))
