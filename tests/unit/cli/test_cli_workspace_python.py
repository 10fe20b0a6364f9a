"""Asking a workspace's own Python, in which a stand-in for dlt answers."""

import os
import sys
from pathlib import Path

import pytest

from cli.workspace.python import workspace_python
from runtime.errors import InvalidError, NotFoundError, UnavailableError

STAND_IN = {
    "dlt/__init__.py": "__version__ = '9.9.9'",
    "dlt/common/__init__.py": "import json",
    "dlt/_workspace/deployment/requirements.py": (
        "def export_workspace_requirements(root):\n    return {'engine_version': 1, 'root': str(root)}\n"
    ),
    "dlt/_workspace/deployment/manifest.py": (
        "import importlib, os, sys\n"
        "def manifest_from_module(name, use_all=True):\n"
        "    sys.path.insert(0, os.getcwd())\n"
        "    module = importlib.import_module(name.removesuffix('.py').replace('/', '.'))\n"
        "    return {'jobs': [{'job_ref': 'jobs.' + one} for one in module.JOBS]}, ['use_all ' + str(use_all)]\n"
        "def generate_manifest_hash(manifest):\n    return 'hash of %d' % len(manifest['jobs'])\n"
        "def expand_triggers(job):\n    return ['manual:' + job['job_ref']]\n"
    ),
}


def make_python(root: Path, packages: Path | None = None) -> None:
    """A `.venv/bin/python` that finds packages only where the test says."""
    python = root / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    arguments = "-S" if packages else ""
    python.write_text(f'#!/bin/sh\nPYTHONPATH={packages or ""} exec {sys.executable} {arguments} "$@"\n')
    python.chmod(0o755)


@pytest.fixture
def stand_in(tmp_path: Path, workspace: Path) -> Path:
    """A workspace whose `.venv` holds a stand-in for dlt."""
    packages = tmp_path / "packages"
    for name, text in STAND_IN.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
    make_python(workspace, packages)
    return workspace


def test_the_workspaces_own_dlt_says_what_it_declares(stand_in: Path) -> None:
    (stand_in / "__deployment__.py").write_text("JOBS = ['load', 'check']")
    described = workspace_python(stand_in).describe("__deployment__")
    assert described.dlt_version == "9.9.9"
    assert described.manifest == {"jobs": [{"job_ref": "jobs.load"}, {"job_ref": "jobs.check"}]}
    assert described.manifest_hash == "hash of 2"
    assert described.triggers["jobs.check"] == ["manual:jobs.check"]
    assert described.requirements == {"engine_version": 1, "root": str(stand_in)}
    assert described.warnings == ("use_all True",)


def test_what_the_users_modules_print_does_not_get_into_the_answer(stand_in: Path) -> None:
    (stand_in / "loud.py").write_text("import os, sys\nprint('{')\nsys.stderr.write('x')\nos.write(1, b'y')\nJOBS = []")
    assert workspace_python(stand_in).describe("loud.py", use_all=False).warnings == ("use_all False",)


def test_modules_of_the_workspace_do_not_shadow_what_dlt_needs(stand_in: Path) -> None:
    (stand_in / "traceback.py").write_text("raise SystemExit('shadowed')")
    (stand_in / "json.py").write_text("raise SystemExit('shadowed')")
    assert workspace_python(stand_in).describe(None).manifest is None


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("x = 1\nraise ValueError('boom')", "ValueError: boom (in `bad.py`, line 2)", None),
        ("def f():\n  1/0\nf()", "ZeroDivisionError: division by zero (in `bad.py`, line 2)", None),
        ("def f(:", "SyntaxError: invalid syntax (in `bad.py`, line 1)", None),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (in `bad.py`, line 2)", None),
        (
            "import pandaz",
            "ModuleNotFoundError: No module named 'pandaz' (in `bad.py`, line 1)",
            "is `pandaz` installed in `.venv`? `uv sync --all-groups` installs what is declared",
        ),
    ],
)
def test_a_failing_module_is_shown_by_its_own_error_and_place(
    stand_in: Path, source: str, message: str, hint: str | None
) -> None:
    (stand_in / "bad.py").write_text(source)
    with pytest.raises(InvalidError) as caught:
        workspace_python(stand_in).describe("bad.py", use_all=False)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_dlt_without_deployments_is_too_old(stand_in: Path) -> None:
    (stand_in.parent / "packages/dlt/_workspace/deployment/manifest.py").unlink()
    with pytest.raises(InvalidError, match=r"dlt \(9\.9\.9\) knows no deployments"):
        workspace_python(stand_in).describe(None)


def test_requirements_that_cannot_be_exported_say_why(stand_in: Path) -> None:
    file = stand_in.parent / "packages/dlt/_workspace/deployment/requirements.py"
    file.write_text("def export_workspace_requirements(root):\n    raise RuntimeError('uv.lock is out of date')\n")
    with pytest.raises(InvalidError, match=r"cannot be exported: uv\.lock is out of date"):
        workspace_python(stand_in).describe(None)


def test_an_environment_without_dlt_says_how_to_get_it(workspace: Path, tmp_path: Path) -> None:
    make_python(workspace, tmp_path / "nothing")
    python = workspace_python(workspace)
    for ask in (python.dlt_version, lambda: python.describe(None)):
        with pytest.raises(NotFoundError, match=r"dlt is not installed in `\.venv`"):
            ask()


def test_an_interpreter_that_does_not_start_is_named(workspace: Path) -> None:
    make_python(workspace)
    (workspace / ".venv/bin/python").chmod(0o644)
    with pytest.raises(UnavailableError, match=r"`\.venv` does not start: Permission denied"):
        workspace_python(workspace).dlt_version()


def test_an_interpreter_that_dies_is_quoted(workspace: Path) -> None:
    make_python(workspace)
    (workspace / ".venv/bin/python").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    with pytest.raises(UnavailableError, match="could not read the workspace: broken"):
        workspace_python(workspace).describe(None)


@pytest.mark.parametrize("ask", ["dlt_version", "describe"])
def test_what_keeps_uv_from_making_the_environment_is_quoted_without_its_hints(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    monkeypatch.setenv("PATH", f"{workspace / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    (workspace / "pyproject.toml").touch()
    (workspace / "bin").mkdir()
    (workspace / "bin/uv").write_text(
        "#!/bin/sh\ncat >&2 <<'END'\n"
        "error: No solution found when resolving dependencies\n"
        "  cause: A wheel is missing.\n"
        "  cause: Because shop was not found, the requirements are unsatisfiable.\n\n"
        "hint: Packages were unavailable because the network was disabled.\nEND\nexit 1\n"
    )
    (workspace / "bin/uv").chmod(0o755)
    python = workspace_python(workspace)
    with pytest.raises(UnavailableError) as caught:
        python.dlt_version() if ask == "dlt_version" else python.describe(None)
    assert caught.value.message.endswith(
        ": No solution found when resolving dependencies: "
        "Because shop was not found, the requirements are unsatisfiable."
    )


def test_an_environment_that_was_made_but_not_filled_is_filled_by_the_first_thing_hinted_at(
    workspace: Path, tmp_path: Path
) -> None:
    make_python(workspace, tmp_path / "nothing")
    with pytest.raises(NotFoundError) as caught:
        workspace_python(workspace).dlt_version()
    assert (caught.value.hint or "").startswith("`uv sync`")


def test_the_workspaces_venv_comes_before_uv_and_uv_before_the_system(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{workspace / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    for name in ("uv", "python3"):
        (workspace / "bin").mkdir(exist_ok=True)
        (workspace / "bin" / name).write_text("#!/bin/sh\necho 1.26.0\n")
        (workspace / "bin" / name).chmod(0o755)
    assert workspace_python(workspace).command == (f"{workspace}/bin/python3",)
    (workspace / "pyproject.toml").touch()
    uv = workspace_python(workspace)
    assert uv.command == (
        f"{workspace}/bin/uv",
        "run",
        "--quiet",
        "--all-groups",
        "--project",
        str(workspace),
        "python",
    )
    active = workspace / "active"
    (active / "bin").mkdir(parents=True)
    (active / "bin/python").symlink_to(workspace / "bin/python3")
    monkeypatch.setenv("VIRTUAL_ENV", str(active))
    assert workspace_python(workspace).command == (f"{active}/bin/python",)
    make_python(workspace)
    assert workspace_python(workspace).command == (f"{workspace}/.venv/bin/python",)


def test_a_workspace_without_any_python_says_how_to_make_one(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(workspace))
    with pytest.raises(NotFoundError) as caught:
        workspace_python(workspace)
    assert "uv init" in (caught.value.hint or "")
