"""A workspace's own environment: finding its Python and asking the dlt in there.

The command line never imports dlt or the workspace's modules. They are imported in the environment that the workspace
itself uses, so that its dlt version and its packages are the ones that count.
"""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import InvalidError, JobRuntimeError, NotFoundError, UnavailableError

_SCRIPT = Path(__file__).with_name("describe.py")
_VERSION_CODE = "from importlib.metadata import version; print(version('dlt'))"


@dataclass(frozen=True)
class Description:
    """What a workspace's dlt says about it.

    `manifest` is None where only the requirements were asked for. `triggers` are the expanded ones by job reference.
    """

    dlt_version: str
    python_version: str
    requirements: dict[str, Any]
    manifest: dict[str, Any] | None = None
    manifest_hash: str | None = None
    warnings: tuple[str, ...] = ()
    triggers: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkspacePython:
    """The interpreter of a workspace, as the words that start it, and what it is called in messages."""

    root: Path
    command: tuple[str, ...]
    name: str

    def dlt_version(self) -> str:
        """The version of the workspace's dlt.

        Raises:
            NotFoundError: dlt is not installed there.
        """
        ended = self._run("-c", _VERSION_CODE)
        if ended.returncode != 0:
            raise self._no_dlt(ended.stderr)
        return ended.stdout.strip().splitlines()[-1]

    def describe(self, module: str | None, *, use_all: bool = True) -> Description:
        """Import a deployment module and export the requirements.

        Args:
            module: Module name, or a path relative to the workspace; None exports the requirements only.
            use_all: Take the jobs that `__all__` lists; else everything the module holds, for an ad-hoc deploy.

        Raises:
            InvalidError: the user's module fails, or what it declares is not valid; the message is theirs.
            NotFoundError: dlt is not installed there.
            UnavailableError: the interpreter did not start.
        """
        with tempfile.TemporaryDirectory(prefix="dlt-runtime-") as directory:
            answer_file = Path(directory) / "answer.json"
            question = {"root": str(self.root), "module": module, "use_all": use_all}
            ended = self._run(str(_SCRIPT), str(answer_file), json.dumps(question))
            if not answer_file.exists():
                raise self._failed(ended)
            answer = json.loads(answer_file.read_text(encoding="utf-8"))
        if failure := answer.get("error"):
            raise self._explained(failure)
        return Description(**{**answer, "warnings": tuple(answer["warnings"])})

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                [*self.command, *arguments],
                cwd=self.root,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise UnavailableError(f"{self.name} does not start: {error.strerror}", code="workspace_python") from error

    def _failed(self, ended: "subprocess.CompletedProcess[str]") -> JobRuntimeError:
        why = _reason(ended.stderr) or f"exit status {ended.returncode}"
        return UnavailableError(
            f"{self.name} could not read the workspace: {why}",
            code="workspace_python",
            hint="`uv sync` in the workspace makes its environment",
        )

    def _no_dlt(self, why: str) -> JobRuntimeError:
        if self.command[0].endswith("uv") and "No module named" not in why and "PackageNotFound" not in why:
            return UnavailableError(
                f"uv could not make the workspace's environment: {_reason(why) or 'it says nothing'}",
                code="workspace_python",
            )
        return NotFoundError(
            f"dlt is not installed in {self.name}",
            code="workspace_dlt",
            hint='`uv sync` in the workspace installs what it declares; `uv add "dlt[workspace]"` declares dlt',
        )

    def _explained(self, failure: dict[str, Any]) -> JobRuntimeError:
        kind = failure["kind"]
        if kind == "no_dlt":
            return self._no_dlt("No module named 'dlt'")
        if kind == "too_old":
            return InvalidError(
                f"the workspace's dlt ({failure['message']}) knows no deployments",
                code="workspace_dlt",
                hint='1.26 is the first that does: `uv add "dlt[workspace]>=1.26"`',
            )
        if kind == "requirements":
            return InvalidError(
                f"the workspace's dependencies cannot be exported: {failure['message']}", code="requirements"
            )
        place = _place(failure, self.root)
        if kind == "manifest":
            return InvalidError(f"{failure['message']}{place}", code="manifest")
        hint = None
        if failure["missing_module"]:
            hint = (
                f"is `{failure['missing_module']}` installed in {self.name}? "
                "`uv sync --all-groups` installs what is declared"
            )
        said = " ".join(failure["message"].split())  # some libraries write paragraphs
        return InvalidError(f"{failure['type']}: {said}{place}", code="workspace_module", hint=hint)


def workspace_python(root: Path) -> WorkspacePython:
    """The interpreter of a workspace: its `.venv`, the active virtualenv, its uv project, else `python3`.

    The active virtualenv and `python3` count only if dlt is installed there.

    Raises:
        NotFoundError: there is none; the hint says how to make one.
    """
    own = root / ".venv" / "bin" / "python"
    if own.exists():
        return WorkspacePython(root, (str(own),), "`.venv`")
    active = os.environ.get("VIRTUAL_ENV")
    if active and _has_dlt(candidate := WorkspacePython(root, (f"{active}/bin/python",), f"`{active}`")):
        return candidate
    if (root / "pyproject.toml").exists():
        # Every job's module is imported, whichever dependency group it runs on.
        command = (find_uv(), "run", "--quiet", "--all-groups", "--project", str(root), "python")
        return WorkspacePython(root, command, "the environment of `uv run`")
    system = shutil.which("python3")
    if system and _has_dlt(candidate := WorkspacePython(root, (system,), f"`{system}`")):
        return candidate
    raise NotFoundError(
        f"no Python with dlt was found for the workspace `{root}`",
        code="workspace_python",
        hint='make it a project: `uv init --bare && uv add "dlt[workspace]"`',
    )


def find_uv() -> str:
    """The `uv` on PATH, else the one installed beside this program.

    Raises:
        NotFoundError: neither is there.
    """
    if found := shutil.which("uv"):
        return found
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        raise NotFoundError("`uv` is not installed", code="uv_missing", hint="`pip install uv`") from None


def _has_dlt(candidate: WorkspacePython) -> bool:
    try:
        candidate.dlt_version()
    except JobRuntimeError:
        return False
    return True


def _environment() -> dict[str, str]:
    """The environment for the workspace's Python: this one, with uv within reach and without our own settings."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        uv_directory = str(Path(find_uv()).parent)
        environment["PATH"] = os.pathsep.join(filter(None, (environment.get("PATH"), uv_directory)))
    except NotFoundError:
        pass  # dlt reads unlocked requirements without uv, and says so where it cannot
    environment["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    return environment


def _reason(stderr: str) -> str:
    """Why a program failed, of what it wrote: uv's error and its innermost cause, else the last line; "" for nothing.

    >>> _reason("error: No solution found\\n  cause: Because there is no shop, it is unsatisfiable.\\n\\nhint: look\\n")
    'No solution found: Because there is no shop, it is unsatisfiable.'
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    causes = [line.partition(":")[2].strip() for line in lines if line.startswith(("cause:", "Caused by:"))]
    if errors:
        return ": ".join([errors[-1].rstrip(":"), *causes[-1:]])
    said = [line for line in lines if not line.startswith("hint:")]
    return said[-1] if said else ""


def _place(failure: dict[str, Any], root: Path) -> str:
    """Where in the workspace it happened: ` (in shop.py, line 12)`, or nothing."""
    if not failure["file"]:
        return ""
    file = Path(failure["file"])
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    return f" (in `{shown}`, line {failure['line']})"
