from pathlib import Path
from uuid import UUID

import pytest

from runtime.domain.requirements import EnvironmentSpec
from runtime.environments.keys import environment_key, request_digest, requirement_lines
from runtime.environments.pythons import Interpreter
from runtime.errors import InvalidError

HERE, THERE = UUID(int=1), UUID(int=2)
PYTHON = Interpreter(
    path=Path("/usr/bin/python3.11"),
    base_prefix=Path("/usr"),
    version="3.11.2",
    abi="cpython-311-x86_64-linux-gnu",
    platform="linux-x86_64",
)


def wanting(*requirements: str) -> EnvironmentSpec:
    return EnvironmentSpec(python_version="3.11", requirements=requirements)


def test_the_order_of_specs_does_not_matter() -> None:
    assert request_digest(wanting("a", "b"), PYTHON) == request_digest(wanting("b", "a", "b"), PYTHON)
    assert environment_key(HERE, ["a==1", "b==1"], PYTHON) == environment_key(HERE, ["b==1", "a==1"], PYTHON)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "3.11.4"},
        {"abi": "cpython-311-aarch64-linux-gnu"},
        {"platform": "linux-aarch64"},
        {"path": Path("/opt/python/bin/python3.11")},
    ],
)
def test_another_python_is_another_environment(change: dict[str, object]) -> None:
    other = PYTHON.model_copy(update=change)
    assert environment_key(HERE, ["a==1"], PYTHON) != environment_key(HERE, ["a==1"], other)
    assert request_digest(wanting("a"), PYTHON) != request_digest(wanting("a"), other)


def test_a_workspace_never_gets_the_environment_of_another() -> None:
    assert environment_key(HERE, ["a==1"], PYTHON) != environment_key(THERE, ["a==1"], PYTHON)


def test_a_key_is_a_plain_directory_name() -> None:
    assert environment_key(HERE, ["a==1"], PYTHON).isalnum()


def test_specs_pass_unchanged() -> None:
    specs = ["dlt[duckdb]>=1.26", "a @ https://example.org/a-1.0.tar.gz", 'b<2; python_version < "3.12"']
    assert requirement_lines(specs) == tuple(specs)


@pytest.mark.parametrize(
    "spec",
    [
        "-r /etc/passwd",
        "--index-url https://example.org",
        "a @ https://example.org/a.zip\n--index-url=https://example.org",
        "a @ https://example.org/${UV_DEFAULT_INDEX}",
    ],
)
def test_a_spec_that_a_requirements_file_would_read_differently_is_refused(spec: str) -> None:
    with pytest.raises(InvalidError, match="requirement"):
        requirement_lines([spec])
