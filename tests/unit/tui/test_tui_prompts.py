"""Questions are asked in any terminal."""

import pytest
from textual.app import App
from textual.widgets import OptionList

from tui.screens.prompts import Choose


class Asking(App[None]):
    """Nothing but questions."""

    CSS_PATH = "../../../tui/app.tcss"


@pytest.mark.parametrize("width", [80, 12, 8, 3])
async def test_one_of_several_is_chosen_however_narrow_the_terminal_is(width: int) -> None:
    app = Asking()
    answers: list[str | None] = []
    async with app.run_test(size=(width, 10)) as pilot:
        app.push_screen(Choose("Role", (("viewer", "viewer: looks at everything"), ("owner", "owner"))), answers.append)
        await pilot.pause()
        assert app.screen.query_one(OptionList).option_count == 2
        await pilot.press("down", "enter")
        await pilot.pause()
        assert answers == ["owner"]
