"""What people call jobs by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.selectors import JOB_TYPES, TRIGGER_TYPES, candidates, is_selector, matching_triggers, the_one
from runtime.errors import InvalidError, NotFoundError
from tests import oracle

KNOWN = ["jobs.shop.load", "jobs.shop.check", "jobs.other.load", "jobs.lonely"]
TRIGGERS = ["schedule:0 8 * * *", "tag:ingest", "manual:jobs.shop.load"]


@pytest.mark.parametrize("word", [*sorted(JOB_TYPES | TRIGGER_TYPES), "job", "tag:x", "manual:"])
def test_types_and_words_with_a_colon_are_selectors(word: str) -> None:
    assert is_selector(word)


@pytest.mark.parametrize("word", ["load", "shop.load", "jobs.shop.load", "shop/load.py"])
def test_everything_else_is_a_name(word: str) -> None:
    assert not is_selector(word)


@pytest.mark.parametrize(
    ("selector", "matched"),
    [
        ("schedule", TRIGGERS[:1]),
        ("schedule:", TRIGGERS[:1]),
        ("schedule:*", TRIGGERS[:1]),
        ("tag:in*", TRIGGERS[1:2]),
        ("tag:IN*", []),
        ("manual:jobs.shop.*", TRIGGERS[2:]),
        ("batch", TRIGGERS),
        ("job", TRIGGERS),
        ("interactive", []),
        ("stream", []),
    ],
)
def test_selectors_match_triggers_as_the_daemon_does(selector: str, matched: list[str]) -> None:
    """(semantics T5)"""
    assert matching_triggers(selector, "batch", TRIGGERS) == matched


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("check", ["jobs.shop.check"]),
        ("load", ["jobs.shop.load", "jobs.other.load"]),
        ("shop.load", ["jobs.shop.load"]),
        ("jobs.shop.load", ["jobs.shop.load"]),
        ("jobs.lonely", ["jobs.lonely"]),
        ("sub/lonely.py", ["jobs.lonely"]),
        ("lonely.PY", ["jobs.lonely"]),
        (" check ", ["jobs.shop.check"]),
        ("nothing", []),
    ],
)
def test_a_name_means_the_jobs_that_end_in_it(text: str, expected: list[str]) -> None:
    """(semantics J1)"""
    assert candidates(text, KNOWN) == expected


identifiers = st.sampled_from(["load", "shop", "a", "b", "jobs", "early_fruit", "früchte", "load-shop"])
refs = st.one_of(st.builds("jobs.{}".format, identifiers), st.builds("jobs.{}.{}".format, identifiers, identifiers))
typed = st.one_of(
    identifiers,
    st.builds("{}.{}".format, identifiers, identifiers),
    refs,
    st.builds(" {} ".format, identifiers),
    st.builds("{}.{}.{}".format, identifiers, identifiers, identifiers),
    st.text(".ab jobs", max_size=8),
    st.text(max_size=20),
)


def theirs(text: str, known: list[str]) -> str:
    """What the SDK makes of a text: a reference, or the kind of its refusal."""
    try:
        return str(oracle.job_ref.resolve_job_ref(text, known))
    except oracle.exceptions.AmbiguousJobRef:
        return "ambiguous"
    except (oracle.exceptions.JobRefNotFound, oracle.exceptions.InvalidJobRef):
        return "none"


@given(typed, st.lists(refs, max_size=5, unique=True))
def test_a_text_means_the_job_the_sdk_finds(text: str, known: list[str]) -> None:
    """(semantics J1)"""
    try:
        ours = the_one(text, known)
    except InvalidError:
        ours = "ambiguous"
    except NotFoundError:
        ours = "none"
    assert ours == theirs(text, known)


def test_an_ambiguous_name_lists_the_candidates() -> None:
    """(semantics J1)"""
    with pytest.raises(InvalidError, match=r"`load` may be any of jobs\.other\.load, jobs\.shop\.load"):
        the_one("load", KNOWN)


def test_an_unknown_name_is_answered_with_those_like_it() -> None:
    with pytest.raises(NotFoundError) as caught:
        the_one("chek", KNOWN)
    assert caught.value.hint == "did you mean `check`?"


def test_an_unknown_name_where_nothing_is_deployed_hints_at_deploying() -> None:
    with pytest.raises(NotFoundError) as caught:
        the_one("chek", [])
    assert caught.value.hint == "nothing is deployed yet: `dlt-runtime deploy`"
