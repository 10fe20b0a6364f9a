"""Every action of every screen of the terminal interface, by keys, against the served application."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, TabbedContent

from runtime.wire.admin_client import AdminClient
from runtime.wire.jobs import DetailedScriptResponse
from runtime.wire.logs import LogLine
from tests.console_store import END, LONG_LOG, serve_console
from tests.served_estate import ADMINISTRATOR, ServedEstate
from tests.time_zones import time_zone
from tests.tui_pilot import Person, open_failed, sitting_at, tui_for
from tui.screens.run import RunScreen
from tui.widgets.listing import Listing


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use; the tests do not count on what others have left."""
    with serve_console() as served:
        yield served


def job_of(person: Person, name: str) -> DetailedScriptResponse:
    """A job as the interface knows it."""
    return next(job for job in person.app.estate.jobs.values() if job.job_ref == f"jobs.shop.{name}")


def runs_of(person: Person, name: str) -> list[Any]:
    """The newest runs of a job."""
    return [run for run in person.app.estate.recent if run.script.job_ref == f"jobs.shop.{name}"]


async def choose(person: Person, name: str) -> None:
    """Go to the list of jobs and put the cursor on one."""
    await person.goes_to("2", "shop.load")
    person.app.screen.query_one("#jobs", Listing).select(job_of(person, name).id)
    await person.pilot.pause()


# --- jobs


async def test_a_job_is_launched_and_its_run_appears_by_itself(served: ServedEstate) -> None:
    """`l` launches; the stream of changes shows the run."""
    async with sitting_at(tui_for(served)) as person:
        await choose(person, "stock")
        before = len(runs_of(person, "stock"))
        await person.press("l")
        await person.is_told("started run")
        await person.until(lambda: len(runs_of(person, "stock")) > before, "the run appears")
        assert runs_of(person, "stock")[0].status == "pending"
        await person.press("c")
        await person.is_told("is being cancelled")
        await person.until(lambda: runs_of(person, "stock")[0].status == "cancelled", "the run is cancelled")


async def test_a_refresh_is_asked_about_before_it_is_launched(served: ServedEstate) -> None:
    """`R` asks; no leaves everything as it is, yes launches."""
    async with sitting_at(tui_for(served)) as person:
        await choose(person, "stock")
        await person.press("R")
        await person.reads("with refresh?")
        await person.press("n", "R")
        await person.reads("with refresh?")
        await person.press("y")
        await person.is_told("with refresh")
        await person.press("c")
        await person.is_told("is being cancelled")


async def test_a_job_is_paused_and_resumed(served: ServedEstate) -> None:
    """`p` does one and then the other, and the state says so in words."""
    async with sitting_at(tui_for(served)) as person:
        await choose(person, "load")
        await person.press("p")
        await person.until(lambda: job_of(person, "load").paused, "it is paused")
        await person.reads("every hour, paused")
        await person.press("p")
        await person.until(lambda: not job_of(person, "load").paused, "it is resumed")


async def test_a_schedule_is_overridden_and_reverted(served: ServedEstate) -> None:
    """`s` asks for a schedule, a wrong one is refused with the reason, `x` goes back to the code's."""
    async with sitting_at(tui_for(served)) as person:
        await choose(person, "load")
        await person.press("s")
        await person.reads("Schedule of shop.load")
        await person.type("every 5 apples")
        await person.press("enter")
        await person.until(lambda: person.app._notifications, "the refusal is shown")
        await person.press("s")
        await person.reads("Schedule of shop.load")
        await person.type("every:10m")
        await person.press("enter")
        await person.until(lambda: job_of(person, "load").schedule_override == "every:10m", "it is overridden")
        await person.press("x")
        await person.until(lambda: not job_of(person, "load").schedule_override, "it is reverted")


async def test_a_public_link_is_switched_and_copied(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """`u` switches, `y` copies; a job that is not interactive has no link, and is told so."""
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        await choose(person, "load")
        await person.press("u")
        await person.is_told("only interactive jobs have links")
        await choose(person, "board")
        await person.press("u")
        await person.until(lambda: job_of(person, "board").public_secret, "it is public")
        await person.press("y")
        await person.until(lambda: copied, "the link is copied")
        assert copied == [job_of(person, "board").public_url]
        await person.press("u")
        await person.until(lambda: not job_of(person, "board").public_secret, "it is public no more")


async def test_an_interactive_job_is_served_and_opened(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """`o` starts it and opens its address, where the daemon gives one."""
    opened: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "open_url", opened.append)
        await choose(person, "board")
        await person.press("o")
        await person.is_told("shop.board")
        url = job_of(person, "board").script_url
        assert opened == ([url] if url else [])
        await person.press("c")
        await person.is_told("is being cancelled")


async def test_a_job_is_archived_and_brought_back(served: ServedEstate) -> None:
    """`a` asks first; an archived job is shown with `z`."""
    async with sitting_at(tui_for(served)) as person:
        await choose(person, "orders")
        await person.press("a")
        await person.reads("Archive shop.orders?")
        await person.press("y")
        await person.until(lambda: job_of(person, "orders").archived, "it is archived")
        await person.until(lambda: "shop.orders" not in person.shown, "it is not shown")
        await person.press("z")
        await person.reads("shop.orders")
        person.app.screen.query_one("#jobs", Listing).select(job_of(person, "orders").id)
        await person.press("a")
        await person.reads("Bring back")
        await person.press("y")
        await person.until(lambda: not job_of(person, "orders").archived, "it is back")


async def test_jobs_are_filtered_by_selectors_and_sorted(served: ServedEstate) -> None:
    """Selectors are those of the command line; `>` sorts by the next column."""
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("2", "shop.load")
        await person.press("slash")
        await person.type("tag:ingest")
        await person.press("enter")
        listing = person.app.screen.query_one("#jobs", Listing)
        assert [job.job_ref for job in listing.rows] == ["jobs.shop.load", "jobs.shop.audit"]
        await person.press("greater_than_sign")
        assert [job.job_ref for job in listing.rows] == ["jobs.shop.audit", "jobs.shop.load"]
        await person.press("escape")
        assert len(listing.rows) >= 7
        assert person.app.focused is listing


async def test_a_job_shows_its_runs_versions_and_intervals(served: ServedEstate) -> None:
    """Enter looks at a job; each tab has a key; a run of it is opened by Enter and left by Escape."""
    async with sitting_at(tui_for(served)) as person:
        await choose(person, "load")
        await person.press("enter")
        await person.reads("Would run now")
        await person.press("v")
        await person.reads('+  "description": "Prices of the shop, in euro"')
        await person.press("i")
        await person.reads("the job has no interval")
        await person.press("r")
        await person.reads("#24")
        await person.press("enter")
        await person.reads("shop.load #24")
        await person.press("escape", "escape")
        await person.until(lambda: person.app.screen.query("#jobs"), "the list is back")


# --- runs


async def test_runs_are_filtered_and_drawn_over_time(served: ServedEstate) -> None:
    """`s` goes from status to status, words narrow, `g` draws, Escape shows all."""
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.report")
        listing = person.app.screen.query_one("#runs", Listing)
        await person.press("s", "s")
        await person.until(lambda: {run.status for run in listing.rows} == {"failed"}, "only failed ones")
        await person.press("slash")
        await person.type("#21")
        await person.press("enter")
        await person.until(lambda: len(listing.rows) == 1, "one run")
        await person.press("escape")
        await person.until(lambda: len(listing.rows) > 20, "all runs")
        await person.press("g")
        await person.reads("last 6 h")
        await person.press("minus")
        await person.reads("last 12 h")
        await person.press("enter")
        await person.until(lambda: person.app.screen.query("#lines"), "a run is shown")


async def test_statuses_of_runs_are_gone_through_both_ways(served: ServedEstate) -> None:
    """`S` goes back to where `s` came from."""
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("3", "shop.report")
        listing = person.app.screen.query_one("#runs", Listing)
        await person.press("s", "s")
        await person.until(lambda: {run.status for run in listing.rows} == {"failed"}, "only failed ones")
        await person.press("S")
        await person.until(lambda: {run.status for run in listing.rows} == {"running"}, "only those that run")
        await person.press("S")
        await person.until(lambda: {"failed", "running"} <= {run.status for run in listing.rows}, "all runs")


async def test_a_run_is_cancelled_from_the_list(served: ServedEstate) -> None:
    """`c` stops the run under the cursor; one that has ended says why it cannot be."""
    async with sitting_at(tui_for(served)) as person:
        await choose(person, "stock")
        await person.press("l")
        await person.is_told("started run")
        await person.until(lambda: runs_of(person, "stock")[0].status == "pending", "the run appears")
        await person.goes_to("3", "shop.stock")
        listing = person.app.screen.query_one("#runs", Listing)
        run = runs_of(person, "stock")[0]
        await person.until(lambda: run.id in [one.id for one in listing.rows], "it is listed")
        listing.select(run.id)
        await person.press("c")
        await person.until(lambda: person.app.estate.runs[run.id].status == "cancelled", "it is cancelled")
        person.app.clear_notifications()
        await person.press("c")
        await person.until(lambda: person.app._notifications, "the refusal is shown")


# --- one run


async def test_a_log_opens_at_its_end_and_is_searched(served: ServedEstate) -> None:
    """`/` searches all of the log, `n` and `N` go on, `e` finds what looks like an error."""
    async with sitting_at(tui_for(served)) as person:
        view = await open_failed(person)
        await person.reads("response.raise_for_status()")
        assert view.following
        await person.press("E")
        await person.until(lambda: view.found == LONG_LOG + 6, "the last line that looks like an error is found")
        view.found = None
        await person.press("f")
        await person.press("slash")
        await person.type("page 7")
        await person.press("enter")
        await person.until(lambda: view.found == 9, "page 7 is found")
        await person.reads("INFO loading page 7")
        await person.press("n")
        await person.until(lambda: view.found == 72, "page 70 is next")
        await person.press("N")
        await person.until(lambda: view.found == 9, "back to page 7")
        await person.press("e")
        await person.until(lambda: view.found == LONG_LOG + 3, "the traceback is found")
        await person.press("E")
        await person.is_told("no error before this")
        await person.press("f")
        assert view.following


async def test_a_log_scrolls_to_any_line_and_wraps(served: ServedEstate) -> None:
    """Only pages in view are asked for; wrapped, the last line is in view still."""
    async with sitting_at(tui_for(served), size=(60, 20)) as person:
        view = await open_failed(person)
        await person.press("home")
        await person.reads("environment found")
        await person.press("pagedown", "pageup", "down")
        assert not view.following
        await person.press("w", "end")
        await person.reads("Unavailable")
        await person.press("w", "right", "m")
        assert not view.show_times


async def test_a_log_is_saved_to_a_file(served: ServedEstate, tmp_path: Path) -> None:
    """`s` asks where; the file has every line as commands print it. A place that cannot be written is said."""
    async with sitting_at(tui_for(served)) as person:
        await open_failed(person)
        await person.press("s")
        await person.reads("Save the log to")
        person.app.screen.query_one(Input).value = str(tmp_path / "run.log")
        await person.press("enter")
        await person.is_told("lines are in")
        lines = (tmp_path / "run.log").read_text().splitlines()
        assert len(lines) == LONG_LOG + 7
        assert lines[0].endswith("[setup]   environment found")
        await person.press("s")
        await person.reads("Save the log to")
        person.app.screen.query_one(Input).value = str(tmp_path / "missing" / "run.log")
        await person.press("enter")
        await person.is_told("cannot be written")


async def test_a_run_tells_what_is_known_of_it(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Details, the runs around it, its job, and the reason for the clipboard."""
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        await open_failed(person)
        await person.press("d")
        await person.reads("code version 3, configuration version 2")
        await person.press("r")
        assert copied == ["requests.exceptions.HTTPError: 503 Server Error: Service Unavailable"]
        await person.press("u")
        await person.is_told("no run started this one")
        await person.press("J")
        await person.reads("Would run now")


async def test_up_and_downstream_runs_lead_on(served: ServedEstate) -> None:
    """A report was started by a load: `b` goes there, and the load lists what it has started."""
    async with sitting_at(tui_for(served)) as person:
        report = next(run for run in runs_of(person, "report") if run.status == "completed")
        person.app.push_screen(RunScreen(report.id))
        await person.reads(f"shop.report #{report.number}")
        await person.press("u")
        await person.reads("shop.load #")
        await person.press("d", "d")
        await person.reads(f"shop.report #{report.number}")
        assert person.app.screen.query_one(TabbedContent).active == "related"


async def test_a_job_cannot_steer_the_terminal_through_its_log(served: ServedEstate) -> None:
    """Escapes of a line are shown, not obeyed."""
    async with sitting_at(tui_for(served)) as person:
        view = await open_failed(person)
        await person.until(lambda: view.line(view.total - 1), "the end of the log is here")
        text = "\x1b]0;x\x07[red]!"
        evil = LogLine(line_num=view.total, phase="program", reported_at=END, content=text)
        view.put(view.total, [evil], view.total + 1)
        await person.reads(r"\x1b]0;x\x07[red]!")


# --- the other screens


async def test_members_are_added_and_removed(served: ServedEstate) -> None:
    """`n` asks for email and role; removing asks first."""
    async with sitting_at(tui_for(served, token=ADMINISTRATOR)) as person:
        await person.goes_to("6", "Workspace")
        await person.press("d")
        await person.reads("viewer-anna@example.org")
        person.app.screen.query_one("#members-list", Listing).action_edge(True)
        await person.press("delete")
        await person.reads("Remove viewer-anna@example.org")
        await person.press("y")
        await person.until(lambda: "viewer-anna" not in _list(person, "members"), "the member is gone")
        await person.press("n")
        await person.reads("Email of the member")
        await person.type("viewer-anna@example.org")
        await person.press("enter")
        await person.reads("Role of")
        await person.press("enter")
        await person.until(lambda: "viewer-anna" in _list(person, "members"), "the member is back")


async def test_tokens_and_hooks_are_made_shown_once_and_revoked(served: ServedEstate) -> None:
    """A new one is shown once; revoking asks first. Nobody owns a workspace for having a token of it."""
    async with sitting_at(tui_for(served, token=ADMINISTRATOR)) as person:
        await asyncio.to_thread(AdminClient(person.app.place.client.connection).add_user, "machine@example.org")
        await person.goes_to("6", "Workspace")
        await person.press("d", "d")
        await person.until(lambda: "anna@example.org" in _list(person, "tokens"), "the tokens are listed")
        await person.press("delete")
        await person.reads("Revoke the token of")
        await person.press("y")
        await person.is_told("revoked")
        await person.press("n")
        await person.reads("As whom the machine acts")
        person.app.screen.query_one(Input).value = "machine@example.org"
        await person.press("enter")
        await person.reads("Role of machine@example.org, if they are no member yet")
        await person.press("enter")
        await person.reads("it is not shown again")
        await person.press("escape")
        members = person.app.screen.query_one("#members-list", Listing)
        await person.until(
            lambda: ("machine@example.org", "viewer") in [(row.email, row.role) for row in members.rows],
            "the stranger is a viewer only",
        )
        await person.press("d", "n")
        await person.reads("Hook of which job")
        await person.press("enter")
        await person.reads("it is not shown again")
        await person.press("escape")
        await person.until(lambda: "shop.orders" in _list(person, "hooks"), "the hook is listed")


async def test_a_workspace_is_created_and_another_is_looked_at(served: ServedEstate) -> None:
    """Enter goes to another workspace: everything shown is that one's."""
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("6", "Workspace")
        await person.reads("workspace-anna")
        await person.press("n")
        await person.reads("Name of the new workspace")
        await person.type("orchard")
        await person.press("enter")
        await person.until(lambda: "orchard" in _list(person, "workspaces"), "it is listed")
        listing = person.app.screen.query_one("#workspaces-list", Listing)
        listing.select(next(row.workspace.id for row in listing.rows if row.workspace.name == "orchard"))
        await person.press("enter")
        await person.reads("0 jobs")
        assert person.app.estate.workspace is not None
        assert person.app.estate.workspace.name == "orchard"


async def test_what_is_not_for_the_caller_is_said(served: ServedEstate) -> None:
    """A viewer sees the screens, and is refused with the reason when a key would change something."""
    async with sitting_at(tui_for(served, token=served.tenant.viewer_token)) as person:
        await choose(person, "load")
        await person.press("l")
        await person.until(lambda: person.app._notifications, "the refusal is shown")
        assert "started" not in person.toasts
        await person.goes_to("6", "Workspace")
        await person.press("d", "d")
        await person.reads("only administrators")


async def test_the_palette_knows_every_action_and_keys_change_times_and_colours(served: ServedEstate) -> None:
    """What a key does can be found by name; `t` shows exact times, those of this machine, `ctrl+t` light colours."""
    with time_zone("Asia/Kolkata"):
        async with sitting_at(tui_for(served)) as person:
            await person.goes_to("2", "minutes ago")
            await person.press("t")
            await person.until(lambda: "03-11 17:" in person.shown, "times are exact")
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("2", "minutes ago")
        before = person.app.theme
        await person.press("ctrl+t")
        assert person.app.theme != before
        await person.press("ctrl+p")
        await person.type("Public link")
        await person.reads("Public link on/off")
        await person.press("escape")


async def test_the_overview_leads_to_what_it_shows(served: ServedEstate) -> None:
    """Runs, what comes next, failures with their reason, and the counts in words."""
    async with sitting_at(tui_for(served)) as person:
        await person.reads("runs per hour")
        await person.reads("paused 1")
        await person.reads("shop.load #21")
        await person.press("enter")
        await person.until(lambda: person.app.screen.query("#lines"), "a run is shown")
        await person.press("escape", "tab", "enter")
        await person.reads("Would run now")


def _list(person: Person, name: str) -> str:
    return " ".join(str(row) for row in person.app.screen.query_one(f"#{name}-list", Listing).rows)
