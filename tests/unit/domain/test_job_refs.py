"""Job references (semantics J1); what people type instead is the command line's matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.refs import job_label, short_name, split_job_ref
from runtime.errors import InvalidError
from tests import oracle

identifiers = st.sampled_from(["load", "shop", "a", "b", "jobs", "early_fruit", "früchte", "load-shop"])
refs = st.one_of(
    st.builds("jobs.{}".format, identifiers),
    st.builds("jobs.{}.{}".format, identifiers, identifiers),
)


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
