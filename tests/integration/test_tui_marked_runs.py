"""Keys act on the run that was marked when somebody looked, in the list and in the timeline."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from runtime.wire.jobs import TriggerJobsRequest
from runtime.wire.run_details import DetailedRunResponse
from tests.console_store import serve_console
from tests.served_estate import ServedEstate
from tests.tui_pilot import Person, sitting_at, tui_for
from tui.screens.run import RunScreen
from tui.widgets.listing import Listing
from tui.widgets.timeline import Timeline


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use."""
    with serve_console() as served:
        yield served


async def start(person: Person, name: str) -> DetailedRunResponse:
    """Have somebody else start a job; its run is known."""
    place = person.app.place
    request = TriggerJobsRequest(job_refs=[f"jobs.shop.{name}"])
    (started,) = place.client.trigger(place.workspace_id, request)
    assert started.run_id is not None, started.reason
    run_id = started.run_id
    run: DetailedRunResponse = await person.until(lambda: person.app.estate.runs.get(run_id), "the run appears")
    return run


def status(person: Person, run: DetailedRunResponse) -> str:
    return person.app.estate.runs[run.id].status


@asynccontextmanager
async def two_pending(served: ServedEstate) -> AsyncIterator[tuple[Person, DetailedRunResponse, DetailedRunResponse]]:
    """Somebody who looks at the runs, the newest of which is marked when another one appears before it."""
    async with sitting_at(tui_for(served)) as person:
        first = await start(person, "stock")
        await person.goes_to("3", f"> shop.stock #{first.number}")
        second = await start(person, "stock")
        await person.reads(f"  shop.stock #{second.number}")
        yield person, first, second
        for run in (first, second):
            if status(person, run) == "pending":
                person.app.place.client.cancel_run(person.app.place.workspace_id, run.id)
            await person.until(lambda run=run: status(person, run) == "cancelled", "it is over")  # type: ignore[misc]


async def test_a_run_that_begins_just_before_the_key_is_not_cancelled_in_the_place_of_the_marked_one(
    served: ServedEstate,
) -> None:
    async with two_pending(served) as (person, first, second):
        await person.press("c")
        await person.until(lambda: status(person, first) == "cancelled", "the marked run is cancelled")
        assert status(person, second) == "pending"


async def test_in_the_timeline_keys_act_on_the_run_that_is_marked_there(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever row of the list, which is not seen, was marked before."""
    copied: list[str] = []
    async with two_pending(served) as (person, first, second):
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        person.app.screen.query_one("#runs", Listing).select(second.id)
        await person.press("g")
        await person.reads(f"> shop.stock #{second.number}")
        await person.press("left")
        await person.reads(f"> shop.stock #{first.number}")
        await person.press("Y", "y")
        await person.until(lambda: len(copied) == 2, "both are copied")
        assert copied[0] == f"shop.stock {first.number}"
        assert copied[1].endswith(f"/runs/{first.id}")
        await person.press("c")
        await person.until(lambda: status(person, first) == "cancelled", "the marked run is cancelled")
        assert status(person, second) == "pending"


async def test_who_comes_back_to_the_timeline_has_its_keys(served: ServedEstate) -> None:
    """And finds the run marked that was looked at."""
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.report")
        await person.press("g", "minus", "minus")
        await person.reads("last 24 h")
        timeline = person.app.screen.query_one(Timeline)
        await person.press("down", "left")
        marked = timeline.current
        assert marked is not None
        await person.press("enter")
        await person.until(lambda: isinstance(person.app.screen, RunScreen), "the run is shown")
        await person.press("escape")
        await person.until(lambda: person.app.focused is timeline, "the timeline has the keys")
        assert timeline.current == marked
        await person.press("up")
        assert timeline.current is not None
        assert timeline.current.script.id != marked.script.id


async def test_a_run_that_leaves_the_list_leaves_its_mark_to_no_other(served: ServedEstate) -> None:
    """Of the pending ones the marked one ends: the key that comes then cancels nothing."""
    async with two_pending(served) as (person, first, second):
        await person.press("S", "S")
        listing = person.app.screen.query_one("#runs", Listing)
        await person.until(lambda: {first.id, second.id} <= {row.id for row in listing.rows}, "both are listed")
        listing.select(first.id)
        person.app.place.client.cancel_run(person.app.place.workspace_id, first.id)
        await person.until(lambda: first.id not in {row.id for row in listing.rows}, "it has left the list")
        assert second.id in {row.id for row in listing.rows}
        assert listing.current is None
        person.app.clear_notifications()
        await person.press("c")
        await person.press("Y")
        await person.pilot.pause()
        assert person.toasts == ""
        assert status(person, second) == "pending"
