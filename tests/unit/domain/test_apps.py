"""Interactive jobs as apps: names, addresses, rest, and the words for their ends (semantics S4, S6)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.apps import (
    AppAddresses,
    holds_back,
    idle_at,
    idle_reason,
    idle_seconds_of,
    is_app,
    judge_app_end,
    keeps_prefix,
    make_slug,
    outdated_reason,
    unready_reason,
)
from runtime.domain.jobs import JobDefinition, normalise_definition
from runtime.domain.runs import MACHINE_RESTARTED, Run
from tests.factories import make_configuration, make_deployment, make_job, make_raw_definition, make_run

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECRET = UUID(int=7)
LAUNCHERS = "dlt._workspace.deployment.launchers"


def definition(launcher: str = "job", job_type: str = "interactive", **fields: Any) -> JobDefinition:
    entry_point = {"module": "shop", "function": "board", "job_type": job_type, "launcher": f"{LAUNCHERS}.{launcher}"}
    return normalise_definition(make_raw_definition("jobs.shop.board", entry_point=entry_point, **fields), 1)


@given(st.from_regex(r"jobs\.(\w{1,80}\.)?[\w-]{1,80}", fullmatch=True), st.from_regex(r"[0-9a-f]{8}", fullmatch=True))
def test_every_job_gets_a_label_of_a_hosts_name_with_its_token(job_ref: str, token: str) -> None:
    slug = make_slug(job_ref, token)
    assert slug.endswith(f"-{token}")
    assert len(slug) <= 63
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug[0] != "-"
    assert "--" not in slug


@pytest.mark.parametrize(
    ("job_ref", "slug"),
    [
        ("jobs.shop.Sales_Board", "sales-board-0a1b2c3d"),
        ("jobs.übersicht", "ubersicht-0a1b2c3d"),
        ("jobs.表", "app-0a1b2c3d"),
        ("jobs." + "a" * 70, "a" * 54 + "-0a1b2c3d"),
    ],
)
def test_a_slug_says_what_the_job_is_called_as_far_as_it_can(job_ref: str, slug: str) -> None:
    assert make_slug(job_ref, "0a1b2c3d") == slug


def test_without_a_domain_apps_are_told_apart_by_path() -> None:
    addresses = AppAddresses(base_url="http://127.0.0.1:8471")
    assert addresses.app_url("board-1") == "http://127.0.0.1:8471/apps/board-1/"
    assert addresses.prefix("board-1") == "/apps/board-1"
    assert addresses.public_url(SECRET) == f"http://127.0.0.1:8471/public/{SECRET}/"


@pytest.mark.parametrize(
    ("base_url", "app_url"),
    [
        ("http://127.0.0.1:8471", "http://board-1.apps.localhost:8471/"),
        ("https://data.example", "https://board-1.apps.localhost/"),
    ],
)
def test_with_a_domain_every_app_has_a_host_of_its_own(base_url: str, app_url: str) -> None:
    addresses = AppAddresses(base_url=base_url, domain="apps.localhost")
    assert addresses.app_url("board-1") == app_url
    assert addresses.prefix("board-1") == ""


@pytest.mark.parametrize(
    ("launcher", "keeps"),
    [("marimo", True), ("streamlit", True), ("dashboard", True), ("job", False), ("mcp", False), ("module", False)],
)
def test_only_what_takes_its_prefix_upon_itself_is_sent_it(launcher: str, keeps: bool) -> None:
    assert keeps_prefix(definition(launcher).entry_point) is keeps


def test_what_is_visited_is_an_app() -> None:
    assert is_app(definition())
    assert not is_app(definition(job_type="batch"))


def test_the_idle_timeout_of_a_job_is_what_the_sdk_writes_as_its_timeout() -> None:
    """Semantics S4."""
    assert idle_seconds_of(definition(), 300) == 300
    assert idle_seconds_of(definition(execute={"timeout": {"timeout": 60.0}}), 300) == 60


def test_an_app_is_idle_once_its_last_use_is_long_enough_ago() -> None:
    """Semantics S4."""
    assert idle_at(NOON, 0, 300) == NOON + timedelta(minutes=5)


def test_an_app_in_use_is_never_idle() -> None:
    """Semantics S4."""
    assert idle_at(NOON - timedelta(days=7), 1, 300) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(300, "idle for 5 min"), (90, "idle for 90 s"), (0.5, "idle for 0.5 s"), (3600, "idle for 60 min")],
)
def test_an_idle_app_says_for_how_long(seconds: float, words: str) -> None:
    assert idle_reason(seconds) == words


@pytest.mark.parametrize(
    ("listening", "words"),
    [
        (set(), "nothing answered on port 8080 within 120 s"),
        ({5000}, "it listens on port 5000, not on the port it was given, 8080 (`run_args.port`)"),
        ({5001, 5000}, "it listens on ports 5000, 5001, not on the port it was given, 8080 (`run_args.port`)"),
        ({8080, 5000}, "it listens on port 8080, but did not answer an HTTP request within 120 s"),
    ],
)
def test_an_app_that_never_answers_says_where_it_is_instead(listening: set[int], words: str) -> None:
    """Semantics S6."""
    assert unready_reason(8080, 120, frozenset(listening)) == words


def test_an_app_whose_answers_are_no_good_says_what_is_wrong_with_them() -> None:
    """Semantics S6."""
    words = "what it answers on port 8080 cannot be passed on to visitors: no HTTP"
    assert unready_reason(8080, 120, frozenset({8080}), "no HTTP") == words


@pytest.mark.parametrize(
    ("exit_code", "stopped_for", "was_ready", "status", "reason"),
    [
        (143, "idle", True, "completed", "words"),
        (137, "replaced", True, "completed", "words"),
        (143, "replaced", False, "cancelled", "words"),
        (143, "unready", False, "failed", "words"),
        (0, "cancel", True, "cancelled", "cancelled on request"),
        (0, None, True, "completed", None),
        (3, None, True, "failed", "exit code 3: last"),
        (0, None, False, "failed", "ended with exit code 0 before it answered: last"),
        (1, None, False, "failed", "ended with exit code 1 before it answered: last"),
        (137, None, False, "failed", "killed by signal 9 before it answered: last"),
        (None, None, False, "failed", "the sandbox disappeared without an exit status; was it killed?"),
    ],
)
def test_how_an_app_ended(
    exit_code: int | None, stopped_for: Any, was_ready: bool, status: str, reason: str | None
) -> None:
    """Semantics S4, S6."""
    end = judge_app_end(exit_code, stopped_for=stopped_for, stop_words="words", was_ready=was_ready, last_line="last")
    assert (end.status, end.exit_code, end.reason) == (status, exit_code, reason)


def failed(*, answered: float | None = None, ended: float = 0, **fields: Any) -> Run:
    """A run that failed so many seconds before noon, and had answered so many seconds before that, or never."""
    ended_at = NOON - timedelta(seconds=ended)
    answered_at = None if answered is None else ended_at - timedelta(seconds=answered)
    return make_run(**{"status": "failed", "ended_at": ended_at, "answered_at": answered_at, **fields})


@pytest.mark.parametrize(
    ("runs", "does"),
    [
        pytest.param([], False, id="an app that has never run"),
        pytest.param([failed()], True, id="one that never answered"),
        pytest.param([failed(ended=599)], True, id="some minutes ago"),
        pytest.param([failed(ended=601)], False, id="long ago"),
        pytest.param([failed(status="completed")], False, id="one that rests"),
        pytest.param([failed(status="cancelled")], False, id="one that was cancelled"),
        pytest.param([failed(answered=3600)], False, id="one that crashed after an hour"),
        pytest.param([failed(answered=5)], False, id="one that crashed at once, once"),
        pytest.param([failed(answered=5), failed(answered=5)], False, id="or twice"),
        pytest.param([failed(answered=5), failed(answered=5), failed(answered=5)], True, id="but not for ever"),
        pytest.param([failed(answered=5), failed(), failed(answered=5)], True, id="whether it answered or not"),
        pytest.param([failed(answered=5), failed(answered=61), failed(answered=5)], False, id="unless one held out"),
        pytest.param([failed(answered=900, reason=MACHINE_RESTARTED)], False, id="one that a reboot ended"),
        pytest.param([failed(reason=MACHINE_RESTARTED)], False, id="one that a reboot ended before it answered"),
    ],
)
def test_a_visit_does_not_start_what_would_only_fail_again(runs: list[Run], does: bool) -> None:
    """Semantics S4: what has answered is started again by a visit."""
    assert holds_back(runs, NOON) is does


def test_an_apps_run_is_outdated_by_newer_code_settings_or_definition() -> None:
    job, deployment, configuration = make_job(), make_deployment(version=3), make_configuration(version=4)
    run = make_run(job, deployment_id=deployment.id, configuration_id=configuration.id)
    assert outdated_reason(run, job, deployment, configuration) is None
    assert outdated_reason(run, job, make_deployment(version=5), configuration) == "replaced by version 5 of the code"
    newer = outdated_reason(run, job, deployment, make_configuration(version=6))
    assert newer == "replaced: there are newer settings, version 6"
    redefined = job.model_copy(update={"version": make_job(version=7).version})
    assert outdated_reason(run, redefined, deployment, configuration) == "replaced by version 7 of the job"
    archived = job.model_copy(update={"archived_at": NOON})
    assert outdated_reason(run, archived, deployment, configuration) == "its job was archived"
