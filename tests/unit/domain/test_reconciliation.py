"""What a manifest changes in a workspace's jobs (semantics J3)."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.jobs import Job, JobDefinition
from runtime.domain.reconcile import Plan, reconcile
from runtime.errors import InvalidError
from tests.factories import NOW, make_definition, make_job, make_requirements

MODULE = "__deployment__"


def by_ref(*jobs: Job) -> Mapping[str, Job]:
    return {job.job_ref: job for job in jobs}


def refs(definitions: Sequence[JobDefinition]) -> list[str]:
    return [definition.job_ref for definition in definitions]


def test_a_manifest_adds_updates_keeps_and_archives() -> None:
    """Semantics J3."""
    old = [make_job(make_definition(ref)) for ref in ("jobs.kept", "jobs.changed", "jobs.gone")]
    wanted = [
        make_definition("jobs.new"),
        make_definition("jobs.changed", description="x"),
        make_definition("jobs.kept"),
    ]
    plan = reconcile(wanted, by_ref(*old), MODULE)
    assert refs(plan.added) == ["jobs.new"]
    assert refs(plan.updated) == ["jobs.changed"]
    assert plan.unchanged == ("jobs.kept",)
    assert plan.archived == ("jobs.gone",)


def test_an_ad_hoc_deploy_archives_nothing() -> None:
    """Semantics J3: `deployment_module` null adds and updates."""
    actual = by_ref(make_job(make_definition("jobs.a")), make_job(make_definition("jobs.b"), deployment_module=None))
    plan = reconcile([make_definition("jobs.c"), make_definition("jobs.a", description="x")], actual, None)
    assert (refs(plan.added), refs(plan.updated), plan.archived) == (["jobs.c"], ["jobs.a"], ())


def test_an_ad_hoc_launch_of_an_unchanged_job_of_a_module_leaves_it_there() -> None:
    """Semantics J3."""
    plan = reconcile([make_definition("jobs.a")], by_ref(make_job(make_definition("jobs.a"))), None)
    assert plan == Plan(unchanged=("jobs.a",))


def test_only_jobs_of_the_same_module_are_archived() -> None:
    """Semantics J3."""
    actual = by_ref(
        make_job(make_definition("jobs.mine")),
        make_job(make_definition("jobs.theirs"), deployment_module="other"),
        make_job(make_definition("jobs.adhoc"), deployment_module=None),
        make_job(make_definition("jobs.old"), archived_at=NOW),
    )
    assert reconcile([], actual, MODULE).archived == ("jobs.mine",)


def test_a_job_named_by_another_module_moves_there() -> None:
    """Semantics J3: a new version, so that its new module can archive it."""
    actual = by_ref(make_job(make_definition("jobs.a"), deployment_module="other"))
    assert refs(reconcile([make_definition("jobs.a")], actual, MODULE).updated) == ["jobs.a"]


def test_a_single_job_put_into_a_module_moves_there_even_with_the_definition_it_had() -> None:
    """Semantics J3: nothing else of that module is archived by it."""
    actual = by_ref(make_job(make_definition("jobs.a")), make_job(make_definition("jobs.b"), deployment_module="other"))
    plan = reconcile([make_definition("jobs.a")], actual, None, owning_module="other")
    assert (refs(plan.updated), plan.archived) == (["jobs.a"], ())
    assert reconcile([make_definition("jobs.b")], actual, None, owning_module="other").unchanged == ("jobs.b",)


def test_an_archived_job_comes_back_when_it_is_named_again() -> None:
    """Semantics J3: even with the definition it had."""
    actual = by_ref(make_job(make_definition("jobs.a"), archived_at=NOW))
    for module in (MODULE, None):
        assert refs(reconcile([make_definition("jobs.a")], actual, module).updated) == ["jobs.a"]


def test_a_job_declared_twice_is_refused() -> None:
    """Semantics J1: a reference is unique."""
    with pytest.raises(InvalidError, match=r"`jobs\.a` is declared twice"):
        reconcile([make_definition("jobs.a"), make_definition("jobs.b"), make_definition("jobs.a")], {}, MODULE)


@pytest.mark.parametrize("event", ["job.success", "job.fail"])
def test_waiting_for_a_job_there_is_not_is_refused(event: str) -> None:
    """Semantics T4: in the manifest or in the workspace."""
    waits = make_definition("jobs.down", triggers=[f"{event}:jobs.up"])
    with pytest.raises(InvalidError, match=r"`jobs\.down` waits for `jobs\.up`"):
        reconcile([waits], {}, MODULE)
    up = make_definition("jobs.up")
    assert len(reconcile([waits, up], {}, MODULE).added) == 2
    assert reconcile([waits], by_ref(make_job(up, deployment_module="other")), MODULE)


@pytest.mark.parametrize("archived", [True, False])
def test_waiting_for_a_job_that_is_or_becomes_archived_is_refused(archived: bool) -> None:
    """Semantics J3, T4: an archived job never settles."""
    up = make_job(make_definition("jobs.up"), archived_at=NOW if archived else None)
    with pytest.raises(InvalidError, match="waits for"):
        reconcile([make_definition("jobs.down", triggers=["job.success:jobs.up"])], by_ref(up), MODULE)


def test_freshness_on_a_job_there_is_not_is_refused() -> None:
    """Semantics F1."""
    with pytest.raises(InvalidError, match=r"waits for `jobs\.up`"):
        reconcile([make_definition("jobs.down", freshness=["job.is_fresh:jobs.up"])], {}, MODULE)


def test_an_unknown_group_is_a_warning_for_each_job() -> None:
    """Semantics J7: at deploy time a warning, not a refusal."""
    wanted = [make_definition("jobs.a", require={"dependency_groups": ["main", "gpu"]}), make_definition("jobs.b")]
    plan = reconcile(wanted, {}, MODULE, make_requirements())
    assert len(plan.added) == 2
    assert len(plan.warnings) == 1
    assert "jobs.a" in plan.warnings[0]
    assert "`gpu`" in plan.warnings[0]
    assert reconcile(wanted, {}, MODULE).warnings == ()


names = st.sampled_from([f"jobs.{letter}" for letter in "abcdef"])
descriptions = st.sampled_from([None, "x", "y"])
modules = st.sampled_from([None, MODULE, "other"])
wanted_jobs = st.dictionaries(names, descriptions).map(
    lambda chosen: [make_definition(ref, description=text) for ref, text in chosen.items()]
)


@st.composite
def workspaces(draw: st.DrawFn) -> Mapping[str, Job]:
    jobs = [
        make_job(definition, deployment_module=draw(modules), archived_at=draw(st.sampled_from([None, NOW])))
        for definition in draw(wanted_jobs)
    ]
    return by_ref(*jobs)


def carry_out(plan: Plan, actual: Mapping[str, Job], module: str | None) -> Mapping[str, Job]:
    """The workspace after a deploy."""
    after = dict(actual)
    for definition in (*plan.added, *plan.updated):
        present = actual.get(definition.job_ref)
        kept = module or (present.version.deployment_module if present else None)
        after[definition.job_ref] = make_job(definition, deployment_module=kept)
    for ref in plan.archived:
        after[ref] = actual[ref].model_copy(update={"archived_at": NOW})
    return after


@given(wanted_jobs, workspaces(), modules)
def test_every_wanted_job_has_one_fate_and_is_alive_afterwards(
    wanted: list[JobDefinition], actual: Mapping[str, Job], module: str | None
) -> None:
    """Semantics J3."""
    plan = reconcile(wanted, actual, module)
    fates = [*refs(plan.added), *refs(plan.updated), *plan.unchanged]
    assert sorted(fates) == sorted(refs(wanted))
    assert not set(plan.archived) & set(fates)
    after = carry_out(plan, actual, module)
    for definition in wanted:
        assert after[definition.job_ref].archived_at is None
        assert after[definition.job_ref].version.definition == definition
    if module is not None:
        alive = {ref for ref, job in after.items() if not job.archived_at and job.version.deployment_module == module}
        assert alive == set(refs(wanted))


@given(wanted_jobs, workspaces(), modules)
def test_deploying_twice_changes_nothing_the_second_time(
    wanted: list[JobDefinition], actual: Mapping[str, Job], module: str | None
) -> None:
    """Semantics J2, J3."""
    after = carry_out(reconcile(wanted, actual, module), actual, module)
    again = reconcile(wanted, after, module)
    assert (again.added, again.updated, again.archived) == ((), (), ())
