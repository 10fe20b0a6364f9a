"""How jobs depend on each other, and how that is drawn (semantics T4, D3, F, R)."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.graph import (
    Edge,
    EdgeKind,
    dependency_edges,
    find_cycle,
    freshness_deadlock,
    refuse_trigger_cycles,
    upstream_first,
)
from runtime.domain.graph_drawing import GraphFormat, draw_graph
from runtime.domain.jobs import JobDefinition
from runtime.errors import InvalidError
from tests.factories import make_definition

NAMES = "abcdef"

pairs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12)


def edges_of(several: list[tuple[str, str]], kind: EdgeKind = "success") -> list[Edge]:
    return [Edge(kind=kind, source=source, target=target, carries_refresh=True) for source, target in several]


def reach(several: list[tuple[str, str]], origin: str) -> set[str]:
    """Where one gets from `origin` in one step or more."""
    found: set[str] = set()
    for _ in NAMES:
        found |= {target for source, target in several if source in found or source == origin}
    return found


def shop() -> list[JobDefinition]:
    return [
        make_definition("jobs.shop.load", triggers=["schedule:*/5 * * * *"], refresh="always"),
        make_definition(
            "jobs.shop.report",
            triggers=["job.success:jobs.shop.load", "job.fail:jobs.shop.load", "manual:"],
            freshness=["job.is_fresh:jobs.shop.load", "job.is_matching_interval_fresh:jobs.old"],
            refresh="block",
        ),
        make_definition("jobs.alert", triggers=["job.fail:jobs.shop.load"]),
    ]


def test_edges_lead_from_what_happens_to_who_reacts() -> None:
    """Semantics T4, F1, R1: a refresh passes by success and freshness, and not into a job that blocks it."""
    found = [(edge.kind, edge.source, edge.target, edge.carries_refresh) for edge in dependency_edges(shop())]
    assert found == [
        ("success", "jobs.shop.load", "jobs.shop.report", False),
        ("fail", "jobs.shop.load", "jobs.shop.report", False),
        ("freshness", "jobs.shop.load", "jobs.shop.report", False),
        ("freshness", "jobs.old", "jobs.shop.report", False),
        ("fail", "jobs.shop.load", "jobs.alert", False),
    ]
    loose = [definition.model_copy(update={"refresh": "auto"}) for definition in shop()]
    assert [edge.carries_refresh for edge in dependency_edges(loose)] == [True, False, True, True, False]


@given(pairs)
def test_a_cycle_is_found_exactly_if_there_is_one(several: list[tuple[str, str]]) -> None:
    """Semantics T4: and what is found is one."""
    cycle = find_cycle(edges_of(several))
    assert (cycle is not None) == any(name in reach(several, name) for name in NAMES)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(step in several for step in pairwise(cycle))


def test_a_long_chain_is_no_trouble() -> None:
    """However many jobs: no recursion."""
    chain = [(f"jobs.j{number}", f"jobs.j{number + 1}") for number in range(5_000)]
    assert find_cycle(edges_of(chain)) is None
    assert upstream_first(["jobs.j5000", "jobs.j0"], edges_of(chain, "freshness")) == ["jobs.j0", "jobs.j5000"]


def test_jobs_that_trigger_each_other_are_refused_with_the_cycle_spelled_out() -> None:
    """Semantics T4: by success and by failure alike; a job that triggers itself is the smallest case."""
    jobs = [
        make_definition("jobs.a", triggers=["job.success:jobs.c"]),
        make_definition("jobs.b", triggers=["job.fail:jobs.a"]),
        make_definition("jobs.c", triggers=["job.success:jobs.b"]),
    ]
    with pytest.raises(InvalidError, match=r"jobs\.a -> jobs\.b -> jobs\.c -> jobs\.a"):
        refuse_trigger_cycles(jobs)
    with pytest.raises(InvalidError, match=r"jobs\.a -> jobs\.a"):
        refuse_trigger_cycles([make_definition("jobs.a", triggers=["job.fail:jobs.a"])])
    refuse_trigger_cycles(jobs[:2])


def test_gates_may_close_a_circle_of_triggers_but_not_be_one() -> None:
    """Semantics F2: a gate never triggers, so nothing runs without end; a circle of gates alone never opens."""
    jobs = [
        make_definition("jobs.a", freshness=["job.is_fresh:jobs.b"]),
        make_definition("jobs.b", triggers=["job.success:jobs.a"]),
    ]
    refuse_trigger_cycles(jobs)
    assert freshness_deadlock(jobs) is None
    locked = [jobs[0], make_definition("jobs.b", freshness=["job.is_fresh:jobs.a"])]
    assert freshness_deadlock(locked) == ("jobs.a", "jobs.b", "jobs.a")


@given(pairs, pairs, st.permutations(NAMES), st.integers(0, len(NAMES)))
def test_a_batch_is_ordered_upstreams_first(
    gates: list[tuple[str, str]], triggers: list[tuple[str, str]], order: list[str], count: int
) -> None:
    """Semantics D3: through jobs outside the batch too, whatever triggers whom; the same jobs, each once."""
    batch, downhill = order[:count], [(min(gate), max(gate)) for gate in gates if gate[0] != gate[1]]
    ordered = upstream_first(batch, [*edges_of(downhill, "freshness"), *edges_of(triggers)])
    assert sorted(ordered) == sorted(batch)
    for place, name in enumerate(ordered):
        assert not reach(downhill, name).intersection(ordered[:place])
    if not downhill:
        assert ordered == batch
    circular = upstream_first(batch, edges_of(gates, "freshness"))
    assert sorted(circular) == sorted(batch)


@pytest.mark.parametrize("form", ["text", "dot", "mermaid"])
def test_a_drawing_does_not_depend_on_the_order_of_jobs(form: GraphFormat) -> None:
    """So that two drawings can be compared."""
    assert draw_graph(shop(), form) == draw_graph(list(reversed(shop())), form)


def test_a_text_drawing() -> None:
    """Jobs with their schedules, and below each who reacts to it."""
    assert draw_graph(shop(), "text", {"jobs.shop.load": "every:1h"}).splitlines() == [
        "jobs.alert",
        "jobs.shop.load  (every hour (in place of every 5 minutes), refresh always)",
        "  -> jobs.alert  (on failure)",
        "  -> jobs.shop.report  (on failure)",
        "  -> jobs.shop.report  (fresh)",
        "  -> jobs.shop.report  (on success)",
        "jobs.shop.report  (refresh block)",
        "jobs.old  (not deployed)",
        "  -> jobs.shop.report  (fresh)",
    ]


def test_a_dot_drawing() -> None:
    """Graphviz reads it."""
    jobs = [shop()[0], make_definition("jobs.next", triggers=["job.success:jobs.shop.load"])]
    assert draw_graph(jobs, "dot") == "\n".join(
        [
            "digraph jobs {",
            "  rankdir=LR;",
            "  node [shape=box];",
            '  "jobs.next" [label="jobs.next"];',
            '  "jobs.shop.load" [label="jobs.shop.load\\nevery 5 minutes, refresh always"];',
            '  "jobs.shop.load" -> "jobs.next" [label="on success, refresh", style=solid];',
            "}",
        ]
    )


def test_a_mermaid_drawing() -> None:
    """GitHub and many others read it."""
    jobs = [shop()[0], make_definition("jobs.next", freshness=["job.is_fresh:jobs.shop.load"])]
    assert draw_graph(jobs, "mermaid") == "\n".join(
        [
            "flowchart LR",
            '  job1["jobs.next"]',
            '  job2["jobs.shop.load: every 5 minutes, refresh always"]',
            '  job2 -.->|"fresh, refresh"| job1',
        ]
    )


@pytest.mark.parametrize("form", ["text", "dot", "mermaid"])
def test_an_empty_workspace_has_a_drawing_too(form: GraphFormat) -> None:
    """No jobs, no trouble."""
    draw: Callable[[list[JobDefinition], GraphFormat], str] = draw_graph
    assert "jobs." not in draw([], form)
