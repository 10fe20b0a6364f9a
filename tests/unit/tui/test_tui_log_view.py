"""A log is drawn by cells: nothing that a job writes is cut away, whatever alphabet it writes in."""

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from runtime.wire.logs import LogLine
from tui.widgets.log_view import PAGE_LINES, LogView, drawn_text, first_cells, most_cells, wrapped

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Shown(App[None]):
    """Nothing but a log."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[int] = []

    def compose(self) -> ComposeResult:
        yield LogView()

    def on_log_view_wanted(self, event: LogView.Wanted) -> None:
        self.wanted.append(event.page)

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def put(self, *contents: str, first_line: int = 0, total: int | None = None) -> None:
        lines = [
            LogLine(line_num=number, phase="program", reported_at=AT, content=content)
            for number, content in enumerate(contents, first_line)
        ]
        self.view.put(first_line, lines, len(lines) if total is None else total)

    def rows(self) -> list[str]:
        """What stands right of the numbers."""
        strips = self.view.render_lines(self.view.size.region)
        return [strip.text[self.view._gutter_width() :].rstrip() for strip in strips]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a\tb", "a   b"),
        ("漢\tb\tc", "漢  b   c"),
        ("\t漢字\tb", "    漢字    b"),
        ("\x1b[31m\x1b]0;x\x07", r"\x1b]0;x\x07"),
    ],
)
def test_tabs_go_to_the_next_multiple_of_four_cells(content: str, text: str) -> None:
    assert drawn_text(content) == text


@pytest.mark.parametrize("text", ["", "plain", "漢字" * 30, "a" + "漢" * 40, "e\u0301" * 50, "x漢" * 21])
@pytest.mark.parametrize("room", [2, 7, 40])
def test_wrapped_rows_fit_and_lose_nothing(text: str, room: int) -> None:
    rows = wrapped(text, room)
    assert "".join(rows) == text
    assert rows
    assert all(cell_len(row) <= room for row in rows)


async def test_wide_characters_that_are_wrapped_are_all_shown() -> None:
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.wrap = True
        text = "".join(chr(0x4E00 + number) for number in range(100))
        app.put(text, "the next line")
        await pilot.pause()
        rows = app.rows()
        assert "".join(rows) == text + "the next line"


async def test_an_error_that_is_wrapped_is_coloured_on_all_of_its_rows() -> None:
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.wrap = True
        app.put("ERROR " + "x" * 80)
        await pilot.pause()
        for row in app.view.render_lines(app.view.size.region)[:2]:
            assert any(segment.style and segment.style.bold for segment in row if "x" in segment.text)


@pytest.mark.parametrize(
    "content",
    ["漢" * 60 + "end", "\t" * 20 + "end", "\x07" * 30 + "end"],
    ids=["wide", "tabs", "escapes"],
)
async def test_a_line_is_scrolled_to_its_end(content: str) -> None:
    """The width of what is drawn counts, not how many characters were written."""
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:
        app.put(content)
        await pilot.pause()
        app.view.focus()
        await pilot.press(*["right"] * 15)
        await pilot.pause()
        assert app.rows()[0].endswith("end")


async def test_half_a_wide_character_at_the_edge_is_a_blank() -> None:
    """So that what follows stands where it belongs."""
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:
        app.put("a漢字" * 30)
        await pilot.pause()
        app.view.scroll_to(x=2, animate=False, force=True, immediate=True)
        await pilot.pause()
        assert app.rows()[0].startswith(" 字a漢字")


# --- following


async def test_the_end_stays_followed_whatever_goes_further_down() -> None:
    """And is followed again by whoever has gone down to it."""
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:
        app.put(*map(str, range(100)))
        app.view.focus()
        await pilot.press("j", "pagedown")
        assert app.view.following
        await pilot.press("k")
        assert not app.view.following
        await pilot.press("pageup", "j")
        assert not app.view.following
        await pilot.press("pagedown", "j")
        assert app.view.following
        app.put("one more", first_line=100, total=101)
        await pilot.pause()
        assert app.rows()[-1] == "one more"


# --- what is not there


@pytest.mark.parametrize("total", [0, 2 * PAGE_LINES], ids=["whole", "in part"])
async def test_a_log_that_was_removed_is_not_asked_for_over_and_over(total: int) -> None:
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:

        async def asked_for() -> list[int]:
            app.wanted.clear()
            app.rows()  # draws
            await pilot.pause()
            return app.wanted

        app.put("the end", first_line=2 * PAGE_LINES - 1, total=2 * PAGE_LINES)
        app.view.action_go_to(PAGE_LINES)
        assert await asked_for() == [1]
        app.put(first_line=PAGE_LINES, total=total)
        assert app.view.total == total
        assert await asked_for() == []
        app.put("it goes on", first_line=2 * PAGE_LINES, total=2 * PAGE_LINES + 1)
        assert await asked_for() == [app.view.top // PAGE_LINES]


# --- long lines


@pytest.mark.parametrize("text", ["x" * 50, "漢" * 50, "e\u0301" * 50, "a漢" * 25])
def test_so_much_of_a_line_is_drawn_as_fills_the_view(text: str) -> None:
    shown = first_cells(text, 20)
    assert text.startswith(shown)
    assert cell_len(shown) >= 20
    assert len(shown) <= 40
    assert first_cells(text, 1000) == text


@pytest.mark.parametrize("text", ["x", "漢", "\t", "\x07", "e\u0301"])
def test_a_long_line_is_taken_to_be_as_wide_as_it_is_or_wider(text: str) -> None:
    assert most_cells(text * 10) == cell_len(drawn_text(text * 10))
    assert most_cells(text * 10_000) >= cell_len(drawn_text(text * 10_000))


@pytest.mark.parametrize("is_wrapped", [False, True])
async def test_of_a_long_line_no_more_is_measured_than_is_seen(
    is_wrapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a screen of them would hold the keys up for seconds."""
    measured: list[int] = []

    def noted(text: str) -> int:
        measured.append(len(text))
        return cell_len(text)

    monkeypatch.setattr("tui.widgets.log_view.cell_len", noted)
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.wrap = is_wrapped
        app.put(*["漢" * 60_000] * 3)
        await pilot.press("k", "j", "end")
        await pilot.pause()
        assert max(measured) <= 4_000
        assert any("漢" in row for row in app.rows())


async def test_what_is_looked_for_is_marked_wherever_it_stands() -> None:
    """Also behind characters that are another number of characters in small letters."""
    app = Shown()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.needle = "error"
        app.put("\u0130\u0130 an ERROR")
        await pilot.pause()
        (found,) = [one for one in app.view.render_line(0) if one.style and one.style.underline]
        assert found.text == "ERROR"
