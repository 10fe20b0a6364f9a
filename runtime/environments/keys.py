"""What makes two environments the same: pure digests over what was asked for and what it resolved to."""

import hashlib
import json
from collections.abc import Iterable
from uuid import UUID

from packaging.requirements import InvalidRequirement, Requirement

from runtime.domain.requirements import EnvironmentSpec
from runtime.environments.pythons import Interpreter
from runtime.errors import InvalidError

_KEY_LENGTH = 40


def request_digest(spec: EnvironmentSpec, interpreter: Interpreter) -> str:
    """What a job asks for: its specs before resolution, in any order, and the exact Python they are for."""
    return _digest("request", sorted(set(spec.requirements)), _python(interpreter))


def environment_key(workspace_id: UUID, resolved: Iterable[str], interpreter: Interpreter) -> str:
    """The directory name of what that resolved to, within one workspace."""
    return _digest("environment", str(workspace_id), sorted(set(resolved)), _python(interpreter))


def requirement_lines(specs: Iterable[str]) -> tuple[str, ...]:
    """Specs as lines of a requirements file that mean to uv exactly what they mean as PEP 508.

    Raises:
        InvalidError: a spec is not PEP 508, or a requirements file would read more into it: a second line, or
            `${NAME}`, which would expand to what the build is not meant to tell.
    """
    return tuple(_line(spec) for spec in specs)


def _line(spec: str) -> str:
    try:
        Requirement(spec)
    except InvalidRequirement as error:
        raise InvalidError(f"`{spec}` is not a PEP 508 requirement", code="requirements") from error
    if not spec.isprintable() or "${" in spec:
        raise InvalidError(f"requirement `{spec!r}` holds a line break or a `${{...}}`", code="requirements")
    return spec


def _python(interpreter: Interpreter) -> list[str]:
    # The path too: a virtualenv links to it.
    return [interpreter.version, interpreter.abi, interpreter.platform, str(interpreter.path)]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_KEY_LENGTH]
