"""Asking the SDK itself about a workspace, in the Python that runs the tests."""

import sys
from pathlib import Path

import pytest

from cli.workspace.python import WorkspacePython


def test_the_sdk_describes_decorated_jobs_and_plain_scripts(tmp_path: Path) -> None:
    pytest.importorskip("dlt", reason="the SDK is not installed here")
    workspace = tmp_path.resolve()
    (workspace / ".dlt").mkdir()
    (workspace / ".dlt/.workspace").touch()
    (workspace / "shop.py").write_text(
        "from dlt._workspace.deployment import job\n\n@job(expose={'tags': ['x']})\ndef load():\n    pass\n"
    )
    (workspace / "__deployment__.py").write_text("from shop import load\n__all__ = ['load']\n")
    (workspace / "once.py").write_text("print('hello')\n")
    python = WorkspacePython(workspace, (sys.executable,), "this Python")
    described = python.describe("__deployment__")
    assert "tag:x" in described.triggers["jobs.shop.load"]
    assert described.requirements["groups"]["main"] == []
    assert described.dlt_version == python.dlt_version()
    (only,) = (python.describe("once.py", use_all=False).manifest or {})["jobs"]
    assert (only["job_ref"], only["entry_point"]["function"]) == ("jobs.once", None)
