"""What the end-to-end tests share: the official client, installed once, and a daemon for each module."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.matrix import WRITE_VARIABLE, Results, write
from tests.official_client import client_virtualenv
from tests.processes import DaemonProcess


@pytest.fixture(scope="session")
def virtualenv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official client's own environment, which has the SDK that workspaces are described with."""
    return client_virtualenv(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with an empty state directory, for all tests of a module."""
    process = DaemonProcess(tmp_path_factory.mktemp("daemon")).start()
    yield process
    process.close()


@pytest.fixture(scope="session")
def compatibility() -> Iterator[Results]:
    """Where tests put what works; becomes `docs/compatibility.md` if the environment asks for it and all have run."""
    results = Results()
    yield results
    if os.environ.get(WRITE_VARIABLE):
        write(results)
