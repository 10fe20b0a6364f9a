"""Reconciliation: what a manifest changes in a workspace's jobs (semantics J3)."""

from collections import Counter
from collections.abc import Mapping, Sequence

from runtime.domain.freshness import upstreams_needed
from runtime.domain.graph import freshness_deadlock, refuse_trigger_cycles
from runtime.domain.intervals import declared_interval
from runtime.domain.jobs import Job, JobDefinition, hash_definition
from runtime.domain.machines import Machine, unknown_machine_message
from runtime.domain.model import Frozen
from runtime.domain.requirements import WorkspaceRequirements, missing_group_message
from runtime.domain.triggers import parse_trigger
from runtime.errors import InvalidError


class Plan(Frozen):
    """What a deploy does, job by job; a dry run returns the same plan (semantics J3)."""

    added: tuple[JobDefinition, ...] = ()
    updated: tuple[JobDefinition, ...] = ()
    unchanged: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def reconcile(
    wanted: Sequence[JobDefinition],
    actual: Mapping[str, Job],
    deployment_module: str | None,
    requirements: WorkspaceRequirements | None = None,
    machines: Mapping[str, Machine] | None = None,
    owning_module: str | None = None,
) -> Plan:
    """Compare a manifest's jobs with those of the workspace.

    A job is updated when its definition's hash differs, or when it was archived and is named again; jobs last
    deployed from `deployment_module` and no longer named are archived. An ad-hoc deploy (module None) archives
    nothing; `owning_module` is the one its jobs belong to from now on, None leaves them where they are.

    Raises:
        InvalidError: a job is named twice, waits for a job that exists neither in the manifest nor the workspace, or
            has an interval that cannot be read; or jobs start each other in a circle.
    """
    refs = [definition.job_ref for definition in wanted]
    duplicate = next((ref for ref, count in Counter(refs).items() if count > 1), None)
    if duplicate:
        raise InvalidError(f"job `{duplicate}` is declared twice in this manifest", code="job_duplicate")

    archived = [
        ref
        for ref, job in actual.items()
        if deployment_module is not None
        and job.archived_at is None
        and job.version.deployment_module == deployment_module
        and ref not in refs
    ]
    surviving = {ref for ref, job in actual.items() if job.archived_at is None} - set(archived) | set(refs)
    _check_upstreams(wanted, surviving)
    others = [job.version.definition for ref, job in actual.items() if ref in surviving and ref not in refs]
    refuse_trigger_cycles([*wanted, *others])
    for definition in wanted:
        declared_interval(definition)

    added, updated, unchanged = [], [], []
    for definition in wanted:
        job = actual.get(definition.job_ref)
        if job is None:
            added.append(definition)
        elif _differs(job, definition, deployment_module or owning_module):
            updated.append(definition)
        else:
            unchanged.append(definition.job_ref)
    return Plan(
        added=tuple(added),
        updated=tuple(updated),
        unchanged=tuple(unchanged),
        archived=tuple(sorted(archived)),
        warnings=(*_warnings(wanted, requirements), *_missing_machines(wanted, machines)),
    )


def _differs(job: Job, definition: JobDefinition, module: str | None) -> bool:
    """Whether a deploy makes a new version; taking a job over from another module is a change, an ad-hoc launch not."""
    moved = module is not None and job.version.deployment_module != module
    return job.archived_at is not None or moved or job.version.definition_hash != hash_definition(definition.raw)


def _check_upstreams(wanted: Sequence[JobDefinition], surviving: set[str]) -> None:
    for definition in wanted:
        upstreams = [
            trigger.expression
            for trigger in map(parse_trigger, definition.declared_triggers)
            if trigger.type in ("job.success", "job.fail")
        ]
        upstreams += upstreams_needed(definition)
        for upstream in upstreams:
            if upstream not in surviving:
                raise InvalidError(
                    f"job `{definition.job_ref}` waits for `{upstream}`, which is no job of this workspace",
                    code="job_upstream",
                    hint="deploy both together, or correct the reference",
                )


def _missing_machines(wanted: Sequence[JobDefinition], machines: Mapping[str, Machine] | None) -> list[str]:
    return [
        f"job `{definition.job_ref}`: {unknown_machine_message(machines, definition.machine)}"
        for definition in wanted
        if machines is not None and definition.machine is not None and definition.machine not in machines
    ]


def _warnings(wanted: Sequence[JobDefinition], requirements: WorkspaceRequirements | None) -> list[str]:
    warnings: list[str] = []
    if circle := freshness_deadlock(wanted):
        warnings.append(f"these jobs wait for each other, so none can be the first: {' -> '.join(circle)}")
    if requirements is None:
        return warnings
    return warnings + [
        f"job `{definition.job_ref}`: {missing_group_message(requirements, group)}"
        for definition in wanted
        for group in definition.dependency_groups
        if group not in requirements.groups
    ]
