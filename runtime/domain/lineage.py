"""Where the data of a workspace comes from: jobs start jobs, jobs run pipelines, pipelines load datasets.

Jobs and what starts them are as deployed; which job runs which pipeline is what its newest loads have told.
"""

from collections.abc import Sequence
from typing import Literal

from runtime.domain.graph import EdgeKind, dependency_edges
from runtime.domain.jobs import JobDefinition
from runtime.domain.model import Frozen
from runtime.domain.pipelines import Pipeline

NodeKind = Literal["job", "pipeline", "dataset"]
LinkKind = EdgeKind | Literal["runs", "loads"]


class Node(Frozen):
    """One thing. `profile` is that of pipelines and datasets, `destination` where a dataset is."""

    id: str
    kind: NodeKind
    name: str
    profile: str | None = None
    destination: str | None = None


class Link(Frozen):
    """`source` leads to `target`, both by their ids."""

    kind: LinkKind
    source: str
    target: str


class Lineage(Frozen):
    """Nodes by kind and name, links by source and target."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


def trace_lineage(definitions: Sequence[JobDefinition], loaded: Sequence[tuple[str, Pipeline]]) -> Lineage:
    """Put together what is known.

    Args:
        definitions: The live jobs.
        loaded: Pairs of a job's reference and a pipeline that it has run. Jobs that are gone are left out, their
            pipelines are not: the data is still there.
    """
    nodes = [_job(definition.job_ref) for definition in definitions]
    links = [
        Link(kind=edge.kind, source=_job(edge.source).id, target=_job(edge.target).id)
        for edge in dependency_edges(definitions)
    ]
    nodes += [_job(edge.source) for edge in dependency_edges(definitions)]  # also those that are not deployed
    known = {node.id for node in nodes}
    for job_ref, pipeline in loaded:
        node, dataset = _pipeline(pipeline), _dataset(pipeline)
        nodes.append(node)
        if _job(job_ref).id in known:
            links.append(Link(kind="runs", source=_job(job_ref).id, target=node.id))
        if dataset is not None:
            nodes.append(dataset)
            links.append(Link(kind="loads", source=node.id, target=dataset.id))
    order: tuple[NodeKind, ...] = ("job", "pipeline", "dataset")
    return Lineage(
        nodes=tuple(sorted(set(nodes), key=lambda node: (order.index(node.kind), node.id))),
        links=tuple(sorted(set(links), key=lambda link: (link.source, link.target, link.kind))),
    )


def _job(job_ref: str) -> Node:
    return Node(id=f"job/{job_ref}", kind="job", name=job_ref)


def _pipeline(pipeline: Pipeline) -> Node:
    return Node(
        id=f"pipeline/{pipeline.profile}/{pipeline.name}", kind="pipeline", name=pipeline.name, profile=pipeline.profile
    )


def _dataset(pipeline: Pipeline) -> Node | None:
    """Profiles have settings of their own, so a dataset of the same name is another one."""
    if pipeline.dataset_name is None:
        return None
    destination = pipeline.destination_name or pipeline.destination_type
    return Node(
        id=f"dataset/{pipeline.profile}/{destination or ''}/{pipeline.dataset_name}",
        kind="dataset",
        name=pipeline.dataset_name,
        profile=pipeline.profile,
        destination=destination,
    )
