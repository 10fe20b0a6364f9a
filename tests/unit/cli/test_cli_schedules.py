"""Operators' commands: schedules, intervals, backfills, the graph and webhook tokens."""

import json
from typing import Any

import pytest

from tests.scripted_daemon import AT, USER_ID, ScriptedDaemon, job, package, refusal, run_of, uuid
from tests.unit.cli.conftest import Run

REF = "jobs.shop.load"
OF_JOB = f"/scripts/{REF}"
CREATED = {
    "id": uuid(50),
    "job_ref": REF,
    "urls": ["http://127.0.0.1:8470/hooks/w/orders"],
    "created_by": str(USER_ID),
    "date_added": AT,
}

pytestmark = pytest.mark.usefixtures("workspace")


def schedule(**changes: Any) -> dict[str, Any]:
    return {
        "job_ref": REF,
        "timezone": "Europe/Berlin",
        "in_words": "every day at 08:00 Europe/Berlin",
        "paused": False,
        "next_ticks": ["2026-03-28T07:00:00Z", "2026-03-29T06:00:00Z"],
        "would_run": False,
        "explanation": "waiting for jobs.usgs.daily: no completed run for 2026-11-24 12:00 UTC",
        **changes,
    }


@pytest.fixture
def shop(daemon: ScriptedDaemon) -> ScriptedDaemon:
    """A daemon that has the job."""
    daemon.lists("/scripts", job())
    daemon.answers(f"GET {OF_JOB}", job())
    return daemon


def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.output.console.Output.is_terminal", property(lambda _: True))


def test_an_operation_that_is_misspelt_is_not_taken_for_a_job_without_a_word(shop: ScriptedDaemon, run: Run) -> None:
    done = run("job", "load", "paus")
    assert done.code == 3
    assert done.err.splitlines() == [
        "error: there is no job `paus` in this workspace",
        "hint: did you mean `job load pause`?",
    ]
    assert "job list" in run("job", "load", "zzz").err


@pytest.mark.parametrize(("profile", "warned"), [("prod", False), ("prdo", True)])
def test_a_profile_without_settings_is_warned_of_when_jobs_are_triggered(
    shop: ScriptedDaemon, run: Run, profile: str, warned: bool
) -> None:
    shop.answers("GET /configurations/latest", package("configuration"))
    started = {
        "job_ref": REF,
        "script_id": uuid(10),
        "trigger": f"manual:{REF}",
        "matched_triggers": [],
        "run_id": uuid(5),
    }
    shop.answers("POST /scripts/trigger", {"triggered": [started]}, status=201)
    done = run("trigger", "load", "--profile", profile)
    assert done.code == 0
    assert (f"warning: the configuration has no profile `{profile}`" in done.err) is warned


@pytest.mark.parametrize("words", ["load info", "info load", "shop.load info"])
def test_info_shows_the_next_ticks_in_both_zones_and_why_the_job_would_not_run(
    shop: ScriptedDaemon, run: Run, words: str
) -> None:
    shop.answers(f"GET {OF_JOB}/schedule", schedule())
    done = run("job", *words.split())
    assert done.code == 0
    lines = done.out.splitlines()
    assert "Schedule\tevery day at 08:00 Europe/Berlin" in lines
    assert "Next ticks\t2026-03-28 08:00 Europe/Berlin (2026-03-28 07:00 UTC)" in lines
    assert "Next ticks\t2026-03-29 08:00 Europe/Berlin (2026-03-29 06:00 UTC)" in lines
    assert "Would run now\tno, waiting for jobs.usgs.daily: no completed run for 2026-11-24 12:00 UTC" in lines


def test_local_time_is_left_out_where_it_is_the_jobs(shop: ScriptedDaemon, run: Run) -> None:
    shop.answers(f"GET {OF_JOB}/schedule", schedule(timezone="UTC"))
    assert "Next ticks\t2026-03-28 07:00 UTC\n" in run("job", "load", "info").out


def test_info_as_json_holds_the_schedule(shop: ScriptedDaemon, run: Run) -> None:
    shop.answers(f"GET {OF_JOB}/schedule", schedule())
    shown = json.loads(run("job", "load", "info", "--json").out)
    assert shown["schedule"]["would_run"] is False


def test_info_goes_without_the_schedule_on_a_daemon_that_has_none(shop: ScriptedDaemon, run: Run) -> None:
    done = run("job", "load", "info")
    assert done.code == 0
    assert "Would run now" not in done.out


@pytest.mark.parametrize(
    ("words", "asked", "answer", "said"),
    [
        ("load pause", "PUT pause", {"in_words": "every hour, paused", "next_ticks": []}, "every hour, paused"),
        ("load resume", "DELETE pause", {"in_words": "every hour"}, "every hour; next 2026-03-28 08:00 Europe/Berlin"),
        ("load revert", "DELETE schedule", {"in_words": "", "next_ticks": []}, "no schedule"),
        ("load schedule every:10m", "PUT schedule", {"in_words": "every 10 minutes"}, "every 10 minutes; next"),
    ],
)
def test_what_an_operator_does_is_asked_and_told(
    shop: ScriptedDaemon, run: Run, words: str, asked: str, answer: dict[str, Any], said: str
) -> None:
    """Semantics T8."""
    method, what = asked.split()
    shop.answers(f"{method} {OF_JOB}/{what}", schedule(**answer))
    done = run("job", *words.split())
    assert done.code == 0, done.err
    assert f"shop.load: {said}" in done.err


def test_a_cron_expression_is_one_word_in_quotes(shop: ScriptedDaemon, run: Run) -> None:
    shop.answers(f"PUT {OF_JOB}/schedule", schedule())
    run("job", "load", "schedule", "0 8 * * *")
    assert shop.body(f"PUT {OF_JOB}/schedule") == {"trigger": "0 8 * * *"}


def test_a_refusal_is_the_daemons_sentence(shop: ScriptedDaemon, run: Run) -> None:
    shop.does(f"PUT {OF_JOB}/pause", lambda _: refusal(409, "`jobs.shop.load` has no timed trigger to pause"))
    done = run("job", "load", "pause")
    assert (done.code != 0, done.err) == (True, "error: `jobs.shop.load` has no timed trigger to pause\n")


def test_the_list_shows_the_next_run_and_what_an_operator_said(daemon: ScriptedDaemon, run: Run) -> None:
    """Semantics T8."""
    daemon.lists(
        "/scripts",
        job(default_trigger="schedule:0 8 * * *", schedule_override="every:10m", next_scheduled_run=AT, paused=False),
        job("jobs.shop.check", number=11, default_trigger="every:1h", paused=True),
        job("jobs.shop.other", number=12, default_trigger="every:1h", paused=False),
    )
    rows = [line.split("\t") for line in run("job", "list").out.splitlines()]
    assert [(row[0], row[3], row[4], row[5]) for row in rows] == [
        ("shop.load", "every:10m", "2026-01-02T03:04:05.678Z", "overridden"),
        ("shop.check", "every:1h", "", "paused"),
        ("shop.other", "every:1h", "", ""),
    ]


def test_the_run_list_shows_why_and_how_often_a_job_was_skipped(daemon: ScriptedDaemon, run: Run) -> None:
    """Semantics D7."""
    reason = "waiting for jobs.a.b: no completed run yet"
    daemon.lists(
        "/runs",
        run_of(job(), 2, "skipped", reason=reason, outcome="skipped_fresh", skip_count=1),
        run_of(job(), 1, "skipped", reason=reason, outcome="skipped_fresh", skip_count=12),
    )
    lines = run("job-run", "list").out.splitlines()
    assert [line.split("\t")[-1] for line in lines] == [f"12 times: {reason}", reason]


def test_a_run_says_what_it_could_import_where_that_is_known(shop: ScriptedDaemon, run: Run) -> None:
    """For people how much it is, for programs by name; an older daemon and a run that waits have nothing to tell."""
    shop.lists("/runs", run_of(job(), 2))
    assert "Environment" not in run("job-run", "load", "info").out
    packages = ["dlt==1.26.0", "duckdb==1.4.2"]
    environment = {"key": "9f3c", "python_version": "3.11.2", "packages": packages}
    shop.answers(f"GET /runs/{uuid(1002)}/environment", environment)
    assert "Python 3.11.2, 2 packages, key 9f3c" in run("job-run", "load", "info").out
    assert json.loads(run("job-run", "load", "info", "--json").out)["environment"] == environment


def test_intervals_are_stretches_in_one_state(shop: ScriptedDaemon, run: Run) -> None:
    """Semantics W3."""
    bounds = ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]
    spans = [
        {"state": "done", "start": bounds[0], "end": bounds[1]},
        {"state": "missing", "start": bounds[1], "end": bounds[2]},
    ]
    more = {"timezone": "UTC", "tick_by_tick": True, "interval_start": bounds[0], "spans": spans}
    shop.answers(f"GET {OF_JOB}/intervals", {"job_ref": REF, **more})
    done = run("job", "load", "intervals")
    assert done.out.splitlines() == [
        "done\t2026-03-01T00:00:00.000Z\t2026-03-02T00:00:00.000Z",
        "missing\t2026-03-02T00:00:00.000Z\t2026-03-03T00:00:00.000Z",
    ]
    assert done.err == "1 done, 1 missing\n"


def test_on_a_terminal_intervals_are_in_the_jobs_zone(
    shop: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = [{"state": "done", "start": "2026-03-01T23:00:00Z", "end": "2026-03-02T23:00:00Z"}]
    more = {"timezone": "Europe/Berlin", "tick_by_tick": True, "interval_start": AT, "spans": spans}
    shop.answers(f"GET {OF_JOB}/intervals", {"job_ref": REF, **more})
    terminal(monkeypatch)
    assert "2026-03-02 00:00 Europe/Berlin" in run("job", "load", "intervals").out


def backfilled(*numbers: int) -> dict[str, Any]:
    runs = [
        {key: value for key, value in run_of(job(), number, "pending").items() if key != "script"} for number in numbers
    ]
    return {"job_ref": REF, "start": "2026-03-01T23:00:00Z", "end": "2026-03-02T23:00:00Z", "runs": runs}


def test_a_backfill_reads_times_in_the_jobs_zone(shop: ScriptedDaemon, run: Run) -> None:
    """Semantics W3."""
    in_berlin = job()
    in_berlin["job_definition"]["require"] = {"timezone": "Europe/Berlin"}
    shop.lists("/scripts", in_berlin)
    shop.answers(f"POST {OF_JOB}/backfill", backfilled(4, 5), status=201)
    done = run("backfill", "load", "--from", "2026-03-02", "--to", "2026-03-03T00:00+01:00", "--parallel", "2")
    assert done.code == 0, done.err
    assert shop.body(f"POST {OF_JOB}/backfill") == {
        "start": "2026-03-01T23:00:00Z",
        "end": "2026-03-02T23:00:00Z",
        "parallel": 2,
    }
    assert done.err == "shop.load: 2026-03-01 23:00 UTC to 2026-03-02 23:00 UTC; started runs 4, 5\n"


def test_a_backfill_may_have_to_wait(shop: ScriptedDaemon, run: Run) -> None:
    shop.answers(f"POST {OF_JOB}/backfill", backfilled(), status=201)
    done = run("backfill", "load", "--from", "2026-03-01")
    assert shop.body(f"POST {OF_JOB}/backfill") == {"start": "2026-03-01T00:00:00Z"}
    assert "it follows when the active run ends" in done.err


@pytest.mark.parametrize("words", ["--from yesterday", "--from 2026-03-01 --parallel 0", ""])
def test_a_backfill_that_is_not_clear_is_not_asked_for(shop: ScriptedDaemon, run: Run, words: str) -> None:
    assert run("backfill", "load", *words.split()).code != 0
    assert shop.requests(f"POST {OF_JOB}/backfill") == []


def test_the_graph_is_printed_as_it_is_drawn(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers("GET /graph", {"format": "dot", "drawing": "digraph jobs {\n}"})
    assert run("graph", "--format", "dot").out == "digraph jobs {\n}\n"
    (asked,) = daemon.requests("GET /graph")
    assert asked.url.params["format"] == "dot"


def test_nothing_in_a_graph_steers_the_terminal(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers("GET /graph", {"format": "text", "drawing": "jobs.a\x1b]0;title\x07"})
    assert run("graph").out == "jobs.a\\x1b]0;title\\x07\n"


def test_a_new_hook_token_is_the_only_thing_on_stdout(shop: ScriptedDaemon, run: Run) -> None:
    """Semantics T7."""
    shop.answers(f"POST {OF_JOB}/hooks", {**CREATED, "token": "s3cret"}, status=201)
    done = run("hook", "create", "load")
    assert done.out == "s3cret\n"
    assert "http://127.0.0.1:8470/hooks/w/orders" in done.err
    assert "s3cret" not in done.err


@pytest.mark.parametrize("words", ["", "list", "list load"])
def test_hook_tokens_are_listed_without_their_secrets(shop: ScriptedDaemon, run: Run, words: str) -> None:
    """Semantics T7."""
    shop.lists("/scripts", job(triggers=["webhook:orders"]), job("jobs.shop.other", number=11))
    shop.answers(f"GET {OF_JOB}/hooks", {"items": [{**CREATED, "date_revoked": AT}]})
    (line,) = run("hook", *words.split()).out.splitlines()
    assert line.split("\t")[:3] == [uuid(50), "shop.load", "revoked"]
    assert len(shop.requests(f"GET {OF_JOB}/hooks")) == 1


def test_a_hook_token_is_revoked_by_its_id(shop: ScriptedDaemon, run: Run) -> None:
    """Semantics T7."""
    shop.answers(f"DELETE {OF_JOB}/hooks/{uuid(50)}", None)
    assert run("hook", "revoke", "load", uuid(50)).err == f"revoked {uuid(50)}\n"
