"""Where links lead: the interface as a page in the browser opens it, at one run, job or pipeline."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest

from cli.credentials import MachineToken
from runtime.wire.client import RuntimeClient
from runtime.wire.console_client import ConsoleClient
from runtime.wire.endpoint import parse_endpoint
from tests.console_store import END, serve_console
from tests.served_estate import ServedEstate
from tests.tui_pilot import Person, sitting_at, tui_for
from tui.app import RuntimeTui
from tui.browser_page import BrowserPage
from tui.estate import Histories
from tui.place import Place
from tui.screens.job import JobScreen
from tui.widgets.listing import Listing


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use; nobody changes it."""
    with serve_console() as served:
        yield served


@asynccontextmanager
async def following(served: ServedEstate, kind: str, name: str) -> AsyncIterator[Person]:
    """Open a link; whoever does is there before the workspace is loaded."""
    client = RuntimeClient(parse_endpoint(served.url), keeper=MachineToken(served.tenant.token))
    app = BrowserPage(Place(client, served.tenant.workspace_id, lambda: END), kind, name)
    app.animation_level = "none"
    async with app.run_test(size=(120, 34)) as pilot:
        yield Person(app, pilot)
    client.close()


@pytest.fixture
def let_load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Keeps the workspace from being loaded until it is called."""
    may_load, jobs = Event(), ConsoleClient.jobs

    def later(client: ConsoleClient) -> Iterator[Any]:
        may_load.wait()
        return jobs(client)

    monkeypatch.setattr(ConsoleClient, "jobs", later)
    yield may_load.set
    may_load.set()


def rows(person: Person, name: str) -> list[Any]:
    return list(person.app.screen.query_one(f"#{name}", Listing).rows)


async def test_a_link_to_a_job_fills_all_of_its_tabs(served: ServedEstate, let_load: Callable[[], None]) -> None:
    """Also where the screen is there before anything is known of the workspace."""
    async with following(served, "jobs", "jobs.anna.load") as person:
        await person.until(lambda: isinstance(person.app.screen, JobScreen), "the job's screen is there")
        assert not person.app.estate.is_loaded
        assert "it is gone" not in person.shown
        let_load()
        await person.reads("Would run now")
        await person.until(lambda: rows(person, "run-list"), "the runs are listed")
        await person.until(lambda: rows(person, "spans"), "the intervals are listed")
        await person.until(lambda: rows(person, "version-list"), "the versions are listed")


async def test_what_the_daemon_tells_while_the_interface_closes_is_not_shown(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then screens are being taken apart."""
    close_all = RuntimeTui._close_all

    async def be_told_besides(app: RuntimeTui) -> None:
        await close_all(app)
        monkeypatch.setattr(app.feed, "take", lambda: [Histories([])])
        app._drain()

    monkeypatch.setattr(RuntimeTui, "_close_all", be_told_besides)
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("2", "shop.load")


async def test_a_link_to_a_run_opens_its_log(served: ServedEstate) -> None:
    async with following(served, "runs", served.tenant.ids["run_id"]) as person:
        await person.reads("line of anna")


async def test_a_link_to_a_pipeline_puts_the_cursor_on_it(served: ServedEstate) -> None:
    """Whichever it is: of two, the first is chosen by itself."""
    for name in ("shop", "stock"):
        async with following(served, "pipelines", name) as person:
            await person.reads(f"> {name}")
            await person.reads(f"{name}  into shop_data  on warehouse")


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("runs", "21", "the link is to a run `21`, which is no identifier of one"),
        ("runs", "00000000-0000-4000-8000-000000000000", "run"),
        ("jobs", "jobs.shop.nothing", "jobs.shop.nothing"),
        ("pipelines", "nothing", "there is no pipeline `nothing`"),
    ],
)
async def test_a_link_that_leads_nowhere_says_so(served: ServedEstate, kind: str, name: str, said: str) -> None:
    async with following(served, kind, name) as person:
        await person.is_told(said)
        assert not isinstance(person.app.screen, JobScreen)
