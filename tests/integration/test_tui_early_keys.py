"""Keys that are pressed before a screen has been drawn, and the panel that tells them."""

from collections.abc import Iterator

import pytest
from textual import events

from tests.console_store import fill_console
from tests.served_estate import ServedEstate, serve_estate
from tests.tui_pilot import sitting_at, tui_for


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use."""
    with serve_estate(fill_console) as served:
        yield served


async def test_a_digit_that_follows_another_at_once_is_typed_into_no_filter(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served)) as person:
        for digit in "23":
            person.app.post_message(events.Key(digit, digit))
        await person.until(lambda: person.app.current_mode == "runs", "the runs are shown")


async def test_the_keys_of_a_screen_go_as_they_came(served: ServedEstate) -> None:
    """By `?`, or by Escape, which then does nothing else."""
    async with sitting_at(tui_for(served), size=(120, 60)) as person:
        await person.goes_to("2", "shop.load")
        for key in ("question_mark", "escape"):
            await person.press("question_mark")
            await person.reads("Launch with refresh")
            await person.press(key)
            await person.until(lambda: "Launch with refresh" not in person.shown, "the keys are gone")
        await person.press("enter")
        await person.reads("Would run now")
        await person.press("question_mark")
        await person.reads("Launch with refresh")
        await person.press("escape")
        await person.until(lambda: "Launch with refresh" not in person.shown, "the keys are gone")
        assert "Would run now" in person.shown
        await person.press("escape")
        await person.until(lambda: "Would run now" not in person.shown, "the screen is left")
