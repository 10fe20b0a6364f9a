"""The screen of the data while things happen, and its way to the dashboard."""

import asyncio
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any, cast

import pytest

from runtime.domain.identities import Principal
from runtime.wire.jobs import DASHBOARD_JOB_REF, TriggerJobsRequest
from runtime.wire.lineage import LineageResponse
from runtime.wire.pipeline_client import PipelineClient
from runtime.wire.pipelines import DetailedPipelineResponse, PipelineResponse
from tests.console_store import serve_console
from tests.factories import make_raw_definition
from tests.served_estate import ServedEstate, serve_estate
from tests.tenants import Estate, Tenant, as_tenant
from tests.tui_pilot import Person, sitting_at, tui_for
from tui import app
from tui.estate import Changed
from tui.screens import data
from tui.screens.page import Page
from tui.widgets.listing import Listing
from tui.widgets.table_tree import TableTree


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use; the tests do not count on what others have left."""
    with serve_console() as served:
        yield served


async def with_dashboard(estate: Estate, tenant: Tenant) -> None:
    """The dashboard of the workspace, and an app whose name only sounds like it."""
    house = as_tenant(estate.house, Principal(user=tenant.owner), tenant.workspace_id)
    await house.deploy(
        *(
            make_raw_definition(ref, job_type="interactive", triggers=["http:"])
            for ref in ("jobs.anna.sales_dashboard", DASHBOARD_JOB_REF)
        )
    )


async def test_what_is_open_stays_open_while_runs_come_and_go(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that changes its state has the pipelines asked for anew, which is no reason to close a table."""
    shown: list[DetailedPipelineResponse] = []
    show = TableTree.show

    def and_count(tree: TableTree, pipeline: DetailedPipelineResponse) -> None:
        show(tree, pipeline)
        shown.append(pipeline)

    monkeypatch.setattr(TableTree, "show", and_count)
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("5", "shop_data")
        person.app.screen.query_one("#pipelines", Listing).select(("shop", "prod"))
        await person.until(lambda: shown and shown[-1].pipeline_name == "shop", "the pipeline is shown")
        tree = person.app.screen.query_one(TableTree)
        tree.focus()
        await person.press("down", "down", "down", "enter", "down")
        await person.reads("discount  double")
        node = tree.cursor_node
        before = len(shown)
        place = person.app.place
        request = TriggerJobsRequest(job_refs=["jobs.shop.stock"])
        await asyncio.to_thread(place.client.trigger, place.workspace_id, request)
        await person.until(lambda: len(shown) > before, "the pipeline is shown anew")
        await person.pilot.pause()
        assert "discount  double" in person.shown
        assert tree.cursor_node is node
        await asyncio.to_thread(place.client.cancel_jobs, place.workspace_id, ["jobs.shop.stock"])


async def test_the_name_of_a_pipeline_is_copied(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Y`: what code calls it."""
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        await person.goes_to("5", "shop_data")
        person.app.screen.query_one("#pipelines", Listing).select(("stock", "prod"))
        await person.press("Y")
        assert copied == ["stock"]


async def test_the_dashboard_of_the_workspace_is_opened_and_no_other_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else has the word in its name; where there is none, or it is archived, how to have one is said."""
    opened: list[str] = []
    with serve_estate(with_dashboard) as served:
        async with sitting_at(tui_for(served)) as person:
            monkeypatch.setattr(person.app, "open_url", opened.append)
            await person.press("5")
            await person.press("o")
            await person.until(lambda: opened, "it is opened")
            assert opened == [dashboard(person).script_url]
            await asyncio.to_thread(person.app.place.console.archive, DASHBOARD_JOB_REF)
            await person.until(lambda: dashboard(person).archived, "it is archived")
            await person.press("o")
            await person.is_told("there is no dashboard")
            await person.is_told("`workspace.dashboard`")
            assert len(opened) == 1


def dashboard(person: Person) -> Any:
    return next(job for job in person.app.estate.jobs.values() if job.job_ref == DASHBOARD_JOB_REF)


async def test_pipelines_are_shown_though_runs_change_faster_than_the_daemon_answers(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sitting_at(tui_for(served)) as person:
        app = person.app
        run = app.estate.recent[0]
        pipelines, pipeline = PipelineClient.pipelines, PipelineClient.pipeline

        def change() -> None:
            app.call_from_thread(lambda: cast(Page, app.screen).changed(Changed(runs={run.id: run})))

        def all_of_them(client: PipelineClient) -> list[PipelineResponse]:
            told = pipelines(client)
            change()
            return told

        def one(client: PipelineClient, name: str, profile: str) -> DetailedPipelineResponse:
            told = pipeline(client, name, profile)
            change()
            return told

        monkeypatch.setattr(PipelineClient, "pipelines", all_of_them)
        monkeypatch.setattr(PipelineClient, "pipeline", one)
        await person.goes_to("5", "shop_data")
        await person.reads("last load")


async def test_lineage_is_drawn_where_it_is_looked_at_and_one_drawing_after_the_other(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work: list[str] = []
    drawn: list[str] = []
    may_go_on = Event()

    def slowly(name: str) -> Callable[[LineageResponse], list[str]]:
        def draw(_: LineageResponse) -> list[str]:
            at_work.append(name)
            drawn.append(" and ".join(at_work))
            may_go_on.wait(60)
            at_work.remove(name)
            return [f"the {name} of it"]

        return draw

    monkeypatch.setattr(data, "picture", slowly("picture"))
    monkeypatch.setattr(data, "in_words", slowly("words"))
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("5", "shop_data")
        await person.until(lambda: cast(data.DataScreen, person.app.screen)._lineage, "the lineage is known")
        assert not drawn
        await person.press("d", "d")
        await person.until(lambda: drawn, "it is drawn")
        await person.press("w", "w", "w")
        may_go_on.set()
        await person.reads("the words of it")
        assert drawn == ["picture", "words"]


class Opens:
    """A browser that does, or cannot."""

    def __init__(self, *, is_well: bool) -> None:
        self._is_well = is_well

    def open(self, _url: str) -> bool:
        """Open a page."""
        return self._is_well


async def test_a_page_is_said_to_be_open_only_where_a_browser_has_it_and_is_copied_otherwise(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        for browser in (None, Opens(is_well=False)):
            monkeypatch.setattr(app, "graphical_browser", lambda browser=browser: browser)
            person.app.clear_notifications()
            person.app.open_url("https://host/app")
            await person.is_told("copied, for there is no browser here https://host/app")
        assert copied == ["https://host/app"] * 2
        monkeypatch.setattr(app, "graphical_browser", lambda: Opens(is_well=True))
        person.app.open_url("https://host/app")
        await person.is_told("opened https://host/app")
        assert len(copied) == 2
