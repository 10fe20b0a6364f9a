"""A workspace in which so much runs that nothing but one job is among the newest runs: the others are seen all the
same."""

import gc
from collections.abc import Iterator

import pytest

from tests.busy_store import BUSY_RUNS, DAILY_RUNS, REASON, fill_busy
from tests.served_estate import ServedEstate, serve_estate
from tests.tui_pilot import Person, sitting_at, tui_for
from tui import feed
from tui.feed import FIRST_RUNS
from tui.screens import runs as runs_screen
from tui.widgets.listing import Listing
from tui.widgets.timeline import Timeline

ALL_RUNS = BUSY_RUNS + DAILY_RUNS + 4
"""With one of the stream, two of the broken job, and one of the job that every tenant has."""


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """Nobody changes it."""
    with serve_estate(fill_busy) as served:
        yield served


def names(person: Person, name: str) -> list[str]:
    """The runs of a list: `busy 21`."""
    rows = person.app.screen.query_one(f"#{name}", Listing).rows
    return [f"{row.script.job_ref.rpartition('.')[2]} {row.number}" for row in rows]


def row_of(person: Person, text: str) -> str:
    """The line of the screen with a text."""
    return next(line for line in person.shown.splitlines() if text in line)


async def test_the_overview_shows_what_runs_and_what_has_failed_however_much_has_run_since(
    served: ServedEstate,
) -> None:
    async with sitting_at(tui_for(served), size=(140, 40)) as person:
        await person.reads("shop.stream #1")
        await person.reads("shop.broken #1")
        await person.reads(REASON)
        await person.reads("Failed, last day")
        assert names(person, "now") == ["stream 1"]
        assert names(person, "failures") == ["broken 2", "broken 1"]
        assert len(person.app.estate.recent) == FIRST_RUNS


async def test_the_overview_says_where_more_has_failed_than_it_lists(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "KEPT_FAILURES", 1)
    async with sitting_at(tui_for(served), size=(140, 40)) as person:
        await person.reads("Failed, the newest")
        assert names(person, "failures") == ["broken 2"]


async def test_the_search_for_garbage_passes_by_what_is_loaded_until_the_interface_is_left(
    served: ServedEstate,
) -> None:
    """In a large workspace keys would wait for it."""
    before = gc.get_threshold()
    async with sitting_at(tui_for(served)) as person:
        await person.until(gc.get_freeze_count, "what is loaded is set aside")
        assert gc.get_threshold() > before
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


async def test_a_daily_job_shows_its_last_runs_however_much_others_have_run(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served), size=(140, 40)) as person:
        await person.goes_to("2", "shop.daily")
        await person.until(lambda: "▁▁▁▁▁▁▁▁▁▁✗▁" in row_of(person, "shop.daily"), "its last runs are shown")


async def test_the_timeline_shows_all_of_its_hours(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served), size=(140, 40)) as person:
        await person.goes_to("3", "shop.busy")
        await person.press("g")
        await person.reads("all runs of 6 h")
        # Its line is full from the left to the right, and what began a day ago is there.
        busy = row_of(person, "shop.busy ")[48:]
        assert " " not in busy.rstrip()
        assert "▶" * 80 in row_of(person, "shop.stream")
        assert "shop.broken" not in person.shown
        await person.press("minus")
        await person.reads("all runs of 12 h")
        assert "✗" in row_of(person, "shop.broken")
        await person.press("plus", "plus")
        await person.reads("all runs of 3 h")
        assert "shop.broken" not in person.shown


async def test_a_timeline_of_more_runs_than_are_asked_for_says_so(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_screen, "DRAWN_AT_MOST", 600)
    async with sitting_at(tui_for(served), size=(140, 40)) as person:
        await person.goes_to("3", "shop.busy")
        await person.press("g")
        await person.reads("the newest 980 of 1,080 runs of 6 h")
        assert "╌╌" in row_of(person, "shop.busy ")


async def test_the_timeline_is_filtered_by_words_and_by_status(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served), size=(140, 40)) as person:
        await person.goes_to("3", "shop.busy")
        await person.press("g", "minus")
        await person.until(lambda: "shop.broken" in person.shown, "all jobs are drawn")
        await person.press("s", "s")
        await person.reads("all runs of 12 h, failed")
        await person.until(lambda: "shop.busy" not in person.shown, "only failed runs are drawn")
        assert "shop.broken" in person.shown
        await person.press("escape", "slash")
        await person.type("stream")
        await person.press("enter")
        await person.until(lambda: "shop.broken" not in person.shown, "only the stream is drawn")
        assert "shop.stream" in person.shown
        await person.reads("1 of all runs of 12 h")
        assert person.app.focused is person.app.screen.query_one(Timeline)


async def test_older_runs_come_when_the_end_of_the_list_is_reached(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.busy")
        await person.reads(f"of {ALL_RUNS:,} runs")
        listing = person.app.screen.query_one("#runs", Listing)
        before = len(listing.rows)
        await person.press("end")
        await person.until(lambda: len(listing.rows) > before, "older runs are listed")
        numbers = [row.number for row in listing.rows]
        assert numbers == list(range(BUSY_RUNS, BUSY_RUNS - len(numbers), -1))


async def test_words_are_looked_for_as_far_back_as_the_runs_go(served: ServedEstate) -> None:
    """A reason, which no list of the daemon is filtered by."""
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.busy")
        await person.press("slash")
        await person.type("503")
        await person.press("enter")
        await person.until(lambda: names(person, "runs")[-1:] == ["broken 1"], "the failure is found")
        await person.reads(f"of {ALL_RUNS:,} runs")


async def test_a_search_that_has_not_seen_all_says_how_far_it_has_looked_and_goes_on_when_asked(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_screen, "SEARCHED_PAGES", 0)
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.busy")
        await person.reads(f"of {ALL_RUNS:,} runs")
        await person.press("slash")
        await person.type("says")
        await person.press("enter")
        await person.reads("End looks further back")
        await person.reads(f"0 in the newest 680 of {ALL_RUNS:,} runs")
        monkeypatch.setattr(runs_screen, "SEARCHED_PAGES", 1)
        await person.press("end")
        await person.reads(f"0 in the newest 1,160 of {ALL_RUNS:,} runs")
        await person.press("end")
        await person.until(lambda: names(person, "runs") == ["broken 2", "broken 1"], "both failures are found")
        await person.reads(f"2 of {ALL_RUNS:,} runs")


async def test_the_runs_of_a_job_that_the_filter_names_are_asked_for_by_themselves(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_screen, "SEARCHED_PAGES", 0)
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.busy")
        await person.press("slash")
        await person.type("daily")
        await person.press("enter")
        await person.until(lambda: len(names(person, "runs")) == DAILY_RUNS, "its runs are listed")
        assert set(names(person, "runs")) == {f"daily {number}" for number in range(1, DAILY_RUNS + 1)}
        await person.reads("and all of shop.daily")


async def test_the_status_that_is_asked_for_stands_beside_the_filter(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served), size=(80, 24)) as person:
        await person.goes_to("3", "shop.busy")
        await person.press("s", "s")
        await person.reads("4 runs, failed")
        await person.press("S")
        await person.reads("1 run, running")
        assert names(person, "runs") == ["stream 1"]


async def test_a_run_that_ended_while_nobody_looked_is_asked_for_once_the_workspace_has_no_room_for_it(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.busy")
        await person.press("S", "S", "S", "S", "S", "S", "S")
        await person.until(lambda: names(person, "runs") == ["stream 1"], "what runs is listed")
        (stream,) = person.app.screen.query_one("#runs", Listing).rows
        ended = stream.model_copy(update={"status": "completed"})
        monkeypatch.setattr(person.app.place.client, "run", lambda _workspace_id, _run_id: ended)
        await person.press("1")
        del person.app.estate.runs[stream.id]
        await person.press("3")
        await person.until(lambda: not names(person, "runs"), "it is known to have ended")
        await person.press("S")
        await person.until(lambda: len(names(person, "runs")) > FIRST_RUNS, "all runs are listed")
