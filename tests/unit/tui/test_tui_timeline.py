"""Runs drawn over time, one of which is marked."""

from datetime import timedelta

from textual.app import App, ComposeResult

from runtime.wire.run_details import DetailedRunResponse
from tests.factories import NOW
from tests.time_zones import time_zone
from tests.unit.tui.test_tui_estate import make_response, make_script
from tui.estate import newest_first
from tui.widgets.timeline import Timeline

LOAD, REPORT = make_script("load"), make_script("report")
HOUR = timedelta(hours=1)


class Drawn(App[None]):
    """Nothing but a timeline."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[object] = []

    def compose(self) -> ComposeResult:
        yield Timeline()

    def on_mount(self) -> None:
        self.timeline.focus()

    def on_timeline_chosen(self, event: Timeline.Chosen) -> None:
        self.chosen.append(event.run_id)

    @property
    def timeline(self) -> Timeline:
        return self.query_one(Timeline)

    @property
    def lines(self) -> list[str]:
        return [self.timeline.render_line(y).text.rstrip() for y in range(self.timeline.size.height)]


def load(hours_ago: float, number: int = 1, status: str = "completed", script: object = LOAD) -> DetailedRunResponse:
    """A run that took six minutes."""
    at = NOW - hours_ago * HOUR
    assert script in (LOAD, REPORT)
    ended = None if status == "running" else at + timedelta(minutes=6)
    return make_response(
        LOAD if script is LOAD else REPORT, number, status=status, date_added=at, time_started=at, time_ended=ended
    )


async def test_the_mark_stays_on_its_run_whatever_begins_meanwhile() -> None:
    """Another run of the job is newer, another job stands first: keys act on the run that was told in words."""
    app = Drawn()
    async with app.run_test(size=(80, 10)) as pilot:
        marked = load(2, 21, "running")
        app.timeline.show([marked], NOW)
        assert app.lines[-1].startswith("> shop.load #21   ▶ running")
        more = newest_first([marked, load(1, 22), load(0.5, 7, script=REPORT)])
        app.timeline.show(more, NOW)
        assert app.timeline.current == marked
        assert [one[:13].rstrip() for one in app.lines[1:3]] == ["  shop.report", "> shop.load"]
        await pilot.press("enter")
        await pilot.pause()
        assert app.chosen == [marked.id]


async def test_arrows_go_from_job_to_job_and_from_run_to_run() -> None:
    app = Drawn()
    async with app.run_test(size=(80, 10)) as pilot:
        runs = newest_first([load(1, 3), load(2, 2), load(3, 1), load(1.5, 9, script=REPORT)])
        app.timeline.show(runs, NOW)
        said = []
        for key in ("left", "left", "left", "right", "down", "up"):
            await pilot.press(key)
            assert app.timeline.current is not None
            said.append((app.timeline.current.script.job_ref.rpartition(".")[2], app.timeline.current.number))
        assert said == [("load", 2), ("load", 1), ("load", 1), ("load", 2), ("report", 9), ("load", 3)]


async def test_no_other_run_takes_the_mark_of_one_that_has_left_the_hours_drawn() -> None:
    app = Drawn()
    async with app.run_test(size=(80, 10)) as pilot:
        old, new = load(5.8, 1), load(1, 2)
        app.timeline.show([new, old], NOW)
        await pilot.press("left")
        assert app.timeline.current == old
        app.timeline.show([new, old], NOW + HOUR)
        assert app.timeline.current is None
        assert app.lines[-1] == ""
        await pilot.press("enter")
        assert app.timeline.current == new
        assert app.chosen == []


async def test_hours_of_which_not_all_runs_are_known_are_drawn_as_unknown() -> None:
    app = Drawn()
    async with app.run_test(size=(80, 10)):
        app.timeline.show([load(1)], NOW, known_since=NOW - 3 * HOUR)
        drawn = app.lines[1][28:]
        assert drawn.startswith("╌" * 20)
        assert 20 <= drawn.count("╌") <= 30
        app.timeline.show([load(1)], NOW)
        assert "╌" not in app.lines[1]


async def test_a_run_is_marked_by_a_click_on_its_bar_and_chosen_by_the_next() -> None:
    app = Drawn()
    async with app.run_test(size=(80, 10)) as pilot:
        runs = [load(1, 2), load(3, 1, "failed")]
        app.timeline.show(runs, NOW)
        bar = app.lines[1].index("✗")
        await pilot.click(Timeline, offset=(bar, 1))
        assert app.timeline.current == runs[1]
        assert app.chosen == []
        await pilot.click(Timeline, offset=(bar, 1))
        await pilot.pause()
        assert app.chosen == [runs[1].id]
        await pilot.click(Timeline, offset=(4, 1))
        assert app.timeline.current == runs[0]


async def test_the_marked_run_is_told_in_the_time_zone_of_the_axis() -> None:
    with time_zone("Asia/Kolkata"):
        app = Drawn()
        async with app.run_test(size=(80, 10)):
            app.timeline.show([load(6)], NOW)
            assert "|11:30" in app.lines[0]
            assert "03-10 11:30" in app.lines[-1]
