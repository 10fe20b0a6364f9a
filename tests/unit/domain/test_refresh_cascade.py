"""Refresh: whom it reaches and when it is spent (semantics R1, R2), with the SDK as the oracle."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.jobs import JobDefinition, normalise_definition
from runtime.domain.refresh import refresh_targets, run_refreshes, settle_refresh
from runtime.domain.runs import FINAL_STATUSES, RunStatus
from tests import scheduling_oracle as sdk
from tests.factories import make_definition, make_raw_definition

NAMES = "abcdefg"
POLICIES = ["auto", "auto", "auto", "always", "block"]

links = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(["job.is_fresh", "job.success", "job.fail"])
    ),
    max_size=14,
)
policies = st.lists(st.sampled_from(POLICIES), min_size=len(NAMES), max_size=len(NAMES))


def raw_workspace(edges: list[tuple[str, str, str]], refresh: list[str], **fields: Any) -> dict[str, dict[str, Any]]:
    """Jobs `jobs.a` to `jobs.g` as a manifest has them; an edge is (upstream, downstream, how)."""

    def of(target: str, *kinds: str) -> list[str]:
        return [f"{kind}:jobs.{source}" for source, downstream, kind in edges if downstream == target and kind in kinds]

    return {
        f"jobs.{name}": make_raw_definition(
            f"jobs.{name}",
            freshness=of(name, "job.is_fresh"),
            triggers=of(name, "job.success", "job.fail"),
            refresh=policy,
            **fields,
        )
        for name, policy in zip(NAMES, refresh, strict=True)
    }


def workspace(edges: list[tuple[str, str, str]], refresh: list[str], **fields: Any) -> list[JobDefinition]:
    """The same, normalised."""
    return [normalise_definition(raw, 1) for raw in raw_workspace(edges, refresh, **fields).values()]


@given(links, policies, st.sampled_from(NAMES))
def test_a_refresh_reaches_what_the_sdk_says_in_the_same_order(
    edges: list[tuple[str, str, str]], refresh: list[str], origin: str
) -> None:
    """Semantics R1: all with a way to them that no `block` bars, cycles and all.

    On purpose further than the SDK, which follows freshness only: we follow `job.success` too, so it is shown such
    edges as freshness here.
    """
    found = refresh_targets(f"jobs.{origin}", workspace(edges, refresh))
    passing = [(source, target, "job.is_fresh") for source, target, kind in edges if kind != "job.fail"]
    assert found == sdk.freshness.get_refresh_cascade_targets(f"jobs.{origin}", raw_workspace(passing, refresh))

    blocked = {name for name, policy in zip(NAMES, refresh, strict=True) if policy == "block"}
    reached = {origin}
    for _ in NAMES:
        reached |= {target for source, target, _ in passing if source in reached and target not in blocked}
    assert set(found) == {f"jobs.{name}" for name in reached - {origin}}


def test_jobs_that_keep_intervals_are_reached_too() -> None:
    """Semantics R1: as dlt 1.31 has it; 1.26 left them, and all behind them, out."""
    definitions = workspace(
        [("a", "b", "job.is_fresh"), ("b", "c", "job.is_fresh")],
        ["auto"] * len(NAMES),
        interval={"start": "2026-01-01"},
        allow_external_schedulers=True,
    )
    assert refresh_targets("jobs.a", definitions) == ["jobs.b", "jobs.c"]
    raw = {definition.job_ref: definition.raw for definition in definitions}
    assert sdk.freshness.get_refresh_cascade_targets("jobs.a", raw) == []


@pytest.mark.parametrize("engine", [1, 2])
def test_the_policy_is_read_from_either_engine(engine: int) -> None:
    """Semantics J5, R1."""
    policy: dict[str, Any] = {"refresh" if engine == 1 else "refresh_propagation": "block"}
    jobs = [
        make_definition("jobs.a"),
        make_definition("jobs.b", engine=engine, freshness=["job.is_fresh:jobs.a"], **policy),
        make_definition("jobs.c", freshness=["job.is_fresh:jobs.b"]),
    ]
    assert refresh_targets("jobs.a", jobs) == []


def test_an_origin_that_is_not_deployed_reaches_its_downstream_all_the_same() -> None:
    """Semantics R1."""
    assert refresh_targets("jobs.z", [make_definition("jobs.a", freshness=["job.is_fresh:jobs.z"])]) == ["jobs.a"]


@pytest.mark.parametrize(
    ("policy", "requested", "pending", "refreshes", "warns"),
    [
        ("auto", False, False, False, False),
        ("auto", True, False, True, False),
        ("auto", False, True, True, False),
        ("always", False, False, True, False),
        ("block", False, False, False, False),
        ("block", True, False, False, True),
    ],
)
def test_whether_a_run_carries_the_signal(
    policy: str, requested: bool, pending: bool, refreshes: bool, warns: bool
) -> None:
    """Semantics R1: `always` and `block` as the SDK's local runner has them."""
    found = run_refreshes(make_definition(refresh=policy), requested=requested, pending=pending)
    assert (found.refresh, found.warning is not None) == (refreshes, warns)


@pytest.mark.parametrize(
    ("status", "run_refresh", "pending"), list(product(sorted(FINAL_STATUSES), (True, False), (True, False)))
)
def test_a_refresh_is_spent_by_a_success_that_carried_it(status: RunStatus, run_refresh: bool, pending: bool) -> None:
    """Semantics R2: not by an attempt; and a run from before the refresh completes nothing."""
    settled = settle_refresh(make_definition(), status, run_refresh=run_refresh, pending=pending)
    succeeded = status == "completed"
    assert settled.moves_mark == (succeeded and (run_refresh or not pending))
    assert settled.is_pending == (pending and not (succeeded and run_refresh))
    assert not settled.originates


def test_only_a_success_of_an_always_job_originates() -> None:
    """Semantics R1."""
    backfill = make_definition(refresh="always")
    assert settle_refresh(backfill, "completed", run_refresh=True, pending=False).originates
    assert not settle_refresh(backfill, "failed", run_refresh=True, pending=False).originates


@given(st.lists(st.sampled_from(["refresh", "start", "succeed", "fail"]), max_size=30))
def test_the_signal_lasts_until_a_run_that_began_after_it_succeeds(events: list[str]) -> None:
    """Semantics R2: through any history of one job whose runs do not overlap."""
    definition, pending, running, refreshed_since_start = make_definition(), False, False, False
    owed, is_active = False, False
    for event in events:
        if event == "refresh":
            pending = owed = True
            refreshed_since_start = refreshed_since_start or is_active
        elif event == "start" and not is_active:
            running = run_refreshes(definition, requested=False, pending=pending).refresh
            is_active, refreshed_since_start = True, False
            assert running == owed
        elif event in ("succeed", "fail") and is_active:
            is_active = False
            status: RunStatus = "completed" if event == "succeed" else "failed"
            settled = settle_refresh(definition, status, run_refresh=running, pending=pending)
            pending = settled.is_pending
            if event == "succeed" and running:
                owed = False
            assert not (settled.moves_mark and refreshed_since_start and not running)
        assert pending == owed
