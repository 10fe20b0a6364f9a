"""The tree of tables stays as a person has opened it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from runtime.domain.refs import DASHBOARD_JOB_REF as DOMAINS
from runtime.wire.jobs import DASHBOARD_JOB_REF
from runtime.wire.pipelines import ColumnResponse, DetailedPipelineResponse, TableResponse
from tui.widgets.table_tree import TableTree


def test_the_dashboard_has_one_name() -> None:
    """The interface knows the domain's names only from the wire."""
    assert DASHBOARD_JOB_REF == DOMAINS


def pipeline(*tables: str, name: str = "shop", columns: Sequence[str] = ("id",)) -> DetailedPipelineResponse:
    """A pipeline with such tables."""
    return DetailedPipelineResponse(
        pipeline_name=name,
        profile="prod",
        table_count=len(tables),
        date_updated=datetime(2026, 3, 10, tzinfo=UTC),
        loads=[],
        tables=[
            TableResponse(
                schema_name="shop",
                name=table,
                columns=[
                    ColumnResponse(name=column, data_type="text", nullable=True, primary_key=False)
                    for column in columns
                ],
            )
            for table in tables
        ],
    )


class Treed(App[None]):
    """Nothing but the tree."""

    def compose(self) -> ComposeResult:
        yield TableTree()

    @property
    def tables(self) -> TableTree:
        return self.query_one(TableTree)

    def lines(self) -> list[str]:
        """What is shown, without the lines that are drawn before it."""
        strips = self.tables.render_lines(self.tables.size.region)
        shown = (strip.text.strip(" │├└─▼▶┃┣┗━") for strip in strips)
        return [line for line in shown if line]

    def at(self) -> tuple[str, ...] | None:
        """Where the cursor is."""
        node = self.tables.cursor_node
        return node.data if node is not None else None


async def open_prices(app: Treed, pilot: Pilot[None]) -> None:
    """Show a pipeline, open its first table and go to the last column of it."""
    app.tables.show(pipeline("prices", "products"))
    app.tables.focus()
    await pilot.press("down", "down", "enter", "down")
    await pilot.pause()
    assert app.lines() == ["shop", "shop", "prices", "id  text", "products"]
    assert app.at() == ("shop", "prices", "id")


async def test_what_is_shown_again_is_left_alone() -> None:
    app = Treed()
    async with app.run_test(size=(60, 12)) as pilot:
        await open_prices(app, pilot)
        before = list(app.tables.root.children)
        app.tables.show(pipeline("prices", "products"))
        await pilot.pause()
        assert list(app.tables.root.children) == before
        assert app.at() == ("shop", "prices", "id")


async def test_what_is_open_and_the_cursor_are_found_again_by_name() -> None:
    """Whatever came before, or was taken away."""
    app = Treed()
    async with app.run_test(size=(60, 12)) as pilot:
        await open_prices(app, pilot)
        app.tables.show(pipeline("articles", "prices", columns=("amount", "id")))
        await pilot.pause()
        assert app.lines() == ["shop", "shop", "articles", "prices", "amount  text", "id  text"]
        assert app.at() == ("shop", "prices", "id")


async def test_the_cursor_goes_to_what_a_lost_column_was_part_of() -> None:
    app = Treed()
    async with app.run_test(size=(60, 12)) as pilot:
        await open_prices(app, pilot)
        app.tables.show(pipeline("articles", "prices", columns=("amount",)))
        await pilot.pause()
        assert app.at() == ("shop", "prices")
        app.tables.show(pipeline("articles"))
        await pilot.pause()
        assert app.at() == ("shop",)


async def test_a_schema_that_was_closed_stays_closed() -> None:
    app = Treed()
    async with app.run_test(size=(60, 12)) as pilot:
        app.tables.show(pipeline("prices"))
        app.tables.focus()
        await pilot.press("down", "enter")
        app.tables.show(pipeline("prices", "products"))
        await pilot.pause()
        assert app.lines() == ["shop", "shop"]


async def test_another_pipeline_begins_closed() -> None:
    """Also where its tables have the same names."""
    app = Treed()
    async with app.run_test(size=(60, 12)) as pilot:
        await open_prices(app, pilot)
        app.tables.show(pipeline("prices", "products", name="stock"))
        await pilot.pause()
        assert app.lines() == ["stock", "shop", "prices", "products"]
