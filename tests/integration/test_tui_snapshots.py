"""How each screen looks, dark and light, in a small and in a large terminal.

`pytest --snapshot-update` takes new pictures; a person looks at them before they are kept.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.console_store import serve_console
from tests.served_estate import ServedEstate
from tests.time_zones import time_zone
from tests.tui_pictures import KEYS, tui_of, walk_to
from tests.tui_pilot import Person

SMALL, LARGE = (80, 24), (140, 40)


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace that nobody changes."""
    with serve_console() as served:
        yield served


@pytest.fixture(autouse=True)
def in_london(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day are the machine's own, and the version is that of today."""
    monkeypatch.setattr("tui.screens.settings.version", lambda: "1.2.3")
    with time_zone("UTC"):
        yield


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x40"])
@pytest.mark.parametrize("is_light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("screen", list(KEYS))
def test_each_screen_looks_as_it_did(
    served: ServedEstate, snap_compare: Callable[..., bool], screen: str, is_light: bool, size: tuple[int, int]
) -> None:
    """Nothing moves, overlaps or loses its words without somebody having looked."""
    app = tui_of(served, screen, is_light=is_light)

    async def walk(pilot: Pilot[Any]) -> None:
        await walk_to(Person(app, pilot), screen)

    with closing(app.place.client):
        assert snap_compare(app, terminal_size=size, run_before=walk)
