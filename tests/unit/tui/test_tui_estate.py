"""What the interface knows of a workspace, as changes come in."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from runtime.wire.events import ChangeEvent
from runtime.wire.histories import HistoryResponse
from runtime.wire.identities import WorkspaceResponse
from runtime.wire.jobs import DetailedScriptResponse
from runtime.wire.run_details import DetailedRunResponse
from tests.factories import NOW
from tui.estate import KEPT_FAILURES, KEPT_RUNS, RUNS_OF_A_JOB, Estate, Histories, Snapshot, job_state
from tui.wording import run_state, sparkline

WORKSPACE = uuid4()


def make_script(name: str = "load", **fields: Any) -> DetailedScriptResponse:
    """A batch job."""
    defaults = {
        "id": uuid4(),
        "workspace_id": WORKSPACE,
        "job_ref": f"jobs.shop.{name}",
        "script_type": "batch",
        "version": 1,
        "job_definition": {},
        "job_definition_engine_version": 1,
        "job_definition_hash": "",
        "created_by": uuid4(),
        "date_added": NOW,
        "date_updated": NOW,
    }
    return DetailedScriptResponse.model_validate({**defaults, **fields})


def make_response(script: DetailedScriptResponse, number: int = 1, **fields: Any) -> DetailedRunResponse:
    """A completed run."""
    defaults = {
        "id": uuid4(),
        "workspace_id": WORKSPACE,
        "script_version_id": uuid4(),
        "deployment_id": uuid4(),
        "configuration_id": uuid4(),
        "number": number,
        "status": "completed",
        "trigger": f"manual:{script.job_ref}",
        "date_added": NOW + timedelta(seconds=number),
        "date_updated": NOW,
        "script": script.model_dump(),
    }
    return DetailedRunResponse.model_validate({**defaults, **fields})


def changed(run: DetailedRunResponse) -> ChangeEvent:
    """The event of a run."""
    return ChangeEvent(kind="run", id=run.id, run=run)


def make_estate(*scripts: DetailedScriptResponse) -> Estate:
    """An estate with jobs and without runs."""
    estate = Estate()
    workspace = WorkspaceResponse(id=WORKSPACE, name="orchard", date_added=NOW, date_updated=NOW)
    estate.take(Snapshot(workspace, list(scripts), []))
    return estate


def test_a_run_that_changes_is_known_by_its_job_too() -> None:
    """The newest run of a job is what its state says; an older one does not take its place."""
    script = make_script()
    estate = make_estate(script)
    second = make_response(script, 2, status="failed")
    said = estate.apply([changed(second), changed(make_response(script, 1))])
    assert said.jobs == {script.id}
    assert job_state(estate.jobs[script.id]) == "failed"
    assert [run.number for run in estate.runs_of(estate.jobs[script.id])] == [1, 2]
    assert [run.number for run in estate.recent] == [2, 1]


def test_what_is_deleted_is_forgotten() -> None:
    """Jobs and runs whose events say so."""
    script = make_script()
    run = make_response(script)
    estate = make_estate(script)
    estate.apply([changed(run)])
    estate.apply([ChangeEvent(kind="run", id=run.id, deleted=True), ChangeEvent(kind="script", id=script.id)])
    assert (estate.runs, estate.jobs) == ({}, {})


def test_only_so_many_runs_are_kept_and_active_ones_always() -> None:
    """Years of runs do not fill the memory of a terminal that is left open."""
    script = make_script()
    estate = make_estate(script)
    active = make_response(script, 1, status="running")
    estate.apply([changed(active), *(changed(make_response(script, number)) for number in range(2, KEPT_RUNS + 300))])
    assert len(estate.runs) <= KEPT_RUNS
    assert active.id in estate.runs


def test_states_are_words_with_signs_that_differ() -> None:
    """Never a colour alone."""
    script = make_script()
    texts = {status: run_state(make_response(script, status=status)) for status in ("completed", "failed", "skipped")}
    assert all(status in text for status, text in texts.items())
    assert len({text[0] for text in texts.values()}) == len(texts)
    assert run_state(make_response(script, status="skipped", outcome="fresh", skip_count=3)).endswith("x3")


def test_a_sparkline_shows_how_long_runs_took_and_how_others_ended() -> None:
    """One character for each run, the newest right."""
    script = make_script()
    runs = [make_response(script, 1, duration=1), make_response(script, 2, duration=99)]
    assert sparkline([*runs, make_response(script, 3, status="failed")]) == "▁█✗"
    assert sparkline([]) == ""


# --- what is older than the newest runs

DAY = timedelta(days=1)


def take_busy(estate: Estate, *older: DetailedRunResponse, **more: Any) -> None:
    """A look at a workspace with more runs than are told; the newest 600 are of one job."""
    busy = make_script("busy")
    newest = [make_response(busy, number) for number in range(700, 100, -1)]
    assert estate.workspace is not None
    estate.take(Snapshot(estate.workspace, [busy], newest, list(older), is_cut=True, **more))


def test_what_goes_on_is_known_however_many_runs_ago_it_began() -> None:
    script = make_script("stream")
    estate = make_estate(script)
    old = make_response(script, 1, status="running")
    take_busy(estate, old)
    assert estate.active == [old]
    assert old not in estate.recent
    assert len(estate.recent) == 600


def test_what_failed_in_the_last_day_is_known_however_many_runs_ago_that_was() -> None:
    script = make_script()
    estate = make_estate(script)
    early = make_response(script, 1, status="failed", time_ended=NOW - timedelta(hours=23))
    late = make_response(script, 2, status="failed", time_ended=NOW - timedelta(hours=1))
    take_busy(estate, early, late)
    assert estate.failures(DAY, NOW) == [late, early]
    assert estate.failures(DAY, NOW + timedelta(hours=2)) == [late]


def test_a_run_of_many_days_that_has_just_failed_is_a_failure_of_this_day() -> None:
    """It was created long ago, so no list of the day's runs has it; its job does."""
    script = make_script("stream")
    long = make_response(script, 1, status="failed", date_added=NOW - 9 * DAY, time_ended=NOW - timedelta(minutes=5))
    job = script.model_copy(update={"last_run": long})
    estate = make_estate(job)
    assert [(run.id, run.script.job_ref) for run in estate.failures(DAY, NOW)] == [(long.id, job.job_ref)]


def test_failures_that_are_too_many_to_be_told_are_said_to_be_cut() -> None:
    script = make_script()
    estate = make_estate(script)
    failed = make_response(script, 1, status="failed", time_ended=NOW)
    take_busy(estate, failed, failures_are_cut=True)
    assert estate.misses_failures(DAY, NOW)
    assert not estate.misses_failures(DAY, NOW + 2 * DAY)
    take_busy(estate, failed)
    assert not estate.misses_failures(DAY, NOW)


def test_failures_stay_when_room_is_made_for_newer_runs_but_not_without_end() -> None:
    script = make_script()
    estate = make_estate(script)
    failed = [make_response(script, number, status="failed", time_ended=NOW) for number in range(KEPT_FAILURES + 300)]
    estate.apply([changed(run) for run in failed])
    assert not estate.misses_failures(DAY, NOW)
    later = range(KEPT_FAILURES + 300, KEPT_FAILURES + 300 + 2 * KEPT_RUNS)
    estate.apply([changed(make_response(script, number)) for number in later])
    assert len(estate.failures(DAY, NOW)) == KEPT_FAILURES
    assert estate.misses_failures(DAY, NOW)
    assert len(estate.runs) <= KEPT_RUNS + KEPT_FAILURES
    assert [run.number for run in estate.recent] == list(range(later[-1], later[-1] - len(estate.recent), -1))


def test_the_last_runs_of_a_job_are_known_however_many_others_have_run_since() -> None:
    """A job that runs once a day, beside one that runs every minute."""
    daily = make_script("daily")
    estate = make_estate(daily)
    estate.apply([changed(make_response(daily, 40, status="failed"))])
    runs = [{"number": number, "status": "completed", "duration": 1} for number in range(20, 41)]
    told = [HistoryResponse.model_validate({"script_id": daily.id, "runs": runs[-RUNS_OF_A_JOB:]})]
    estate.take_histories(Histories(told))
    assert [run.number for run in estate.runs_of(daily)] == list(range(29, 41))
    estate.apply([changed(make_response(daily, 41, status="running"))])
    assert [run.number for run in estate.runs_of(daily)] == list(range(30, 42))
    assert sparkline(estate.runs_of(daily)).endswith("▶")
