"""How the jobs of a workspace depend on each other: by triggers, by freshness, by refresh (semantics T4, F, R).

An edge leads from the job that something happens to, to the job that reacts. Everything here keeps the order of the
definitions it is given, so the same deployment is drawn the same way each time.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from runtime.domain.freshness import parse_gate
from runtime.domain.jobs import JobDefinition
from runtime.domain.model import Frozen
from runtime.domain.triggers import parse_trigger
from runtime.errors import InvalidError

EdgeKind = Literal["success", "fail", "freshness"]

_TRIGGERS: dict[str, EdgeKind] = {"job.success": "success", "job.fail": "fail"}


class Edge(Frozen):
    """`target` starts when `source` succeeds or fails, or waits for it to be fresh.

    `carries_refresh`: a refresh of the source reaches the target along this edge (semantics R1).
    """

    kind: EdgeKind
    source: str
    target: str
    carries_refresh: bool


def dependency_edges(definitions: Sequence[JobDefinition]) -> list[Edge]:
    """All edges, by target in the order of definitions, then triggers before gates; sources may be jobs not given."""
    edges: dict[Edge, None] = {}
    for definition in definitions:
        sources: list[tuple[EdgeKind, str]] = [
            (_TRIGGERS[trigger.type], trigger.expression)
            for trigger in map(parse_trigger, definition.declared_triggers)
            if trigger.type in _TRIGGERS
        ]
        sources += [("freshness", parse_gate(text).job_ref) for text in definition.freshness]
        for kind, source in sources:
            passes = kind != "fail" and definition.refresh != "block"
            edges[Edge(kind=kind, source=source, target=definition.job_ref, carries_refresh=passes)] = None
    return list(edges)


def find_cycle(edges: Iterable[Edge]) -> tuple[str, ...] | None:
    """A cycle among the edges as the jobs on it, from the first by name back to it; None if there is none."""
    followers = _followers(edges)
    done: set[str] = set()
    for root in followers:
        path: list[str] = []
        pending = [] if root in done else [iter((root,))]
        while pending:
            step = next(pending[-1], None)
            if step is None:
                pending.pop()
                if path:
                    done.add(path.pop())
            elif step in path:
                cycle = path[path.index(step) :]
                first = cycle.index(min(cycle))
                return (*cycle[first:], *cycle[: first + 1])
            elif step not in done:
                path.append(step)
                pending.append(iter(followers.get(step, ())))
    return None


def refuse_trigger_cycles(definitions: Sequence[JobDefinition]) -> None:
    """See to it that no job, however indirectly, triggers itself: once started, such jobs would never end.

    Raises:
        InvalidError: some do; the message spells the cycle out, `jobs.a -> jobs.b -> jobs.a`.
    """
    cycle = find_cycle(edge for edge in dependency_edges(definitions) if edge.kind != "freshness")
    if cycle:
        raise InvalidError(
            f"these jobs trigger each other without end: {' -> '.join(cycle)}",
            code="job_cycle",
            hint="take one of these `job.success` or `job.fail` triggers away",
        )


def freshness_deadlock(definitions: Sequence[JobDefinition]) -> tuple[str, ...] | None:
    """A cycle of jobs that wait for each other to be fresh, so that none can be the first; None if there is none."""
    return find_cycle(edge for edge in dependency_edges(definitions) if edge.kind == "freshness")


def upstream_first(job_refs: Sequence[str], edges: Iterable[Edge]) -> list[str]:
    """The same jobs, each after those whose freshness it waits for, directly or through others; else as given.

    A batch is decided in this order, so that a gate knows which of its upstreams start (semantics D3). Triggers among
    the jobs do not matter to it. Jobs that wait for each other in a circle come in some order, always the same.
    """
    upstreams: dict[str, list[str]] = {}
    for edge in edges:
        if edge.kind == "freshness":
            upstreams.setdefault(edge.target, []).append(edge.source)
    wanted = set(job_refs)
    ordered: list[str] = []
    seen: set[str] = set()
    for job_ref in job_refs:
        stack = [(job_ref, False)]
        while stack:
            current, is_settled = stack.pop()
            if is_settled and current in wanted:
                ordered.append(current)
            elif not is_settled and current not in seen:
                seen.add(current)
                stack.append((current, True))
                stack += [(upstream, False) for upstream in reversed(upstreams.get(current, []))]
    return ordered


def _followers(edges: Iterable[Edge]) -> dict[str, list[str]]:
    followers: dict[str, list[str]] = {}
    for edge in edges:
        followers.setdefault(edge.source, []).append(edge.target)
    return followers
