"""Keys that are pressed before a screen has been drawn."""

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
