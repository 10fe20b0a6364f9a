"""The screen of one run, by keys against the served application."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from runtime.wire.failures import DaemonUnreachableError, MissingError
from runtime.wire.run_details import DetailedRunResponse, ListRunsResponse
from tests.console_store import LONG_LOG, serve_console
from tests.served_estate import ServedEstate
from tests.tui_pilot import Person, open_failed, sitting_at, tui_for
from tui.feed import Back
from tui.screens.run import LOOK_SECONDS, RunScreen


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use; the tests do not count on what others have left."""
    with serve_console() as served:
        yield served


async def test_a_log_is_written_over_a_file_only_after_a_question(served: ServedEstate, tmp_path: Path) -> None:
    """And to the home of somebody whom the machine does not know it is not written, which is said."""
    file = tmp_path / "run.log"
    file.write_text("dear")
    async with sitting_at(tui_for(served)) as person:
        await open_failed(person)
        for answer in ("n", "y"):
            await person.press("s")
            await person.reads("Save the log to")
            person.app.screen.query_one(Input).value = str(file)
            await person.press("enter")
            await person.reads("Write over it?")
            assert file.read_text() == "dear"
            await person.press(answer)
        await person.is_told("lines are in")
        assert len(file.read_text().splitlines()) == LONG_LOG + 7
        await person.press("s")
        await person.reads("Save the log to")
        person.app.screen.query_one(Input).value = "~nobody-of-this-name/run.log"
        await person.press("enter")
        await person.is_told("there is no such home directory")


async def test_details_say_what_a_run_could_import(served: ServedEstate) -> None:
    """Python, the environment and each package, also where the list is longer than the screen: it is scrolled to."""
    async with sitting_at(tui_for(served), size=(80, 24)) as person:
        await open_failed(person)
        await person.press("d")
        await person.reads("Python 3.11.2, 5 packages, key")
        await person.press("end")
        await person.reads("requests==2.32.5")


async def test_runs_that_a_run_has_started_are_found_however_old_they_are(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only among the newest that are at hand."""
    async with sitting_at(tui_for(served)) as person:
        report = min(
            (run for run in person.app.estate.recent if run.script.job_ref == "jobs.shop.report" and run.prev_run_id),
            key=lambda run: run.date_added,
        )
        assert report.prev_run_id is not None
        person.app.estate.runs.clear()
        # As in a workspace of thousands of runs: the newest page has nothing of those days.
        runs = person.app.place.console.runs

        def without_old(limit: int, offset: int = 0, **wanted: str) -> ListRunsResponse:
            page = runs(limit, offset, **wanted)
            return page if wanted else page.model_copy(update={"items": page.items[:3]})

        monkeypatch.setattr(person.app.place.console, "runs", without_old)
        person.app.push_screen(RunScreen(report.prev_run_id))
        await person.reads("shop.load #1")
        await person.press("d", "d")
        await person.reads(f"shop.report #{report.number}")


def going(person: Person) -> DetailedRunResponse:
    """The run that does not end."""
    return next(run for run in person.app.estate.runs.values() if run.script.job_ref == "jobs.shop.stream")


async def test_screens_of_runs_that_are_left_open_hold_nothing_up(served: ServedEstate) -> None:
    """Whoever goes from run to run leaves many; only the one that is seen asks for its log."""
    async with sitting_at(tui_for(served)) as person:
        run = going(person)
        for _ in range(8):
            person.app.push_screen(RunScreen(run.id))
            await person.reads("following")
        await person.press("1")
        await person.until(
            lambda: not any(one.group == "tail" and one.is_running for one in person.app.workers), "none asks any more"
        )
        await person.press("2", "3")
        await person.reads("Trigger")


async def test_a_log_is_followed_again_when_its_run_is_seen_again(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the run is shown as it is by then, also where the workspace has no room for it any more."""
    async with sitting_at(tui_for(served)) as person:
        run = going(person)
        person.app.push_screen(RunScreen(run.id))
        await person.reads("following")
        await person.press("2")
        await person.reads("Schedule")
        ended = run.model_copy(update={"status": "completed"})
        monkeypatch.setattr(person.app.place.client, "run", lambda _workspace_id, _run_id: ended)
        del person.app.estate.runs[run.id]
        await person.press("1")
        await person.reads("completed")
        assert "following" not in person.shown.splitlines()[1]


async def test_a_run_is_asked_for_again_where_one_answer_has_not_come_and_the_stream_stands(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing then says that the daemon is back."""
    async with sitting_at(tui_for(served)) as person:
        app = person.app
        run = next(run for run in app.estate.recent if run.status == "failed" and run.number == 21)
        del app.estate.runs[run.id]
        with monkeypatch.context() as away:

            def refuse(_method: str, _url: str, **_options: object) -> None:
                raise DaemonUnreachableError("no daemon answers")

            away.setattr(app.place.client.connection, "_send", refuse)
            app.push_screen(RunScreen(run.id))
            await person.is_told("no daemon answers")
            await person.until(lambda: not any(one.is_running for one in app.workers), "nothing is under way")
        await person.reads("503 Server Error")


async def test_a_run_that_was_opened_while_the_daemon_was_away_is_shown_once_it_is_back(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that is asked for beside it."""
    async with sitting_at(tui_for(served)) as person:
        app = person.app
        run = next(run for run in app.estate.recent if run.status == "failed" and run.number == 21)
        del app.estate.runs[run.id]
        asked: list[str] = []

        def refuse(_method: str, url: str, **_options: object) -> None:
            asked.append(url)
            raise DaemonUnreachableError("no daemon answers")

        app.feed._news.append(DaemonUnreachableError("no daemon answers"))
        await person.reads("offline")
        with monkeypatch.context() as away:
            away.setattr(app.place.client.connection, "_send", refuse)
            app.push_screen(RunScreen(run.id))
            await person.until(lambda: any(str(run.id) in url for url in asked), "the run is asked for")
            await person.pilot.pause()
        app.feed._news.append(Back())
        await person.reads("503 Server Error")
        await person.press("d")
        await person.reads("Python 3.11.2, 5 packages, key")
        await person.reads("code version")


async def test_a_log_that_is_gone_is_asked_for_no_more(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sitting_at(tui_for(served)) as person:
        asked: list[int] = []

        class Gone:
            def page(self, first_line: int, _lines: int) -> None:
                asked.append(first_line)
                raise MissingError("there is no such log", status=404)

        monkeypatch.setattr(person.app.place, "log", lambda _run_id: Gone())
        person.app.push_screen(RunScreen(going(person).id))
        await person.until(lambda: asked, "the log is asked for")
        await person.pilot.pause(6 * LOOK_SECONDS)
        assert len(asked) == 1


async def test_times_in_the_details_of_an_old_run_are_exact_when_that_is_wanted(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served)) as person:
        run = next(run for run in person.app.estate.recent if run.status == "failed" and run.number == 21)
        del person.app.estate.runs[run.id]
        person.app.push_screen(RunScreen(run.id))
        await person.press("d")
        await person.reads("Created")
        await person.until(lambda: " ago" in person.shown, "times are relative")
        await person.press("t")
        await person.until(lambda: " ago" not in person.shown, "times are exact")
