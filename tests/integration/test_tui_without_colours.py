"""`NO_COLOR`: everything that a colour says, a word says as well."""

from collections.abc import Iterator

import pytest

from tests.console_store import serve_console
from tests.served_estate import ADMINISTRATOR, ServedEstate
from tests.tui_pilot import Person, sitting_at, tui_for
from tui.estate import job_state

SCREENS = {
    "overview": "runs per hour",
    "jobs": "shop.stream",
    "runs": "shop.report",
    "versions": "1 added, 1 changed",
    "data": "shop_data",
    "settings": "workspace-anna",
}


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use; nobody changes it."""
    with serve_console() as served:
        yield served


@pytest.fixture(autouse=True)
def without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As somebody asks for it."""
    monkeypatch.setenv("NO_COLOR", "1")


def colours(person: Person) -> set[str]:
    """What is drawn in anything but a grey."""
    return {
        segment.text
        for strip in person.app.screen._compositor.render_strips()
        for segment in strip
        for colour in ((segment.style.color, segment.style.bgcolor) if segment.style else ())
        if colour is not None and (colour.triplet is None or len(set(colour.triplet)) > 1)
    }


@pytest.mark.parametrize("is_light", [False, True], ids=["dark", "light"])
async def test_every_screen_is_drawn_in_greys(served: ServedEstate, is_light: bool) -> None:
    async with sitting_at(tui_for(served, token=ADMINISTRATOR, is_light=is_light), size=(140, 40)) as person:
        for key, (screen, text) in enumerate(SCREENS.items(), start=1):
            await person.goes_to(str(key), text)
            assert person.app.current_mode == screen
            assert colours(person) == set(), screen


async def test_every_state_is_a_word(served: ServedEstate) -> None:
    """Of jobs, runs, files, loads and checks."""
    async with sitting_at(tui_for(served, token=ADMINISTRATOR), size=(140, 40)) as person:
        estate = person.app.estate
        await person.reads("failed ")
        await person.goes_to("2", SCREENS["jobs"])
        for state in {job_state(job) for job in estate.jobs.values() if not job.archived}:
            assert state in person.shown
        await person.goes_to("3", SCREENS["runs"])
        for status in {run.status for run in estate.recent[:30]}:
            assert status in person.shown
        await person.goes_to("4", SCREENS["versions"])
        await person.reads("added")
        await person.reads("changed")
        await person.goes_to("5", SCREENS["data"])
        await person.press("d")
        await person.reads("succeeded")
        await person.reads("failed")
        await person.goes_to("6", SCREENS["settings"])
        await person.press(*"dddddd")
        for state in ("ok", "warn", "fail"):
            await person.reads(f" {state} ")
