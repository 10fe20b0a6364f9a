"""Which packages a job's environment holds (semantics J7)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.refs import DASHBOARD_JOB_REF
from runtime.domain.requirements import environment_spec, parse_requirements
from runtime.errors import InvalidError
from tests.factories import JOB_LAUNCHER, make_requirements

LAUNCHERS = {JOB_LAUNCHER: ["botocore", "croniter", "dlt==1.26.0", "dlthub", "s3fs"]}


def specs(groups: dict[str, list[str]], *job_groups: str, launcher: str = JOB_LAUNCHER, **fields: Any) -> set[str]:
    requirements = make_requirements(groups=groups, launcher_requirements=LAUNCHERS, **fields)
    return set(environment_spec(requirements, job_groups, launcher).requirements)


def test_an_environment_is_default_groups_own_groups_and_launcher() -> None:
    """Semantics J7."""
    groups = {"main": ["duckdb"], "ml": ["polars>=1"], "unused": ["flask"]}
    assert specs(groups, "ml") == {"duckdb", "polars>=1", "croniter", "dlt==1.26.0"}
    assert specs(groups, default_groups=["main", "ml"]) == specs(groups, "ml")


def test_the_python_is_the_manifests() -> None:
    """Semantics J7."""
    assert environment_spec(make_requirements(python_version="3.13"), (), JOB_LAUNCHER).python_version == "3.13"


def test_proprietary_and_cloud_packages_of_the_launcher_are_left_out() -> None:
    """Semantics J7: `dlthub`, `s3fs` and `botocore` come only if the workspace names them."""
    assert specs({"main": []}) == {"croniter", "dlt==1.26.0"}


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("s3fs>=2024", {"s3fs>=2024", "s3fs"}),
        ("DLTHub", {"DLTHub", "dlthub"}),
        ("botocore[crt]", {"botocore[crt]", "botocore"}),
    ],
)
def test_what_the_workspace_names_itself_is_installed(named: str, kept: set[str]) -> None:
    """Semantics J7: however the name is spelled."""
    assert specs({"main": [named]}) == {"croniter", "dlt==1.26.0"} | kept


def test_a_group_that_the_job_does_not_use_may_name_it_too() -> None:
    """Semantics J7: a group of the workspace names it, whichever."""
    assert "s3fs" in specs({"main": [], "lake": ["s3fs"]})


def test_the_dashboards_own_group_does_not_count_as_naming() -> None:
    """Semantics J7: the SDK synthesises that group, cloud packages included."""
    groups = {"main": [], DASHBOARD_JOB_REF: ["botocore", "dlthub", "marimo", "s3fs"]}
    assert specs(groups) == {"croniter", "dlt==1.26.0"}
    assert specs(groups, DASHBOARD_JOB_REF) == {"croniter", "dlt==1.26.0", "marimo"}


def test_an_unknown_launcher_needs_nothing() -> None:
    """Semantics J7."""
    assert specs({"main": ["duckdb"]}, launcher="my.launcher") == {"duckdb"}


def test_an_unknown_group_says_which_there_are() -> None:
    """Semantics J7, S6."""
    with pytest.raises(InvalidError, match=r"`gpu` is not declared .* declares `main`, `ml`"):
        specs({"main": [], "ml": []}, "gpu")


@given(st.permutations(["a==1", "b", "c>2", "a==1"]), st.permutations(["main", "x", "y"]))
def test_the_specs_are_sorted_and_each_there_once(entries: list[str], order: list[str]) -> None:
    """Semantics J7: equal wishes are equal requests, so one environment serves them."""
    groups = {"main": entries[:2], "x": entries[2:], "y": []}
    spec = environment_spec(make_requirements(groups=groups), order, JOB_LAUNCHER)
    assert spec.requirements == ("a==1", "b", "c>2")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"engine_version": 3}, "engine 3"),
        ({"engine_version": "1"}, "engine 1"),
        ({"python_version": "2.7"}, "python_version"),
        ({"python_version": "3.12.1"}, "python_version"),
        ({"python_version": "3.12\n"}, "python_version"),
        ({"python_version": "3.12; rm"}, "python_version"),
        ({"python_version": None}, "python_version"),
        ({"groups": ["duckdb"]}, "groups"),
        ({"groups": {"main": "duckdb"}}, "groups.main"),
        ({"groups": {"main": ["-e ."]}}, "-e ."),
        ({"groups": {"main": ["--index-url=https://example.org"]}}, "PEP 508"),
        ({"groups": {"main": ["duckdb\n--index-url https://example.org"]}}, "PEP 508"),
        ({"launcher_requirements": {"x": ["not a requirement"]}}, "PEP 508"),
    ],
)
def test_a_requirements_document_that_is_none_is_refused(document: dict[str, Any], why: str) -> None:
    """Semantics J7: nothing but PEP 508 ever reaches uv, so no option can be smuggled in."""
    with pytest.raises(InvalidError, match=why):
        parse_requirements({"engine_version": 1, "python_version": "3.12", "groups": {"main": []}, **document})


def test_a_document_without_python_version_is_refused() -> None:
    """Semantics J7."""
    with pytest.raises(InvalidError, match="python_version"):
        parse_requirements({"groups": {"main": []}})


def test_both_engines_are_read_and_unknown_fields_ignored() -> None:
    """Semantics J5: engine 2 adds `dlt_version`."""
    assert make_requirements(engine_version=2, dlt_version="1.29.0", surprise=[1]).engine_version == 2
    assert make_requirements().default_groups == ("main",)


@given(
    st.dictionaries(
        st.sampled_from(["engine_version", "python_version", "groups", "default_groups"]),
        st.text() | st.lists(st.text()),
    )
)
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    """Semantics J7: a stranger's upload crashes nothing."""
    try:
        parse_requirements(document)
    except InvalidError as error:
        assert "requirements" in error.message  # noqa: PT017
