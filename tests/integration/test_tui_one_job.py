"""One job's runs, intervals and versions stay current while they are looked at; keys are about what is marked."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from runtime.wire.jobs import DetailedScriptResponse, TriggerJobsRequest
from runtime.wire.run_details import DetailedRunResponse
from tests.console_store import serve_console
from tests.served_estate import ServedEstate
from tests.tui_pilot import Person, sitting_at, tui_for
from tui import actions
from tui.estate import Changed
from tui.screens.job import JobScreen
from tui.widgets.listing import Listing


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    """A workspace after a day of use; the tests do not count on what others have left."""
    with serve_console() as served:
        yield served


def job_of(person: Person, name: str) -> DetailedScriptResponse:
    return next(job for job in person.app.estate.jobs.values() if job.job_ref == f"jobs.shop.{name}")


def listing(person: Person, name: str) -> Listing[Any]:
    return person.app.screen.query_one(f"#{name}", Listing)


async def look_at_runs(person: Person, name: str) -> Listing[Any]:
    """Look at the runs of a job, all of which have been told."""
    screen = JobScreen(job_of(person, name).id)
    person.app.push_screen(screen)
    await person.reads("Would run now")
    await person.press("r")
    return listing(person, "run-list")


async def start(person: Person, name: str) -> DetailedRunResponse:
    """Have somebody else start a job; its run is known."""
    place = person.app.place
    request = TriggerJobsRequest(job_refs=[f"jobs.shop.{name}"])
    (started,) = await asyncio.to_thread(place.client.trigger, place.workspace_id, request)
    run_id = started.run_id
    assert run_id is not None, started.reason
    run: DetailedRunResponse = await person.until(lambda: person.app.estate.runs.get(run_id), "the run appears")
    return run


async def cancel(person: Person, run: DetailedRunResponse) -> None:
    """Have somebody else stop a run; that is known."""
    place = person.app.place
    await asyncio.to_thread(place.client.cancel_run, place.workspace_id, run.id)
    await person.until(lambda: status(person, run) == "cancelled", "it is over")


def states(runs: Listing[Any]) -> dict[UUID, str]:
    return {run.id: run.status for run in runs.rows}


def status(person: Person, run: DetailedRunResponse) -> str:
    return person.app.estate.runs[run.id].status


async def test_keys_among_the_runs_of_a_job_are_about_the_marked_run(
    served: ServedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not about the newest, nor about the job."""
    copied: list[str] = []
    async with sitting_at(tui_for(served)) as person:
        monkeypatch.setattr(person.app, "copy_to_clipboard", copied.append)
        first, second = await start(person, "stock"), await start(person, "stock")
        runs = await look_at_runs(person, "stock")
        await person.until(lambda: {first.id, second.id} <= {run.id for run in runs.rows}, "both are listed")
        runs.select(first.id)
        await person.press("Y", "y")
        await person.until(lambda: len(copied) == 2, "the link is copied")
        assert copied[0] == f"shop.stock {first.number}"
        assert copied[1].endswith(f"/runs/{first.id}")
        await person.press("c")
        await person.until(lambda: status(person, first) == "cancelled", "the marked run is cancelled")
        assert status(person, second) == "pending"
        await cancel(person, second)
        await person.press("d", "Y")
        assert copied[2:] == ["jobs.shop.stock"]


async def test_a_run_that_ends_while_another_screen_is_looked_at_has_ended_when_the_job_is_seen_again(
    served: ServedEstate,
) -> None:
    async with sitting_at(tui_for(served)) as person:
        run = await start(person, "stock")
        runs = await look_at_runs(person, "stock")
        await person.until(lambda: run.id in [row.id for row in runs.rows], "it is listed")
        await person.goes_to("2", "shop.stock")
        await cancel(person, run)
        await person.goes_to("1", "Intervals")
        await person.until(lambda: states(runs)[run.id] == "cancelled", "the list says so")


async def test_a_run_that_is_removed_leaves_the_list_of_its_job(served: ServedEstate) -> None:
    async with sitting_at(tui_for(served)) as person:
        runs = await look_at_runs(person, "load")
        await person.until(lambda: len(runs.rows) > 2, "they are listed")
        gone = runs.rows[1]
        person.app._tell(Changed(runs={gone.id: None}))
        assert gone.id not in [row.id for row in runs.rows]


async def test_a_deployment_shows_among_the_versions_of_a_job_that_is_looked_at(served: ServedEstate) -> None:
    """The difference stays that of the marked version."""
    async with sitting_at(tui_for(served)) as person:
        await look_at_runs(person, "load")
        await person.press("v")
        versions = listing(person, "version-list")
        await person.until(lambda: len(versions.rows) > 1, "the versions are listed")
        await person.press("down")
        await person.until(lambda: versions.current == versions.rows[1], "the second is marked")
        marked, count = versions.rows[1].version, len(versions.rows)
        shown = str(person.app.screen.query_one("#diff").render())
        await asyncio.to_thread(actions.redeploy, person.app.place, 2)
        await person.until(lambda: len(versions.rows) > count, "the new version is listed")
        assert versions.current is not None
        assert versions.current.version == marked
        assert str(person.app.screen.query_one("#diff").render()) == shown
        await asyncio.to_thread(actions.redeploy, person.app.place, 3)
