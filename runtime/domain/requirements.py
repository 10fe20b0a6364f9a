"""Which packages a job's environment holds (semantics J7), read from a deployment's `requirements.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import Field, ValidationError

from runtime.domain.model import Frozen
from runtime.domain.refs import DASHBOARD_JOB_REF
from runtime.errors import InvalidError

REQUIREMENTS_ENGINES = (1, 2)

_ONLY_IF_NAMED = frozenset({"dlthub", "s3fs", "botocore"})
"""What the SDK adds for its own launchers and dashboard and ours do without: a proprietary package, cloud clients."""


class WorkspaceRequirements(Frozen):
    """`requirements.json`: PEP 508 specs by dependency group and by launcher module."""

    engine_version: int
    python_version: str = Field(pattern=r"^3\.\d+$")
    default_groups: tuple[str, ...] = ("main",)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    launcher_requirements: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class EnvironmentSpec(Frozen):
    """What to build: the sorted PEP 508 specs and the Python they are for, `major.minor`."""

    python_version: str
    requirements: tuple[str, ...]


def parse_requirements(document: Mapping[str, Any]) -> WorkspaceRequirements:
    """Read a requirements document of engine 1 or 2.

    Raises:
        InvalidError: unknown engine, a field of the wrong shape, or a spec that is not PEP 508.
    """
    engine = document.get("engine_version", 1)
    if engine not in REQUIREMENTS_ENGINES:
        raise InvalidError(
            f"requirements engine {engine} is not known to this runtime, which reads engines 1 and 2",
            code="requirements_engine",
        )
    known = {key: value for key, value in document.items() if key in WorkspaceRequirements.model_fields}
    try:
        parsed = WorkspaceRequirements.model_validate({**known, "engine_version": engine})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidError(f"requirements.json: `{where}`: {first['msg']}", code="requirements") from error
    for specs in (*parsed.groups.values(), *parsed.launcher_requirements.values()):
        for spec in specs:
            _package_name(spec)
    return parsed


def environment_spec(
    requirements: WorkspaceRequirements, dependency_groups: Sequence[str], launcher: str
) -> EnvironmentSpec:
    """The environment of a job: default groups, its own groups, and what its launcher needs (semantics J7).

    Raises:
        InvalidError: a group is not declared; the message lists the groups that are.
    """
    own: set[str] = set()
    synthesised = list(requirements.launcher_requirements.get(launcher, ()))
    for group in (*requirements.default_groups, *dependency_groups):
        if group not in requirements.groups:
            raise InvalidError(missing_group_message(requirements, group), code="dependency_group")
        if group == DASHBOARD_JOB_REF:
            synthesised += requirements.groups[group]
        else:
            own.update(requirements.groups[group])
    named = {
        _package_name(spec)
        for group, specs in requirements.groups.items()
        if group != DASHBOARD_JOB_REF
        for spec in specs
    }
    own.update(spec for spec in synthesised if _package_name(spec) not in _ONLY_IF_NAMED - named)
    return EnvironmentSpec(python_version=requirements.python_version, requirements=tuple(sorted(own)))


def missing_group_message(requirements: WorkspaceRequirements, group: str) -> str:
    """Says which dependency groups there are when `group` is none of them."""
    declared = ", ".join(f"`{name}`" for name in sorted(requirements.groups)) or "none"
    return f"dependency group `{group}` is not declared in this deployment; it declares {declared}"


def _package_name(spec: str) -> str:
    try:
        return canonicalize_name(Requirement(spec).name)
    except InvalidRequirement as error:
        raise InvalidError(f"requirements.json: `{spec}` is not a PEP 508 requirement", code="requirements") from error
