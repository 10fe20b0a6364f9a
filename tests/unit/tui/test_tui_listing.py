"""A listing draws what has changed, and no more; its keys hit the row that was marked when somebody looked."""

import pytest
from textual.app import App, ComposeResult

from tui.widgets.listing import Column, Listing

ROWS = 2_000


class Listed(App[None]):
    """Nothing but a listing, which notes the rows that are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[int] = []
        self.chosen: list[int] = []
        self.ends = 0

    def compose(self) -> ComposeResult:
        yield Listing([Column("Row", self._value, order=lambda row: row)], lambda row: row)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        self.chosen.append(event.row)

    def on_listing_end_reached(self) -> None:
        self.ends += 1

    def on_listing_sorted(self) -> None:
        self.listing.show(range(ROWS))

    def on_mount(self) -> None:
        self.listing.show(range(ROWS))
        self.listing.focus()

    @property
    def listing(self) -> "Listing[int]":
        return self.query_one(Listing)

    def _value(self, row: int) -> str:
        self.drawn.append(row)
        return f"row {row}"


async def test_a_cursor_that_moves_costs_the_two_rows_it_leaves_and_reaches() -> None:
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.press("down")
        await pilot.pause()
        app.drawn.clear()
        await pilot.press("down")
        await pilot.pause()
        assert sorted(set(app.drawn)) == [1, 2]
        lines = [app.listing.render_line(y).text.rstrip() for y in range(4)]
        assert lines == ["  Row", "  row 0", "  row 1", "> row 2"]


async def test_a_cursor_that_leaves_the_screen_takes_it_along() -> None:
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        app.drawn.clear()
        await pilot.press("end")
        await pilot.pause()
        assert set(app.drawn) >= set(range(ROWS - 19, ROWS))
        assert app.listing.render_line(19).text.startswith(f"> row {ROWS - 1}")


# --- the mark


def line(app: Listed, y: int) -> str:
    """A line as it is drawn."""
    return app.listing.render_line(y).text.rstrip()


async def test_the_mark_goes_with_its_row_when_others_come_before_it() -> None:
    """Also from the first row: newest first, whatever comes would take the key that was meant for another."""
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        app.listing.show([-1, *range(ROWS)])
        await pilot.pause()
        assert app.listing.current == 0
        assert [line(app, y) for y in (1, 2)] == ["  row -1", "> row 0"]
        assert app.listing.scroll_y == 0


async def test_who_looks_at_the_top_keeps_looking_at_the_top_and_loses_the_mark_when_its_row_leaves() -> None:
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        app.listing.show([*range(-30, 0), *range(ROWS)])
        await pilot.pause()
        assert app.listing.current is None
        assert app.listing.scroll_y == 0
        assert line(app, 1) == "  row -30"
        await pilot.press("down")
        assert app.listing.current == -30
        app.listing.show([-31, *range(-30, 0), *range(ROWS)])
        assert app.listing.current == -30


async def test_who_has_gone_down_the_list_takes_the_view_along() -> None:
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.press("down")
        app.listing.show([*range(-30, 0), *range(ROWS)])
        await pilot.pause()
        assert app.listing.current == 1
        assert "> row 1" in [line(app, y) for y in range(20)]


async def test_no_other_row_takes_the_mark_of_one_that_is_gone() -> None:
    """Until a key asks for one: Enter marks first, and only then chooses."""
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.press("down", "down")
        app.listing.show([0, 1, 3, 4])
        assert app.listing.current is None
        assert not any(line(app, y).startswith(">") for y in range(20))
        await pilot.press("enter")
        assert app.listing.current == 3
        assert app.chosen == []
        await pilot.press("enter")
        await pilot.pause()
        assert app.chosen == [3]


async def test_other_rows_that_somebody_asks_for_begin_with_a_mark() -> None:
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.press("end")
        app.listing.show([7, 8], anew=True)
        assert app.listing.current == 7
        app.listing.show([], anew=True)
        app.listing.show([9])
        assert app.listing.current == 9


async def test_what_comes_after_the_last_row_was_gone_is_not_marked() -> None:
    """Nobody has looked at it yet, so no key is meant for it."""
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        app.listing.show([])
        app.listing.show([9])
        assert app.listing.current is None
        await pilot.press("down")
        assert app.listing.current == 9


async def test_a_row_is_marked_by_a_click_and_chosen_by_the_next() -> None:
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.click(Listing, offset=(5, 4))
        assert app.listing.current == 3
        assert app.chosen == []
        await pilot.click(Listing, offset=(5, 4))
        await pilot.pause()
        assert app.chosen == [3]


async def test_a_click_on_a_heading_sorts_and_the_next_one_turns_the_order_round() -> None:
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        for first, sign in ((0, "▲"), (ROWS - 1, "▼")):
            await pilot.click(Listing, offset=(4, 0))
            await pilot.pause()
            assert app.listing.current == first
            assert [line(app, 0), line(app, 1)] == [f"  Row {sign}", f"> row {first}"]
        await pilot.press("greater_than_sign")
        await pilot.pause()
        assert line(app, 0) == "  Row"
        await pilot.press("less_than_sign")
        await pilot.pause()
        assert line(app, 0) == "  Row ▲"


class Narrow(App[None]):
    """A listing with more columns than it has room for, of which one is missing in one row."""

    def compose(self) -> ComposeResult:
        columns: list[Column[tuple[str, int | None]]] = [
            Column("Name", lambda row: row[0], order=lambda row: row[0]),
            Column("Hidden", lambda row: row[0], 40, order=lambda row: row[0], spare=1),
            Column("Size", lambda row: str(row[1]), 8, order=lambda row: row[1]),
        ]
        yield Listing(columns, lambda row: row[0])

    def on_listing_sorted(self) -> None:
        self.query_one(Listing).show([("b", 2), ("a", None), ("c", 1)])


@pytest.mark.parametrize("is_descending", [False, True])
async def test_what_is_missing_comes_last_whichever_way_the_others_are_sorted(is_descending: bool) -> None:
    app = Narrow()
    async with app.run_test(size=(120, 20)) as pilot:
        listing = app.query_one(Listing)
        listing.sort_by(2, is_descending=is_descending)
        await pilot.pause()
        assert [name for name, _ in listing.rows] == (["b", "c", "a"] if is_descending else ["c", "b", "a"])


async def test_keys_sort_only_by_columns_that_are_shown() -> None:
    """Also after the one that is sorted by had to give way."""
    app = Narrow()
    async with app.run_test(size=(40, 20)) as pilot:
        listing = app.query_one(Listing)
        listing.focus()
        sorted_by = []
        for _ in range(3):
            await pilot.press("greater_than_sign")
            sorted_by.append(listing.sorted_by)
        assert sorted_by == [0, 2, None]
        listing.sort_by(1, is_descending=False)
        await pilot.press("less_than_sign")
        assert listing.sorted_by == 2


async def test_the_end_of_a_list_of_nothing_is_reached_too() -> None:
    """What matches may stand further back."""
    app = Listed()
    async with app.run_test(size=(40, 20)) as pilot:
        app.listing.show([])
        await pilot.press("end")
        await pilot.pause()
        assert app.ends == 1


@pytest.mark.parametrize(("width", "shown"), [(70, ["Job", "Type", "State"]), (61, ["Job", "State"])])
async def test_other_columns_give_way_before_names_are_cut_so_short_that_all_look_the_same(
    width: int, shown: list[str]
) -> None:
    names = ["sales_services.echo", "sales_services.site"]

    class Jobs(App[None]):
        def compose(self) -> ComposeResult:
            columns = [
                Column("Job", lambda name: name, least=20),
                Column("Type", lambda _: "batch", 15, spare=1),
                Column("State", lambda _: "running", 20),
            ]
            yield Listing(columns, lambda name: name)

    app = Jobs()
    async with app.run_test(size=(width, 20)):
        listing = app.query_one(Listing)
        listing.show(names)
        assert listing.render_line(0).text.split() == shown
        assert [listing.render_line(y).text[2:21] for y in (1, 2)] == names
