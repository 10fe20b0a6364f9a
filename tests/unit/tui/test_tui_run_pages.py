"""Runs by pages, and what changes meanwhile."""

from datetime import timedelta
from uuid import uuid4

from runtime.wire.events import ChangeEvent
from runtime.wire.run_details import DetailedRunResponse, ListRunsResponse
from tests.factories import NOW
from tests.unit.tui.test_tui_estate import changed, make_estate, make_response, make_script
from tui.estate import KEPT_RUNS, Estate, Snapshot
from tui.run_pages import RunPages

SCRIPT = make_script()
RUNS = [make_response(SCRIPT, number, status="failed" if number % 2 else "completed") for number in range(1000, 0, -1)]


def estate_of(runs: list[DetailedRunResponse], *, is_cut: bool = True) -> Estate:
    """A workspace of which these are the newest runs."""
    estate = make_estate(SCRIPT)
    assert estate.workspace is not None
    estate.take(Snapshot(estate.workspace, [SCRIPT], runs, is_cut=is_cut))
    return estate


def page(runs: list[DetailedRunResponse], offset: int, limit: int = 200) -> ListRunsResponse:
    """A page of a list."""
    return ListRunsResponse(items=runs[offset : offset + limit], offset=offset, limit=limit, total=len(runs))


def numbers(pages: RunPages) -> list[int]:
    return sorted((run.number for run in pages.runs.values()), reverse=True)


def test_pages_go_on_where_what_is_known_ends_and_leave_no_gap() -> None:
    pages = RunPages(estate_of(RUNS[:500]))
    assert not pages.is_complete
    asked = 0
    while not pages.is_complete:
        pages.take(page(RUNS, pages.offset))
        asked += 1
    assert numbers(pages) == list(range(1000, 0, -1))
    assert asked == 3
    assert pages.count == 1000


def test_nothing_is_asked_for_where_all_runs_are_at_hand() -> None:
    pages = RunPages(estate_of(RUNS[:30], is_cut=False))
    assert pages.is_complete
    assert pages.count == 30


def test_a_status_counts_its_own_runs() -> None:
    pages = RunPages(estate_of(RUNS[:500]), status="failed")
    failed = [run for run in RUNS if run.status == "failed"]
    assert len(pages.runs) == 250
    pages.take(page(failed, pages.offset))
    assert (len(pages.runs), pages.count) == (430, 500)
    pages.put(failed[0].id, failed[0].model_copy(update={"status": "completed"}))
    assert (len(pages.runs), pages.count) == (429, 499)


def test_a_run_from_before_the_pages_that_changes_leaves_no_gap_behind_it() -> None:
    pages = RunPages(estate_of(RUNS[:500]))
    pages.put(RUNS[900].id, RUNS[900])
    assert RUNS[900].id not in pages.runs
    new = make_response(SCRIPT, 1001)
    pages.put(new.id, new)
    assert numbers(pages) == list(range(1001, 500, -1))


def test_what_was_asked_for_stays_when_a_screen_comes_up_again() -> None:
    """Changes that were missed meanwhile are made up for."""
    estate = estate_of(RUNS[:500])
    pages = RunPages(estate)
    pages.take(page(RUNS, pages.offset))
    new = make_response(SCRIPT, 1001, status="running")
    estate.apply([changed(new)])
    pages.renew(estate)
    assert numbers(pages) == list(range(1001, 320, -1))
    assert pages.count == 1001


def test_pages_begin_anew_where_there_would_be_a_gap() -> None:
    estate = estate_of(RUNS[:500])
    pages = RunPages(estate)
    pages.take(page(RUNS, pages.offset))
    estate.apply([changed(make_response(SCRIPT, number)) for number in range(1001, 1001 + 2 * KEPT_RUNS)])
    pages.renew(estate)
    assert numbers(pages) == [run.number for run in estate.recent]
    assert not pages.is_complete


def test_a_run_that_went_on_when_it_was_listed_and_is_known_no_more_is_asked_for_anew() -> None:
    """It has ended, or is gone; until that is known it stays, and so does the count."""
    going = make_response(SCRIPT, 350, status="running")
    runs = [going if run.number == 350 else run for run in RUNS]
    estate = estate_of(RUNS[:500])
    pages = RunPages(estate)
    pages.take(page(runs, pages.offset))
    assert not pages.unsure
    pages.renew(estate)
    assert pages.unsure == {going.id}
    assert pages.runs[going.id] == going
    ended = going.model_copy(update={"status": "completed"})
    pages.put(going.id, ended)
    assert not pages.unsure
    assert pages.runs[going.id] == ended
    assert pages.count == 1000


def test_a_run_that_ends_stays_listed_though_so_much_began_at_once_that_the_workspace_has_no_room_for_it() -> None:
    going = make_response(SCRIPT, 300, status="running")
    estate = estate_of([*RUNS[:500], going])
    pages = RunPages(estate)
    pages.take(page([going if run.number == 300 else run for run in RUNS], 480, 1000))
    assert pages.is_complete
    ended = going.model_copy(update={"status": "completed"})
    new = [make_response(SCRIPT, number) for number in range(1001, 1001 + KEPT_RUNS)]
    for run_id, run in estate.apply([changed(run) for run in (ended, *new)]).runs.items():
        pages.put(run_id, run)
    assert ended.id not in estate.runs
    assert pages.runs[ended.id] == ended
    assert numbers(pages) == list(range(1000 + KEPT_RUNS, 0, -1))


def test_what_is_deleted_is_told_as_gone() -> None:
    estate = estate_of(RUNS[:500])
    assert estate.apply([ChangeEvent(kind="run", id=RUNS[0].id, deleted=True)]).runs == {RUNS[0].id: None}


def test_runs_of_some_hours_are_complete_once_those_are_at_hand() -> None:
    start = NOW + timedelta(seconds=600)
    pages = RunPages(estate_of(RUNS[:500]), start=start.isoformat())
    assert pages.is_complete
    pages = RunPages(estate_of(RUNS[:300]), start=start.isoformat())
    assert not pages.is_complete
    within = [run for run in RUNS if run.date_added >= start]
    pages.take(page(within, pages.offset))
    assert pages.is_complete
    assert numbers(pages) == list(range(1000, 599, -1))


def test_nothing_is_complete_before_the_workspace_is_known() -> None:
    estate = Estate()
    pages = RunPages(estate, script_id=str(uuid4()))
    assert not pages.is_complete
    assert pages.count == 0


def test_runs_of_a_job_share_what_is_known_of_it() -> None:
    """A hundred thousand runs do not carry as many definitions."""
    pages = RunPages(estate_of(RUNS[:100]))
    pages.take(ListRunsResponse.model_validate_json(page(RUNS, 80).model_dump_json()))
    older = [run for run in pages.runs.values() if run.number <= 900]
    assert len(older) == 180
    assert len({id(run.script) for run in older}) == 1
    assert older[0] == RUNS[100]


def test_what_begins_while_a_list_is_open_does_not_fill_the_memory_and_can_be_asked_for_again() -> None:
    """So many stay as are kept at hand, or as somebody has asked for; the count goes on."""
    pages = RunPages(estate_of(RUNS[:30], is_cut=False))
    many = 2 * KEPT_RUNS
    new = [make_response(SCRIPT, number) for number in range(1001, 1001 + many)]
    for run in new:
        pages.put(run.id, run)
        pages.trim()
    assert KEPT_RUNS <= len(pages.runs) <= KEPT_RUNS + KEPT_RUNS // 10
    assert pages.count == many + 30
    assert not pages.is_complete
    everything = [*reversed(new), *RUNS[:30]]
    pages.take(page(everything, pages.offset, many))
    assert pages.is_complete
    pages.trim()
    assert numbers(pages) == [run.number for run in everything]


def test_what_is_in_view_stays_however_much_begins() -> None:
    pages = RunPages(estate_of(RUNS[:500]))
    for number in range(1001, 1001 + KEPT_RUNS):
        run = make_response(SCRIPT, number)
        pages.put(run.id, run)
        pages.trim(RUNS[400].date_added)
    assert numbers(pages) == list(range(1000 + KEPT_RUNS, 599, -1))


def test_runs_that_have_left_the_hours_that_are_drawn_are_let_go_of() -> None:
    """Those that reach into them stay, and what is known is still known."""
    pages = RunPages(estate_of(RUNS[:500]), start=(NOW + timedelta(seconds=600)).isoformat())
    assert pages.is_complete
    long = RUNS[350].model_copy(update={"time_ended": NOW + timedelta(seconds=990)})
    pages.put(long.id, long)
    pages.forget_before(NOW + timedelta(seconds=900))
    assert numbers(pages) == [*range(1000, 899, -1), long.number]
    assert pages.is_complete


def test_runs_that_events_bring_share_what_is_known_of_their_job_too() -> None:
    estate = estate_of(RUNS[:10])
    pages = RunPages(estate)
    events = [changed(make_response(SCRIPT, number)) for number in range(1001, 1101)]
    again = [ChangeEvent.model_validate_json(event.model_dump_json()) for event in events]
    for run_id, run in estate.apply(again).runs.items():
        pages.put(run_id, run)
    assert len({id(run.script) for run in (*pages.runs.values(), *estate.runs.values())}) == 1
