"""The launcher's own steps; what it does with dlt is tested in a job's environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.launchers import start


def pipe_with(data: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


def test_an_order_is_one_whole_line() -> None:
    assert start.read_order(pipe_with(b'{"run_id": "7"}\n')) == {"run_id": "7"}


@pytest.mark.parametrize("received", [b"", b'{"run_id": ', b'{"run_id": "7"}'])
def test_the_end_before_the_end_of_the_line_is_no_order(received: bytes) -> None:
    """The daemon may die while it writes: half an order must not be run."""
    assert start.read_order(pipe_with(received)) is None


def test_modules_are_looked_for_where_the_job_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "orchard"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "pears.py").write_text("raise RuntimeError('is only looked for')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert start.is_importable("orchard")
    assert start.is_importable("orchard.pears")
    assert not start.is_importable("orchard.plums")
    assert not start.is_importable("absent_orchard.pears")


def test_a_package_that_misses_something_fails_with_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "broken_orchard"
    package.mkdir()
    (package / "__init__.py").write_text("import absent_dependency")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        start.is_importable("broken_orchard.pears")


def test_a_failure_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        start.fail("module `pears` is not in the deployment")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: module `pears` is not in the deployment\n"


def test_it_needs_the_standard_library_only_until_it_knows_the_launcher() -> None:
    code = (
        "import sys; before = set(sys.modules); import runpy; "
        f"runpy.run_path({start.__file__!r}, run_name='start'); import json; "
        "print(json.dumps(sorted({m.partition('.')[0] for m in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) <= sys.stdlib_module_names
