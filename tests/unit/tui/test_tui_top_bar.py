"""The line at the top, in whatever width there is."""

import pytest

from tui.widgets.top_bar import bar


@pytest.mark.parametrize("state", ["live", "offline", "loading"])
@pytest.mark.parametrize("name", ["", "orchard", "a-very-long-name-of-a-workspace", "漢字漢字漢字漢字漢字"])
@pytest.mark.parametrize("width", [12, 20, 36, 50, 60, 68, 69, 70, 80, 81, 120])
def test_whether_it_is_current_is_said_in_any_width(state: str, name: str, width: int) -> None:
    line = bar(width, "data", name, state)
    assert line.cell_length == width
    assert line.plain.endswith(f" {state} ")


def test_the_name_of_a_workspace_is_cut_by_what_it_takes_on_the_screen() -> None:
    assert bar(80, "runs", "漢字漢字漢字漢字漢字", "offline").plain.endswith("6 Settings  漢字漢字…  offline ")
    assert bar(100, "runs", "orchard", "live").plain.endswith(" orchard  live ")


def test_names_of_screens_give_way_to_their_keys_where_it_is_narrow() -> None:
    assert bar(69, "runs", "", "offline").plain.startswith(" 1 Overview  2 Jobs  3 Runs ")
    assert bar(60, "runs", "orchard", "offline").plain.startswith(" 1  2  3 Runs  4  5  6    ")
