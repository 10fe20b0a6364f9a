"""Reading the job definitions of both manifest engines (semantics J5)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.jobs import live_trigger_refs, normalise_definition
from runtime.errors import InvalidError
from tests import oracle
from tests.factories import make_definition, make_raw_definition

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False),
        st.sampled_from(["", "a", "jobs.a", "jobs.a.b", "../x", "UTC", "prod", "every:5m", "job.success:jobs.a"]),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
FIELDS = {
    "job_ref": [],
    "entry_point": ["module", "function", "job_type", "launcher"],
    "triggers": [],
    "execute": ["timeout", "concurrency", "intercept_signals"],
    "expose": ["tags", "manual", "display_name", "category"],
    "require": ["dependency_groups", "profile", "timezone"],
    "deliver": ["pipeline_name"],
    "interval": ["start", "end"],
    "freshness": [],
    "refresh": [],
    "default_trigger": [],
    "description": [],
    "allow_external_schedulers": [],
    "unheard_of": [],
}


@st.composite
def damaged_definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A good definition in which one field, or a field of a field, holds something else."""
    raw = make_raw_definition(expose={}, require={}, deliver={}, interval={"start": "2026-01-01"})
    field = draw(st.sampled_from(sorted(FIELDS)))
    inner = draw(st.sampled_from([None, *FIELDS[field]]))
    value = draw(json_values)
    if inner is None:
        raw[field] = value
    else:
        raw[field] = {**raw.get(field, {}), inner: value}
    return raw


@given(damaged_definitions(), st.sampled_from([1, 2]))
def test_a_damaged_definition_is_read_or_refused_with_a_sentence(raw: dict[str, Any], engine: int) -> None:
    """Semantics J5: whatever a stranger uploads, the answer is a definition or a 400 that names the job."""
    try:
        definition = normalise_definition(raw, engine)
    except InvalidError as error:
        assert "job" in error.message or "trigger" in error.message  # noqa: PT017
    else:
        assert definition.raw == raw


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_anything_that_is_no_definition_at_all_is_refused(raw: dict[str, Any]) -> None:
    """Semantics J5."""
    with pytest.raises(InvalidError):
        normalise_definition(raw, 1)


@pytest.mark.parametrize("engine", [0, 3, 99, -1])
def test_an_unknown_engine_is_refused_by_name(engine: int) -> None:
    """Semantics J5."""
    with pytest.raises(InvalidError, match=f"engine {engine} is not known") as caught:
        make_definition(engine=engine)
    assert caught.value.hint


def test_unknown_fields_are_kept_and_shown() -> None:
    """Semantics J5."""
    raw = make_raw_definition(colour="green", expose={"starred": True}, agent={"model": "x"})
    assert normalise_definition(raw, 2).raw == raw


def test_what_a_definition_does_not_say_has_the_sdks_defaults() -> None:
    """Semantics S2, D5, T1: 120 minutes, 30 s of grace, one run at a time, UTC."""
    definition = make_definition()
    assert (definition.timeout_seconds, definition.grace_seconds) == (7200, 30)
    assert definition.concurrency == 1
    assert definition.intercept_signals
    assert definition.timezone == "UTC"
    assert definition.refresh == "auto"
    assert definition.is_manual


def test_an_app_ends_at_the_first_signal_unless_it_says_otherwise() -> None:
    assert not make_definition(job_type="interactive").intercept_signals
    assert make_definition(job_type="interactive", execute={"intercept_signals": True}).intercept_signals


def test_only_batch_jobs_have_a_timeout_by_default() -> None:
    """Semantics S2."""
    assert make_definition(job_type="interactive").timeout_seconds is None
    assert make_definition(job_type="stream").timeout_seconds is None
    assert make_definition(job_type="stream", execute={"timeout": {"timeout": 60}}).timeout_seconds == 60


@pytest.mark.parametrize(("execute", "expected"), [({}, 1), ({"concurrency": None}, None), ({"concurrency": 4}, 4)])
def test_absent_concurrency_is_one_and_null_is_unlimited(execute: dict[str, Any], expected: int | None) -> None:
    """Semantics D5."""
    assert make_definition(execute=execute).concurrency == expected


def test_engine_2_says_refresh_and_incremental_mode_in_other_words() -> None:
    """Semantics J5: both engines become one model."""
    old = make_definition(refresh="always", allow_external_schedulers=True)
    new = make_definition(engine=2, refresh_propagation="always", incremental_mode="interval")
    assert (old.refresh, old.allow_external_schedulers) == (new.refresh, new.allow_external_schedulers)
    assert not make_definition(engine=2, incremental_mode="pipeline").allow_external_schedulers


def test_the_default_trigger_is_computed_where_the_manifest_has_none() -> None:
    """Semantics J5: engine 1 may carry it, engine 2 never does and does not pick events."""
    triggers = ["job.success:jobs.other", "every:5m"]
    assert make_definition(triggers=triggers, default_trigger=triggers[0]).default_trigger == triggers[0]
    assert make_definition(triggers=triggers).default_trigger == "every:5m"
    assert make_definition(triggers=triggers[:1]).default_trigger == triggers[0]
    assert make_definition(engine=2, triggers=triggers[:1]).default_trigger is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"triggers": ["every:5m", "schedule:@daily"]}, "only one"),
        ({"triggers": ["http:"]}, "batch"),
        ({"triggers": ["every:5s"]}, "one minute"),
        ({"triggers": [f"schedule:0{',0' * 300} * * * *"]}, "500 characters"),
        ({"description": "x" * 140_000}, "128 KiB"),
        ({"execute": {"concurrency": 0}}, "at least 1"),
        ({"require": {"timezone": "Mars/Olympus"}}, "time zone"),
        ({"require": {"timezone": "../../etc/passwd"}}, "time zone"),
        ({"require": {"profile": "../prod"}}, "required_profile"),
        ({"require": {"profile": "a/b"}}, "required_profile"),
        ({"require": {"profile": ".."}}, "required_profile"),
        ({"require": {"dependency_groups": "main"}}, "dependency_groups"),
        ({"execute": {"timeout": {"timeout": "soon"}}}, "timeout_seconds"),
        ({"refresh": "sometimes"}, "refresh"),
        ({"entry_point": {"module": "shop"}}, "job_type"),
        ({"entry_point": None}, "entry_point|NoneType"),
    ],
)
def test_a_definition_that_cannot_run_is_refused(fields: dict[str, Any], why: str) -> None:
    """Semantics J5, J6, T1, T2, D5: the sentence says what is wrong."""
    with pytest.raises(InvalidError, match=why):
        normalise_definition({**make_raw_definition(), **fields}, 1)


@given(
    st.lists(
        st.sampled_from(
            ["every:5m", "schedule:@daily", "http:", "tag:x", "job.success:jobs.a", "nonsense", "every:1s"]
        ),
        max_size=3,
    ),
    st.sampled_from(["batch", "interactive", "stream"]),
    st.sampled_from(["jobs.a", "jobs.a.b", "jobs.py", "jobs.py.a", "a", "jobs.a.b.c"]),
)
def test_a_definition_is_refused_where_the_sdk_refuses_it(triggers: list[str], job_type: Any, job_ref: str) -> None:
    """Semantics J5: self-contained faults, as the SDK's `validate_job_definition` finds them."""
    raw = make_raw_definition(job_ref, job_type=job_type, triggers=triggers)
    errors = oracle.manifest.validate_job_definition(raw).errors
    if errors:
        with pytest.raises(InvalidError):
            normalise_definition(raw, 1)
    else:
        normalise_definition(raw, 1)


def test_every_job_that_waits_for_an_event_is_found() -> None:
    """Semantics T4."""
    definitions = [
        make_definition("jobs.a", triggers=["job.success:jobs.up"]),
        make_definition("jobs.b", triggers=["job.fail:jobs.up", "job.success:jobs.up"]),
        make_definition("jobs.c", triggers=["job.success:jobs.up_too"]),
    ]
    assert live_trigger_refs(definitions, "job.success", "jobs.up") == ["jobs.a", "jobs.b"]
    assert live_trigger_refs(definitions, "job.fail", "jobs.up") == ["jobs.b"]
