"""Going from one workspace to another, and keys of the settings that other tests do not press."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from textual.widgets import HelpPanel, Input

from runtime.wire.failures import MissingError
from tests.console_store import serve_console
from tests.served_estate import ADMINISTRATOR, ServedEstate
from tests.tui_pilot import Person, sitting_at, tui_for
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.listing import Listing
from tui.widgets.top_bar import TopBar


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use."""
    with serve_console() as served:
        yield served


async def create(person: Person, name: str) -> UUID:
    """Another workspace; the settings are shown."""
    client = person.app.place.client
    made = client.create_workspace(client.me().primary_organization.id, name)
    await person.goes_to("6", name)
    return made.id


async def go(person: Person, workspace_id: UUID) -> None:
    """By Enter, in the settings."""
    listing = person.app.screen.query_one("#workspaces-list", Listing)
    await person.until(lambda: workspace_id in {row.workspace.id for row in listing.rows}, "the workspace is listed")
    listing.select(workspace_id)
    await person.press("enter")
    await person.until(
        lambda: person.app.current_mode == "overview" and person.app.estate.is_loaded, "the other one is loaded"
    )


async def test_nothing_of_the_workspace_before_is_left_in_another_one(served: ServedEstate) -> None:
    """Neither lists, nor runs that were looked at, nor what versions were compared with."""
    async with sitting_at(tui_for(served)) as person:
        before = person.app.place.workspace_id
        await person.reads("shop.load #21")
        await person.press("enter")
        await person.until(lambda: isinstance(person.app.screen, RunScreen), "a run is shown over the overview")
        await person.goes_to("3", "shop.report")
        await person.press("enter")
        await person.until(lambda: isinstance(person.app.screen, RunScreen), "a run is shown over the runs")
        await person.goes_to("4", "1 added, 1 changed")
        await person.press("down", "b")
        await person.is_told("compare")
        other = await create(person, "orchard")
        await go(person, other)
        await person.reads("0 jobs")
        await person.goes_to("3", "no runs yet")
        assert isinstance(person.app.screen, RunsScreen)
        assert "shop" not in person.shown
        await person.press("g")
        await person.reads("nothing ran")
        await person.press("4")
        await person.reads("none yet")
        assert "shop" not in person.shown
        await person.press("6")
        await person.reads("orchard")
        await go(person, before)
        await person.reads("shop.load #21")
        await person.goes_to("3", "shop.report")


async def test_a_workspace_that_is_well_is_not_offline_because_the_one_before_was(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served)) as person:
        other = await create(person, "meadow")
        person.app.feed._news.append(MissingError("there is no such workspace", status=404))
        await person.reads("offline")
        await go(person, other)
        await person.reads("live")
        assert person.app.trouble == ""
        assert person.app.screen.query_one(TopBar)


async def test_what_settings_list_is_copied(served: ServedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """`y`: the identifier of a workspace, the email of a member."""
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        await person.goes_to("6", "workspace-anna")
        await person.press("y", "d")
        await person.reads("viewer-anna@example.org")
        person.app.screen.query_one("#members-list", Listing).action_edge(True)
        await person.press("y")
        await person.until(lambda: len(copied) == 2, "both are copied")
        assert copied == [str(person.app.place.workspace_id), "viewer-anna@example.org"]


async def test_a_hook_is_copied_and_revoked_and_its_token_is_copied_while_it_is_shown(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    async with sitting_at(tui_for(served, token=ADMINISTRATOR)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        await person.goes_to("6", "workspace-anna")
        await person.press("d", "d", "d")
        listing = person.app.screen.query_one("#hooks-list", Listing)
        await person.reads("anna.load")
        await person.press("n")
        await person.reads("Hook of which job")
        await person.press("enter")
        await person.reads("it is not shown again")
        await person.press("c")
        assert len(copied) == 1
        assert copied[0] in person.shown
        await person.press("escape")
        await person.reads("shop.orders")
        listing.select(next(one.id for one in listing.rows if one.job_ref == "jobs.shop.orders"))
        await person.press("y")
        assert copied[1].endswith("/orders")
        await person.press("delete")
        await person.reads("Revoke this hook of shop.orders?")
        await person.press("n")
        assert "revoked" not in person.shown
        await person.press("delete")
        await person.reads("Revoke this hook of shop.orders?")
        await person.press("y")
        await person.is_told("revoked")
        await person.until(
            lambda: [one.job_ref for one in listing.rows if one.date_revoked] == ["jobs.shop.orders"], "it is revoked"
        )


async def test_the_keys_of_a_screen_are_shown_when_asked_for(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served)) as person:
        await person.goes_to("2", "shop.load")
        await person.press("question_mark")
        await person.until(lambda: person.app.screen.query(HelpPanel), "the keys are shown")
        await person.reads("Launch with refresh")
        assert not person.app.screen.query_one("#filter", Input).has_focus
