"""Refresh: a signal to load data anew, and the jobs it reaches (semantics R1, R2).

It starts with `--refresh`, or with a success of a job that says `refresh="always"`, and clears the last-completed mark
of every job downstream. A job whose mark was cleared has a refresh *pending*: its next runs carry the signal until one
of them succeeds.
"""

from collections.abc import Sequence

from runtime.domain.graph import Edge, dependency_edges
from runtime.domain.jobs import JobDefinition
from runtime.domain.model import Frozen
from runtime.domain.runs import RunStatus


class Refreshing(Frozen):
    """Whether a run carries the signal; `warning` says why one that was asked for does not."""

    refresh: bool
    warning: str | None = None


class RefreshSettlement(Frozen):
    """What the end of a run means for its job's marks.

    `moves_mark`: what it covered is completed (pointer, last-completed mark or interval store). `is_pending`: a refresh
    still waits for a success. `originates`: the signal goes out to all downstream, before any followup starts.
    """

    moves_mark: bool
    is_pending: bool
    originates: bool


def refresh_targets(origin: str, definitions: Sequence[JobDefinition]) -> list[str]:
    """The jobs that a refresh of `origin` reaches, breadth first, without `origin`: those whose marks are cleared.

    It follows freshness and `job.success` edges; a job that says `block` is not reached, nor what lies behind it only.

    Args:
        definitions: Of the live jobs of the workspace.
    """
    followers: dict[str, list[Edge]] = {}
    for edge in dependency_edges(definitions):
        followers.setdefault(edge.source, []).append(edge)
    reached = [origin]
    seen = {origin}
    for current in reached:
        for edge in followers.get(current, ()):
            if edge.carries_refresh and edge.target not in seen:
                seen.add(edge.target)
                reached.append(edge.target)
    return reached[1:]


def run_refreshes(definition: JobDefinition, *, requested: bool, pending: bool) -> Refreshing:
    """Whether a run that is about to be created carries the signal.

    Args:
        requested: Somebody asked for it (`--refresh`); a job that says `block` does not take it.
        pending: A refresh cleared the job's mark and has not been spent.
    """
    if definition.refresh == "always":
        return Refreshing(refresh=True)
    if definition.refresh == "block" and requested:
        warning = f"`{definition.job_ref}` does not refresh: it is declared with refresh `block`"
        return Refreshing(refresh=pending, warning=warning)
    return Refreshing(refresh=requested or pending)


def settle_refresh(
    definition: JobDefinition, status: RunStatus, *, run_refresh: bool, pending: bool
) -> RefreshSettlement:
    """What a run that has ended leaves behind (semantics R1, R2).

    A success spends a pending refresh only if the run carried it. One that started before the refresh came completes
    nothing: its mark would undo the refresh.
    """
    if status != "completed":
        return RefreshSettlement(moves_mark=False, is_pending=pending, originates=False)
    counts = run_refresh or not pending
    return RefreshSettlement(moves_mark=counts, is_pending=not counts, originates=definition.refresh == "always")
