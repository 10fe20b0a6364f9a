"""The line of keys."""

from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType

from tui.widgets.key_bar import ALL_KEYS, Key, KeyBar, that_fit

KEYS = [Key(name, name, f"does {name}", name) for name in "abc"]
QUIT = Key("q", "q", "Quit", "app.quit")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (100, "abcq"),
        (3 * 9 + 7, "abcq"),
        (3 * 9 + 6, "a?q"),
        (9 + 11 + 7, "a?q"),
        (9 + 11 + 6, "?q"),
    ],
)
def test_keys_that_do_not_fit_are_one_press_away(width: int, shown: str) -> None:
    assert "".join(key.shown for key in that_fit(KEYS, [QUIT], width)) == shown


def test_the_key_to_all_of_them_stands_only_where_some_are_missing() -> None:
    assert ALL_KEYS not in that_fit(KEYS, [QUIT], 100)


class Pressed(App[None]):
    """Counts what is pressed; one of its keys comes and goes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x,y", "count", "Count"),
        Binding("h", "hidden", "Hidden", show=False),
        Binding("s", "at_times", "At times"),
        Binding("q", "quit", "Quit"),
    ]
    counted = 0
    is_time = False

    def compose(self) -> ComposeResult:
        yield KeyBar()

    def action_count(self) -> None:
        self.counted += 1

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "at_times" or self.is_time

    @property
    def line(self) -> str:
        return "".join(segment.text for segment in self.screen._compositor.render_strips()[-1])


async def test_the_bar_shows_each_action_once_with_its_first_key() -> None:
    app = Pressed()
    async with app.run_test(size=(60, 5)) as pilot:
        await pilot.pause()
        assert app.line == "x Count q Quit" + " " * (60 - 14 - 10) + "^p palette"


async def test_a_key_that_comes_to_work_is_shown() -> None:
    app = Pressed()
    async with app.run_test(size=(60, 5)) as pilot:
        app.is_time = True
        app.refresh_bindings()
        await pilot.pause()
        assert "s At times" in app.line


async def test_a_click_on_a_key_is_a_press_of_it() -> None:
    app = Pressed()
    async with app.run_test(size=(60, 5)) as pilot:
        await pilot.pause()
        await pilot.click(KeyBar, offset=(3, 0))
        assert app.counted == 1
