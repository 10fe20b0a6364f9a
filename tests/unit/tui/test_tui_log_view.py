"""A log is drawn by cells: nothing that a job writes is cut away, whatever alphabet it writes in."""

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from runtime.wire.logs import LogLine
from tui.widgets.log_view import LogView, drawn_text, wrapped

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Shown(App[None]):
    """Nothing but a log."""

    def compose(self) -> ComposeResult:
        yield LogView()

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def put(self, *contents: str) -> None:
        lines = [
            LogLine(line_num=number, phase="program", reported_at=AT, content=content)
            for number, content in enumerate(contents)
        ]
        self.view.put(0, lines, len(lines))

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
        await pilot.press(*["right"] * 30)
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
