"""The contract as the tests see it: every operation the public client knows, and what it needs of the answers."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX

_DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parent / "resources/contract-0.26.1.json").read_text())
_PREFIXES = {"api": API_PREFIX, "auth": AUTH_PREFIX}
_FORMATS = jsonschema.FormatChecker(["uuid"])
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


@_FORMATS.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator]
def _is_instant(value: object) -> bool:
    """A time as the client likes it: with its offset."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@dataclass(frozen=True)
class Operation:
    """One operation of the contract.

    `path` is a template with the prefix of its base address, `module` where the client keeps it, `success` the only
    status that it takes for success.
    """

    method: str
    path: str
    module: str
    success: int
    errors: frozenset[int]
    query: frozenset[str]
    answer: Any

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def check(self, document: Any) -> None:
        """Fail unless the client could read this answer, and would find in it nothing of another type."""
        schema = {**self.answer, "schemas": _DOCUMENT["schemas"]}
        jsonschema.validate(document, schema, format_checker=_FORMATS)


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation."""
    return tuple(_operations())


def template(path: str) -> str:
    """A path without the types of its parameters: the contract's way to write it."""
    return _PARAMETER.sub(r"{\1}", path)


def _operations() -> Iterator[Operation]:
    for entry in _DOCUMENT["operations"]:
        yield Operation(
            method=entry["method"],
            path=_PREFIXES[entry["base"]] + entry["path"],
            module=entry["module"],
            success=entry["success"],
            errors=frozenset(entry["errors"]),
            query=frozenset(entry["query"]),
            answer=entry["answer"],
        )
