"""Selectors and the choice of a trigger agree with the SDK (semantics T5)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.triggers import (
    JOB_TYPE_SELECTORS,
    TRIGGER_TYPES,
    default_trigger,
    is_selector,
    match_selectors,
    pick_trigger,
)
from tests import oracle
from tests.factories import make_definition, make_raw_definition

TRIGGERS = [
    "schedule:0 8 * * *",
    "every:5m",
    "once:2026-01-01T00:00:00+00:00",
    "http:",
    "http:8080/app",
    "job.success:jobs.shop.load",
    "job.fail:jobs.shop.load",
    "deployment:",
    "webhook:/orders",
    "tag:nightly",
    "tag:Nightly",
    "manual:jobs.shop.load",
    "pipeline_name:fruits",
]
job_types = st.sampled_from(["batch", "interactive", "stream"])
trigger_lists = st.lists(st.sampled_from(TRIGGERS), max_size=6, unique=True)
patterns = st.text("abn*?[]!:.jobstag", max_size=8)
selectors = st.one_of(
    st.sampled_from([*TRIGGER_TYPES, *JOB_TYPE_SELECTORS, *(f"{kind}:" for kind in TRIGGER_TYPES)]),
    st.sampled_from(TRIGGERS),
    st.builds("{}:{}".format, st.sampled_from(TRIGGER_TYPES), patterns),
    patterns,
)


@given(job_types, trigger_lists, st.lists(selectors, max_size=4))
def test_selectors_match_what_the_sdk_matches(job_type: str, triggers: list[str], chosen: list[str]) -> None:
    """Semantics T5: same triggers, in the same order."""
    theirs = oracle.trigger_helpers.match_triggers_with_selectors(job_type, triggers, chosen)
    assert match_selectors(job_type, triggers, chosen) == theirs


@given(st.one_of(selectors, st.text(max_size=10)))
def test_a_selector_is_told_from_a_job_name_as_the_sdk_does(text: str) -> None:
    """Semantics T5."""
    assert is_selector(text) == oracle.trigger_helpers.is_selector(text)


@given(trigger_lists, st.one_of(st.none(), st.sampled_from(TRIGGERS)))
def test_a_run_records_the_trigger_that_the_sdk_picks(matched: list[str], default: str | None) -> None:
    """Semantics T5."""
    assert pick_trigger(matched, default) == oracle.trigger_helpers.pick_trigger(matched, default)


@given(trigger_lists)
def test_the_default_trigger_of_engine_1_is_the_sdks(triggers: list[str]) -> None:
    """Semantics J5."""
    raw = make_raw_definition(triggers=triggers)
    assert default_trigger(triggers) == oracle.manifest.compute_default_trigger(raw)


@pytest.mark.parametrize(
    ("triggers", "expected"),
    [
        ([], None),
        (["job.success:jobs.a"], None),
        (["job.fail:jobs.a", "tag:x"], "tag:x"),
        (["manual:jobs.a", "deployment:", "webhook:/x"], "webhook:/x"),
        (["job.success:jobs.a", "schedule:@daily"], "schedule:@daily"),
        (["http:", "every:5m"], "every:5m"),
    ],
)
def test_events_are_never_the_default_trigger_of_engine_2(triggers: list[str], expected: str | None) -> None:
    """Semantics J5: the newer SDK never picks `job.success` or `job.fail`."""
    assert default_trigger(triggers, events_may_be_default=False) == expected


@given(
    st.lists(st.sampled_from(TRIGGERS[1:]), max_size=4, unique=True),
    st.lists(st.sampled_from(["nightly", "shop", "a b", "é"]), max_size=4),
    st.booleans(),
    st.sampled_from([None, "fruits", "other"]),
)
def test_triggers_expand_as_the_sdk_expands_them(
    triggers: list[str], tags: list[str], manual: bool, pipeline_name: str | None
) -> None:
    """Semantics T5: tags, `manual:` and the pipeline's name, each once and in the SDK's order."""
    fields: dict[str, Any] = {
        "triggers": triggers,
        "expose": {"tags": tags, "manual": manual},
        "deliver": {"pipeline_name": pipeline_name} if pipeline_name else {},
    }
    raw = make_raw_definition(job_type="stream", **fields)
    assert make_definition(job_type="stream", **fields).triggers == oracle.manifest.expand_triggers(raw)


def test_a_job_is_manual_unless_it_says_no() -> None:
    """Semantics T5."""
    assert make_definition().triggers == ["manual:jobs.shop.load"]
    assert make_definition(expose={"manual": False}).triggers == []


def test_one_tag_may_be_written_as_a_plain_text() -> None:
    """Semantics T5: `tags` may be a text or a list, by the SDK's own type."""
    assert make_definition(expose={"tags": "nightly", "manual": False}).triggers == ["tag:nightly"]
