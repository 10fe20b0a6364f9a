"""Fixtures of tests that run jobs; a test module asks for them with `pytest_plugins = ("tests.job_fixtures",)`.

A machine without bubblewrap or packages skips those tests, and says so.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from runtime.errors import JobRuntimeError
from runtime.sandbox.tools import find_tools
from tests.job_machine import JobMachine

DLT = "dlt[workspace]==1.26.0"


@pytest.fixture(scope="session")
def bubblewrap() -> None:
    """Only where sandboxes can be made."""
    try:
        find_tools()
    except JobRuntimeError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def job_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtualenv as jobs get it: the interpreter of this session, dlt, compiled."""
    venv = tmp_path_factory.mktemp("environments") / "dlt"
    # Certificates of the machine: where there is a mirror of PyPI, its authority is in there.
    environment = {**os.environ, "UV_SYSTEM_CERTS": "true", "UV_NO_CONFIG": "true"}
    for command in (
        ["venv", "--python", os.path.realpath(sys.executable), str(venv)],
        ["pip", "install", "--python", str(venv / "bin" / "python"), "--compile-bytecode", DLT],
    ):
        done = subprocess.run([uv.find_uv_bin(), *command], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no virtualenv with {DLT}: {done.stderr.strip().splitlines()[-1]}")
    return venv


@pytest.fixture
def machine(bubblewrap: None, job_venv: Path, tmp_path: Path) -> Iterator[JobMachine]:
    """Runs jobs in the machine's own network; networks of their own have a test of their own."""
    machine = JobMachine.on(tmp_path / "state", job_venv)
    yield machine
    machine.end_all()
