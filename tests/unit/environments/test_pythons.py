import json
import sys
from pathlib import Path

import pytest

from runtime.environments.pythons import Interpreter, Pythons, candidates, missing_python_message, probe, read_probe
from runtime.errors import InvalidError

ANSWER = {
    "version": "3.12.1",
    "prefix": "/opt/pythons/3.12.1",
    "base_prefix": "/opt/pythons/3.12.1",
    "abi": "cpython-312-x86_64-linux-gnu",
    "platform": "linux-x86_64",
}
BINARY = Path("/opt/pythons/3.12.1/bin/python3.12")


def interpreter(version: str) -> Interpreter:
    return Interpreter(
        path=Path(f"/opt/{version}/bin/python3"),
        base_prefix=Path(f"/opt/{version}"),
        version=version,
        abi="",
        platform="",
    )


def install(directory: Path, name: str, content: bytes = b"\x7fELF", mode: int = 0o755) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


def found(home: Path, *, path: str = "", search: tuple[Path, ...] = ()) -> list[Path]:
    """Candidates below `home`; those of the machine itself are another test's business."""
    everything = candidates(search, {"HOME": str(home), "PATH": path})
    return [one for one in everything if one.is_relative_to(home)]


class TestCandidates:
    def test_directories_of_the_settings_come_before_path_and_that_before_pyenv_and_uv(self, tmp_path: Path) -> None:
        own = install(tmp_path / "own", "python3.12")
        on_path = install(tmp_path / "bin", "python3.11")
        pyenv = [install(tmp_path / ".pyenv/versions" / name / "bin", "python3.12") for name in ("3.12.10", "3.12.9")]
        managed = install(tmp_path / ".local/share/uv/python/cpython-3.13.1-linux-x86_64-gnu/bin", "python3.13")
        in_order = found(tmp_path, path=f"{tmp_path}/bin:relative", search=(tmp_path / "own",))
        assert in_order == [own, on_path, *pyenv, managed]

    def test_an_interpreter_with_many_names_counts_once(self, tmp_path: Path) -> None:
        real = install(tmp_path / "bin", "python3.12")
        (tmp_path / "bin" / "python3").symlink_to("python3.12")
        (tmp_path / "venv").mkdir()
        (tmp_path / "venv" / "python3").symlink_to(real)
        assert found(tmp_path, path=f"{tmp_path}/venv:{tmp_path}/bin") == [real]

    def test_wrapper_scripts_and_what_is_not_executable_do_not_count(self, tmp_path: Path) -> None:
        install(tmp_path / "shims", "python3.12", b"#!/bin/sh\nexec pyenv")
        install(tmp_path / "bin", "python3.11", mode=0o644)
        install(tmp_path / "bin", "python3.12-config")
        install(tmp_path / "bin", "python2.7")
        assert found(tmp_path, path=f"{tmp_path}/shims:{tmp_path}/bin:{tmp_path}/missing") == []

    def test_pyenv_and_uv_may_be_elsewhere(self, tmp_path: Path) -> None:
        pyenv = install(tmp_path / "pyenv/versions/3.12.1/bin", "python3.12")
        managed = install(tmp_path / "managed/cpython-3.13.1/bin", "python3.13")
        environ = {"PYENV_ROOT": str(tmp_path / "pyenv"), "UV_PYTHON_INSTALL_DIR": str(tmp_path / "managed")}
        assert set(candidates((), environ)) >= {pyenv, managed}


class TestProbing:
    def test_an_answer_becomes_an_interpreter(self) -> None:
        read = read_probe(BINARY, json.dumps(ANSWER).encode())
        assert read is not None
        assert (read.version, read.minor, read.base_prefix) == ("3.12.1", "3.12", Path("/opt/pythons/3.12.1"))

    @pytest.mark.parametrize(
        "change",
        [
            {"abi": "pypy310-pp73"},
            {"abi": "cpython-313t-x86_64-linux-gnu"},
            {"abi": None},
            {"prefix": "/opt/venv"},
            {"prefix": "/elsewhere", "base_prefix": "/elsewhere"},
            {"prefix": "/", "base_prefix": "/"},
        ],
    )
    def test_what_no_sandbox_may_be_built_on_does_not_count(self, change: dict[str, str | None]) -> None:
        assert read_probe(BINARY, json.dumps({**ANSWER, **change}).encode()) is None

    def test_a_python_installed_straight_into_a_home_does_not_count(self) -> None:
        home = str(Path("~root").expanduser())
        answer = {**ANSWER, "prefix": home, "base_prefix": home}
        assert read_probe(Path(home, "bin/python3.12"), json.dumps(answer).encode()) is None

    def test_an_answer_that_is_none_does_not_count(self) -> None:
        assert read_probe(BINARY, b"usage: python") is None

    async def test_this_python_knows_itself(self) -> None:
        real = Path(sys.executable).resolve()
        probed = await probe(real)
        assert probed is not None
        assert probed.minor == f"{sys.version_info.major}.{sys.version_info.minor}"
        assert probed.path == real

    async def test_what_does_not_run_does_not_count(self, tmp_path: Path) -> None:
        assert await probe(install(tmp_path, "python3.12")) is None
        assert await probe(Path("/bin/false")) is None


class TestChoosing:
    async def test_a_machine_without_the_version_says_what_it_has(self) -> None:
        with pytest.raises(InvalidError, match=r"^Python 3\.3 is not on this machine; it has ") as refused:
            await Pythons().choose("3.3")
        assert refused.value.hint is not None

    async def test_one_installed_meanwhile_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real, present = Path(sys.executable).resolve(), list[Path]()
        monkeypatch.setattr("runtime.environments.pythons.candidates", lambda *_: list(present))
        pythons = Pythons()
        assert await pythons.all() == ()
        present.append(real)
        assert await pythons.all() == ()
        chosen = await pythons.choose(f"{sys.version_info.major}.{sys.version_info.minor}")
        assert chosen.path == real

    async def test_one_removed_meanwhile_is_not_chosen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pythons = Pythons()
        gone = interpreter("3.77.0")
        monkeypatch.setattr(pythons, "_found", (gone,))
        with pytest.raises(InvalidError, match=r"Python 3\.77 is not on this machine"):
            await pythons.choose("3.77")

    def test_the_message_lists_versions_in_order_and_each_once(self) -> None:
        present = [interpreter("3.12.1"), interpreter("3.9.18"), interpreter("3.12.1")]
        assert missing_python_message("3.10", present) == "Python 3.10 is not on this machine; it has 3.9.18, 3.12.1"

    def test_the_message_of_a_machine_without_any_python(self) -> None:
        assert missing_python_message("3.10", []) == "Python 3.10 is not on this machine; it has no usable Python"
