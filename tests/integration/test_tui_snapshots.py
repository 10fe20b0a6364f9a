"""How each screen looks, dark and light, in a small and in a large terminal.

`pytest --snapshot-update` takes new pictures; a person looks at them before they are kept.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product

import pytest
from textual.app import App

from tests.console_store import serve_console
from tests.served_estate import ServedEstate
from tests.time_zones import time_zone
from tests.tui_pictures import KEYS, settle, tui_of, walk_to
from tests.tui_pilot import Person
from tui.app import DARK, LIGHT

SIZES = {"80x24": (80, 24), "140x40": (140, 40)}
THEMES = {"dark": DARK, "light": LIGHT}
Look = tuple[str, str]


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace that nobody changes; times of day are the machine's own, and the version is that of today."""
    with pytest.MonkeyPatch.context() as patch, time_zone("UTC"), serve_console() as served:
        patch.setattr("tui.screens.settings.version", lambda: "1.2.3")
        yield served


@pytest.fixture(scope="module", params=list(KEYS))
def screen(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def looks(served: ServedEstate, screen: str) -> dict[Look, str]:
    """Pictures of a screen, taken in one sitting: it must look the same whatever it was before."""
    return asyncio.run(look_at(served, screen))


async def look_at(served: ServedEstate, screen: str) -> dict[Look, str]:
    """By theme and size."""
    app, found = tui_of(served, screen), dict[Look, str]()
    first, *_ = SIZES.values()
    with closing(app.place.client):
        async with app.run_test(size=first) as pilot:
            person = Person(app, pilot)
            await walk_to(person, screen)
            for size, theme in product(SIZES, THEMES):
                if app.size != SIZES[size]:
                    await pilot.resize_terminal(*SIZES[size])
                app.theme = THEMES[theme]
                await settle(person)
                found[theme, size] = app.export_screenshot(title=app.title, simplify=True)
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_each_screen_looks_as_it_did(
    looks: dict[Look, str], theme: str, size: str, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing moves, overlaps or loses its words without somebody having looked."""
    monkeypatch.setattr("textual._doc.take_svg_screenshot", lambda **_: looks[theme, size])
    assert snap_compare(App[None]())
