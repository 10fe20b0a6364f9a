"""Job references and what people type instead (semantics J1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.refs import job_label, resolve_job_ref, short_name, split_job_ref
from runtime.errors import ConflictError, InvalidError, NotFoundError
from tests import oracle

identifiers = st.sampled_from(["load", "shop", "a", "b", "jobs", "early_fruit", "früchte", "load-shop"])
refs = st.one_of(
    st.builds("jobs.{}".format, identifiers),
    st.builds("jobs.{}.{}".format, identifiers, identifiers),
)
typed = st.one_of(
    identifiers,
    st.builds("{}.{}".format, identifiers, identifiers),
    refs,
    st.builds(" {} ".format, identifiers),
    st.builds("{}.{}.{}".format, identifiers, identifiers, identifiers),
    st.text(".ab jobs", max_size=8),
)


def ours(text: str, known: list[str]) -> str:
    """The answer, or the kind of refusal."""
    try:
        return resolve_job_ref(text, known)
    except ConflictError:
        return "ambiguous"
    except (NotFoundError, InvalidError):
        return "none"


def theirs(text: str, known: list[str]) -> str:
    try:
        return str(oracle.job_ref.resolve_job_ref(text, known))
    except oracle.exceptions.AmbiguousJobRef:
        return "ambiguous"
    except (oracle.exceptions.JobRefNotFound, oracle.exceptions.InvalidJobRef):
        return "none"


@given(typed, st.lists(refs, max_size=5, unique=True))
def test_a_text_means_the_job_the_sdk_finds(text: str, known: list[str]) -> None:
    """Semantics J1."""
    assert ours(text, known) == theirs(text, known)


@given(refs)
def test_a_reference_splits_as_in_the_sdk(ref: str) -> None:
    """Semantics J1; where the SDK has an empty section, we have none."""
    section, name = split_job_ref(ref)
    assert (section or "", name) == oracle.job_ref.parse_job_ref(ref)
    assert short_name(ref) == oracle.job_ref.short_name(ref) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "load",
        "shop.load",
        "job.load",
        "jobs",
        "jobs.",
        "jobs..load",
        "jobs.a.b.c",
        "jobs.shop.",
        "jobs.a b",
        "jobs.a/b",
        "jobs.../x",
        "jobs.load\n",
        "jobs.py",
        "jobs.py.load",
        "jobs.shop.py",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    """Semantics J1; references become parts of paths and addresses, so more is refused than by the SDK."""
    with pytest.raises(InvalidError, match=r"job reference|reserved"):
        split_job_ref(text)


@given(refs, st.sampled_from([None, "", "Fruit, daily"]), st.sampled_from([None, "", "fruits"]))
def test_labels_read_as_in_the_sdk(ref: str, display_name: str | None, pipeline_name: str | None) -> None:
    """Semantics J1."""
    expected = oracle.job_ref.format_job_label(ref, {"display_name": display_name}, {"pipeline_name": pipeline_name})
    assert job_label(ref, display_name, pipeline_name) == expected


KNOWN = ["jobs.shop.load", "jobs.shop.check", "jobs.archive.load", "jobs.shop_script", "jobs.load-shop"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("check", "jobs.shop.check"),
        ("shop.load", "jobs.shop.load"),
        ("jobs.archive.load", "jobs.archive.load"),
        ("shop_script.py", "jobs.shop_script"),
        ("./scripts/shop_script.py", "jobs.shop_script"),
        ("load-shop.py", "jobs.load-shop"),
        ("  check ", "jobs.shop.check"),
    ],
)
def test_people_may_say_it_shorter(text: str, expected: str) -> None:
    """Semantics J1."""
    assert resolve_job_ref(text, KNOWN) == expected


def test_an_ambiguous_name_lists_its_candidates() -> None:
    """Semantics J1."""
    with pytest.raises(ConflictError, match=r"jobs\.archive\.load, jobs\.shop\.load"):
        resolve_job_ref("load", KNOWN)


@given(st.text(max_size=20), st.lists(refs, max_size=3))
def test_any_text_finds_a_known_job_or_is_refused(text: str, known: list[str]) -> None:
    """Semantics J1: no text crashes the search."""
    assert ours(text, known) in {*known, "ambiguous", "none"}
