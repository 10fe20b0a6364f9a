"""Versions of the code, lineage, the machine, and what is copied, by keys against the served application."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from textual.widgets import TabbedContent

from runtime.domain.identities import Principal
from runtime.store.retention import remove_deployment, remove_deployment_files
from runtime.wire.failures import MissingError
from runtime.wire.packages import FilesManifest
from tests.console_store import serve_console
from tests.served_estate import ADMINISTRATOR, ServedEstate, serve_estate
from tests.tenants import Estate, Tenant, as_tenant
from tests.tui_pilot import Person, sitting_at, tui_for
from tui.place import Place
from tui.screens.job import JobScreen
from tui.screens.jobs import JobsScreen
from tui.screens.run import RunScreen
from tui.widgets.listing import Listing
from tui.widgets.text_view import TextView


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use; the tests do not count on what others have left."""
    with serve_console() as served:
        yield served


def listing(person: Person, name: str) -> Listing[Any]:
    return person.app.screen.query_one(f"#{name}", Listing)


async def look_at_version(person: Person, version: int) -> None:
    """Go to the versions of the code and put the cursor on one."""
    await person.goes_to("4", "Configuration")
    await person.until(lambda: listing(person, "deployments-list").rows, "the versions are listed")
    listing(person, "deployments-list").select(version)
    await person.reads(f"version {version} by anna@example.org")


async def open_file(person: Person, path: str) -> None:
    """From a version to what changed in one of its files."""
    await person.press("enter")
    files = listing(person, "deployments-files")
    await person.until(lambda: files.has_focus, "the files have the keys")
    files.select(path)
    await person.press("enter")
    await person.until(lambda: person.app.screen.query(TextView), "the file is opened")


async def test_code_is_compared_line_by_line(served: ServedEstate) -> None:
    """Enter leads to the files and to what changed in one; `n` goes on to the next, `f` shows all of it."""
    async with sitting_at(tui_for(served)) as person:
        await look_at_version(person, 3)
        await person.reads("1 added, 1 changed, 1 removed")
        await open_file(person, "chart.py")
        await person.reads("+print('chart')")
        await person.press("n")
        await person.reads("-print('report')")
        await person.press("n")
        await person.reads('-    pipeline = dlt.pipeline("shop", destination="duckdb")')
        await person.reads('+URL = "https://shop.example.org/prices"')
        await person.press("n")
        await person.is_told("no file that differs after this one")
        await person.press("f")
        await person.reads(" def load():")
        await person.until(lambda: "+URL" not in person.shown, "all of the file is shown")
        await person.press("escape")
        await person.until(lambda: listing(person, "deployments-files").has_focus, "the files are back")


async def test_only_what_changed_is_coloured_as_a_change(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of a whole file that begins with `@`, `-` or `+` is one of the file."""

    def lines(*_: object) -> list[str]:
        return ["@decorator", "- item", "+ item"]

    monkeypatch.setattr("tui.screens.file_diff.whole_lines", lines)
    monkeypatch.setattr("tui.screens.file_diff.change_lines", lines)
    async with sitting_at(tui_for(served)) as person:
        await look_at_version(person, 3)
        await open_file(person, "shop.py")
        text = person.app.screen.query_one(TextView)

        def colours() -> int:
            return len({segment.style and segment.style.color for y in range(3) for segment in text.render_line(y)})

        await person.until(lambda: text.lines and colours() > 1, "changes are coloured")
        await person.press("f")
        await person.until(lambda: colours() == 1, "the file is not")


async def test_files_are_gone_through_backwards_and_their_text_is_copied(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`N` goes to the file before, `y` copies what is shown: the changes, or all of the file."""
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        await look_at_version(person, 3)
        await open_file(person, "report.py")
        await person.reads("-print('report')")
        await person.press("N")
        await person.reads("+print('chart')")
        await person.press("y")
        assert copied == ["--- /dev/null\n+++ chart.py\n@@ -0,0 +1 @@\n+print('chart')"]
        await person.press("f")
        await person.reads("  version 3")
        await person.press("y")
        assert copied[1:] == ["print('chart')"]
        await person.press("N")
        await person.is_told("no file that differs before this one")


async def test_a_version_is_compared_with_any_other(served: ServedEstate) -> None:
    """`b` says with which; what is no text is told instead of shown."""
    async with sitting_at(tui_for(served)) as person:
        await look_at_version(person, 1)
        await person.press("b")
        await person.is_told("compared with version 1")
        await look_at_version(person, 3)
        await person.reads("since version 1")
        await open_file(person, "logo.png")
        await person.reads("not there -> binary, 10 bytes")
        await person.press("escape")
        await look_at_version(person, 1)
        await person.press("b")
        await person.is_told("with the one before it")


async def test_configurations_are_compared_by_names_and_hashes_alone(served: ServedEstate) -> None:
    """And say which profiles are there, and which a job would miss."""
    async with sitting_at(tui_for(served)) as person:
        await look_at_version(person, 3)
        await person.press("d")
        await person.reads("prod.secrets.toml")
        await person.reads("profiles: dev, prod; missing: none")
        await person.press("enter", "enter")
        await person.is_told("never leave the daemon")
        assert "pear" not in person.shown
        await person.press("r")
        assert "Redeploy" not in person.shown


async def test_an_older_version_is_deployed_again_after_a_look_at_what_that_changes(served: ServedEstate) -> None:
    """`r` says which jobs it changes before it asks; the new version appears by itself."""
    async with sitting_at(tui_for(served)) as person:
        await look_at_version(person, 2)
        before = len(listing(person, "deployments-list").rows)
        await person.press("r")
        await person.reads("Redeploy version 2?")
        await person.reads("changes shop.load")
        await person.press("n", "r")
        await person.reads("Redeploy version 2?")
        await person.press("y")
        await person.is_told(f"version 2 of the code is deployed as version {before + 1}")
        await person.until(lambda: len(listing(person, "deployments-list").rows) > before, "the version appears")
        assert listing(person, "deployments-list").rows[0].version == before + 1
        # And back, for whoever comes after.
        await look_at_version(person, 3)
        await person.press("r")
        await person.reads("Redeploy version 3?")
        await person.press("y")
        await person.is_told("version 3 of the code is deployed")


async def test_the_question_about_a_redeployment_is_not_asked_over_another_screen(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There `y` copies: who has gone on meanwhile is told to ask again."""
    asked, goes_on = threading.Event(), threading.Event()

    def slow_plan(place: Place, version: int) -> str:
        asked.set()
        assert goes_on.wait(60)
        return "The code stays"

    monkeypatch.setattr("tui.actions.redeploy_plan", slow_plan)
    async with sitting_at(tui_for(served)) as person:
        await look_at_version(person, 2)
        await person.press("r")
        await person.until(asked.is_set, "the daemon is asked")
        await person.goes_to("2", "shop.load")
        goes_on.set()
        await person.is_told("press r on version 2 again")
        assert isinstance(person.app.screen, JobsScreen)


async def with_a_gap(estate: Estate, tenant: Tenant) -> None:
    """Four versions of the code, of which the third need not be kept any more."""
    house = as_tenant(estate.house, Principal(user=tenant.owner), tenant.workspace_id)
    for number in (2, 3, 4):
        await house.upload_code({"shop.py": f"print({number})\n".encode()})
    third = await house.deployments.get(tenant.workspace_id, "3")
    async with house.database.transaction() as connection:
        await remove_deployment_files(connection, third.id, 100)
        assert await remove_deployment(connection, third.id) == 1


async def test_a_version_is_compared_with_the_next_lower_one_that_is_kept() -> None:
    """Numbers have gaps once retention has taken versions away."""
    with serve_estate(with_a_gap) as served:
        async with sitting_at(tui_for(served)) as person:
            await look_at_version(person, 4)
            await person.reads("since version 2: 1 changed")
            await open_file(person, "shop.py")
            await person.reads("-print(2)")
            await person.reads("+print(4)")
            await person.press("escape")
            await look_at_version(person, 1)
            await person.reads("the first version that there is: 1 added")


async def test_files_of_another_version_are_not_left_where_an_answer_fails(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shown belongs to the version under the cursor, or nothing is."""
    async with sitting_at(tui_for(served)) as person:
        await look_at_version(person, 3)
        files = listing(person, "deployments-files")
        await person.until(lambda: files.rows, "the files are listed")

        def is_gone(*_: object) -> FilesManifest:
            raise MissingError("there is no deployment version 2", status=404)

        monkeypatch.setattr(person.app.place.client, "package_files", is_gone)
        listing(person, "deployments-list").select(2)
        await person.is_told("there is no deployment version 2")
        assert not files.rows
        assert "version 3 by" not in person.shown
        await person.press("enter", "enter")
        assert not person.app.screen.query(TextView)


async def test_a_viewer_reads_code_but_deploys_nothing(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served, token=served.tenant.viewer_token)) as person:
        await look_at_version(person, 3)
        await open_file(person, "chart.py")
        await person.reads("+print('chart')")
        await person.press("escape", "r")
        await person.is_told("you may look at this workspace")


async def test_lineage_is_drawn_and_told_in_words(served: ServedEstate) -> None:
    """It takes all of the screen, scrolls, and `w` says the same line by line."""
    async with sitting_at(tui_for(served), size=(80, 24)) as person:
        await person.goes_to("5", "shop_data")
        await person.press("d", "d")
        await person.reads("┌ dataset ─────┐")
        await person.reads("│ on warehouse │")
        await person.reads("≈ waits until it is fresh")
        assert not person.app.screen.query_one("#pipelines-side").display
        view = person.app.screen.query_one("#drawing", TextView)
        await person.press("end")
        await person.until(lambda: view.scroll_y > 0, "it is scrolled")
        await person.press("w")
        await person.reads("job shop.load")
        await person.reads("  on failure starts job shop.alarm")
        await person.reads("  is waited for by job shop.digest")
        await person.reads("  runs pipeline shop (profile prod)")
        await person.press("d")
        await person.reads("products  (merge)")


async def test_data_shows_tables_and_loads(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tabs; a load leads to its run; `o` opens the dashboard, or says that there is none; links are copied."""
    opened: list[str] = []
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "open_url", opened.append)
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        await person.goes_to("5", "shop_data")
        await person.reads("products__labels  (part of products)")
        await person.press("o")
        await person.until(lambda: opened or "dashboard" in person.toasts, "it is opened, or not there")
        await person.press("y")
        await person.until(lambda: copied, "the link is copied")
        assert copied == [f"{served.url}/w/{served.tenant.workspace_id}/pipelines/shop"]
        await person.press("d")
        await person.reads("rows per load, the newest right")
        await person.reads("products")
        await person.press("enter")
        await person.until(lambda: person.app.screen.query("#lines"), "the run is shown")


async def test_links_and_references_are_copied_apart(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """`y` copies what a browser opens, `Y` what commands take: of a job, an app, a run."""
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        at = f"{served.url}/w/{served.tenant.workspace_id}"
        jobs = {job.job_ref: job for job in person.app.estate.jobs.values()}
        run = next(run for run in person.app.estate.recent if run.script.job_ref == "jobs.shop.load")
        expected = [
            (JobScreen(jobs["jobs.shop.load"].id), f"{at}/jobs/jobs.shop.load", "jobs.shop.load"),
            (JobScreen(jobs["jobs.shop.board"].id), jobs["jobs.shop.board"].script_url, "jobs.shop.board"),
            (RunScreen(run.id), f"{at}/runs/{run.id}", f"shop.load {run.number}"),
        ]
        for screen, link, reference in expected:
            person.app.push_screen(screen)
            await person.reads(reference.removeprefix("jobs.").replace(" ", " #"))
            copied.clear()
            await person.press("y")
            await person.until(lambda: copied, "the link is copied")
            await person.press("Y")
            assert copied == [link, reference]
            person.app.pop_screen()
        await person.goes_to("3", "shop.load")
        listing(person, "runs").select(run.id)
        copied.clear()
        await person.press("y")
        await person.until(lambda: copied, "the link is copied")
        await person.press("Y")
        assert copied == [f"{at}/runs/{run.id}", f"shop.load {run.number}"]


async def test_a_run_says_why_it_was_skipped_and_what_its_pipelines_loaded(served: ServedEstate) -> None:
    """The reason stands above the log; the details have the environment and one line for each pipeline."""
    async with sitting_at(tui_for(served)) as person:
        recent = person.app.estate.recent
        skipped = next(run for run in recent if run.status == "skipped")
        person.app.push_screen(RunScreen(skipped.id))
        await person.reads("· skipped")
        await person.reads("waiting for jobs.shop.load: no completed run for 2026-03-10 21:00 UTC")
        loaded = next(run for run in recent if run.script.job_ref == "jobs.shop.load" and run.status == "completed")
        person.app.push_screen(RunScreen(loaded.id))
        await person.reads(f"shop.load #{loaded.number}")
        await person.press("d")
        await person.reads("shop, into shop_data, on warehouse, succeeded, ")
        await person.reads("Environment")


async def test_the_machine_is_shown_to_everybody_and_its_health_to_administrators(served: ServedEstate) -> None:
    """The overview has a line on it, the settings its sizes; a check is shown whole with what mends it."""
    async with sitting_at(tui_for(served, token=served.tenant.viewer_token), size=(80, 24)) as person:
        await person.reads("memory 41 GiB of 64 GiB free")
        await person.goes_to("6", "Workspace")
        person.app.screen.query_one(TabbedContent).active = "machine"
        await person.reads("no limit")
        await person.reads("512 MiB")
        person.app.screen.query_one(TabbedContent).active = "health"
        await person.reads("only administrators")
    async with sitting_at(tui_for(served, token=ADMINISTRATOR), size=(80, 24)) as person:
        await person.goes_to("6", "Workspace")
        person.app.screen.query_one(TabbedContent).active = "health"
        await person.until(lambda: listing(person, "health-list").rows, "the checks are listed")
        listing(person, "health-list").select("control groups")
        await person.reads("start the daemon by its systemd unit, which asks for `Delegate=yes`")
