"""Run inside a workspace's own environment: asks its dlt for the manifest and the requirements, as one JSON document.

It is started as a script by `cli.workspace.python`, never imported, and uses the standard library and dlt only, in the
Pythons that dlt supports. Arguments: the file to write to, and a JSON object with `root`, `module` (None: requirements
only) and `use_all`. User code may print what it likes: the document goes to the file.
"""

import contextlib
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


class TooOldError(Exception):
    """The workspace's dlt knows no deployments."""


class RequirementsError(Exception):
    """The workspace's dependencies could not be exported."""


_KINDS: "dict[type[BaseException], str]" = {TooOldError: "too_old", RequirementsError: "requirements"}


def main() -> int:
    """Write the document, or one that says what went wrong."""
    answer_file, question = Path(sys.argv[1]), json.loads(sys.argv[2])
    root = question["root"]
    os.chdir(root)
    # Neither this script's directory nor the workspace may shadow what dlt imports; dlt adds the workspace later.
    shadowing = ("", root, str(Path(__file__).resolve().parent))
    sys.path[:] = [entry for entry in sys.path if entry not in shadowing]
    try:
        answer = describe(Path(root), question["module"], question["use_all"])
    except BaseException as error:  # a module that calls sys.exit() has failed as well
        answer = json.dumps({"error": explain(error, root)})
    answer_file.write_text(answer, encoding="utf-8")
    return 0


def describe(root: Path, module: "str | None", use_all: bool) -> str:
    """The document of a workspace, as dlt itself writes JSON."""
    import dlt
    from dlt.common import json as dlt_json

    try:
        from dlt._workspace.deployment.manifest import expand_triggers, generate_manifest_hash, manifest_from_module
        from dlt._workspace.deployment.requirements import export_workspace_requirements
    except ImportError as error:
        if (error.name or "").split(".")[0] == "dlt":
            raise TooOldError(dlt.__version__) from error
        raise
    answer: dict[str, Any] = {
        "dlt_version": dlt.__version__,
        "python_version": "{}.{}".format(*sys.version_info[:2]),
        "manifest": None,
        "manifest_hash": None,
        "warnings": [],
        "triggers": {},
    }
    if module is not None:
        # As in a job's sandbox: once imported, `from dlt.hub import run` works without the `dlthub` package.
        with contextlib.suppress(ImportError):
            importlib.import_module("dlt.hub.run")
        manifest, warnings = manifest_from_module(module, use_all=use_all)
        answer["manifest"] = manifest
        answer["manifest_hash"] = generate_manifest_hash(manifest)
        answer["warnings"] = [str(warning) for warning in warnings]
        answer["triggers"] = {job["job_ref"]: [str(one) for one in expand_triggers(job)] for job in manifest["jobs"]}
    try:
        answer["requirements"] = export_workspace_requirements(root)
    except Exception as error:  # of several kinds, by version
        raise RequirementsError(str(error)) from error
    return str(dlt_json.dumps(answer))


def explain(error: BaseException, root: str) -> dict[str, Any]:
    """What went wrong, and where in the workspace: the innermost frame that is in a file of the user's."""
    kind = _KINDS.get(type(error), "module")
    missing = error.name or "" if isinstance(error, ImportError) else ""
    if kind == "module" and missing.split(".")[0] == "dlt":
        kind = "no_dlt" if missing == "dlt" else "too_old"
    elif kind == "module" and type(error).__module__.startswith("dlt._workspace"):
        kind = "manifest"
    place = user_frame(error, root)
    if isinstance(error, SyntaxError) and error.filename:
        place = (error.filename, error.lineno or 0)
    message = error.msg if isinstance(error, SyntaxError) else str(error)  # whose text repeats the place
    return {
        "kind": kind,
        "type": type(error).__name__,
        "message": message,
        "missing_module": missing,
        "file": place[0] if place else None,
        "line": place[1] if place else None,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }


def user_frame(error: BaseException, root: str) -> "tuple[str, int] | None":
    """File and line of the innermost frame below the workspace, its virtualenv left out."""
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(root + os.sep) and "site-packages" not in frame.filename:
            found = (frame.filename, frame.lineno or 0)
    return found


if __name__ == "__main__":
    sys.exit(main())
