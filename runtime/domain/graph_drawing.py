"""The dependency graph as text, as Graphviz dot and as Mermaid: the same input gives the same drawing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from runtime.domain.graph import Edge, EdgeKind, dependency_edges
from runtime.domain.jobs import JobDefinition
from runtime.domain.schedules import describe_schedule

GraphFormat = Literal["text", "dot", "mermaid"]

_LABELS: dict[EdgeKind, str] = {"success": "on success", "fail": "on failure", "freshness": "fresh"}
_DOT_STYLES: dict[EdgeKind, str] = {"success": "solid", "fail": "dashed", "freshness": "dotted"}
_MERMAID_ARROWS: dict[EdgeKind, str] = {"success": "-->", "fail": "--x", "freshness": "-.->"}


def draw_graph(
    definitions: Sequence[JobDefinition], form: GraphFormat, overrides: Mapping[str, str] | None = None
) -> str:
    """Draw the jobs and what connects them, sorted by reference; edges that carry a refresh say so.

    Args:
        overrides: Schedules set by operators, by job reference.
    """
    ordered = sorted(definitions, key=lambda definition: definition.job_ref)
    edges = sorted(dependency_edges(ordered), key=lambda edge: (edge.source, edge.target, edge.kind))
    notes = {definition.job_ref: _note(definition, (overrides or {}).get(definition.job_ref)) for definition in ordered}
    for edge in edges:
        notes.setdefault(edge.source, "not deployed")
    return _DRAWINGS[form](notes, edges)


def _note(definition: JobDefinition, override: str | None) -> str:
    refresh = "" if definition.refresh == "auto" else f"refresh {definition.refresh}"
    return ", ".join(part for part in (describe_schedule(definition, override), refresh) if part)


def _edge_label(edge: Edge) -> str:
    return f"{_LABELS[edge.kind]}, refresh" if edge.carries_refresh else _LABELS[edge.kind]


def _text(notes: Mapping[str, str], edges: Sequence[Edge]) -> str:
    lines: list[str] = []
    for job_ref, note in notes.items():
        lines.append(f"{job_ref}  ({note})" if note else job_ref)
        lines += [f"  -> {edge.target}  ({_edge_label(edge)})" for edge in edges if edge.source == job_ref]
    return "\n".join(lines)


def _dot(notes: Mapping[str, str], edges: Sequence[Edge]) -> str:
    def quote(*parts: str) -> str:
        escaped = (part.replace("\\", "\\\\").replace('"', '\\"') for part in parts if part)
        return '"' + "\\n".join(escaped) + '"'

    lines = ["digraph jobs {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {quote(job_ref)} [label={quote(job_ref, note)}];" for job_ref, note in notes.items()]
    lines += [
        f"  {quote(edge.source)} -> {quote(edge.target)} "
        f"[label={quote(_edge_label(edge))}, style={_DOT_STYLES[edge.kind]}];"
        for edge in edges
    ]
    return "\n".join([*lines, "}"])


def _mermaid(notes: Mapping[str, str], edges: Sequence[Edge]) -> str:
    def quote(text: str) -> str:
        return '"' + text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;") + '"'

    names = {job_ref: f"job{number}" for number, job_ref in enumerate(notes, start=1)}
    lines = ["flowchart LR"]
    lines += [
        f"  {names[job_ref]}[{quote(f'{job_ref}: {note}' if note else job_ref)}]" for job_ref, note in notes.items()
    ]
    lines += [
        f"  {names[edge.source]} {_MERMAID_ARROWS[edge.kind]}|{quote(_edge_label(edge))}| {names[edge.target]}"
        for edge in edges
    ]
    return "\n".join(lines)


_DRAWINGS: dict[GraphFormat, Callable[[Mapping[str, str], Sequence[Edge]], str]] = {
    "text": _text,
    "dot": _dot,
    "mermaid": _mermaid,
}
