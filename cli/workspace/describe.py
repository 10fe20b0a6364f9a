"""Run inside a workspace's own environment: asks its dlt for the manifest and the requirements, as one JSON document.

It is started as a script by `cli.workspace.python`, never imported, and uses the standard library and dlt only, in the
Python that dlt supports. Arguments: the file to write to, and a JSON object with `root`, `module` (None: requirements
only), `use_all`. User code may print what it likes: the document goes to the file.
"""

import json
import os
import sys
import traceback
from pathlib import Path


def main() -> int:
    """Write the document, or one that says what went wrong."""
    answer_file, question = Path(sys.argv[1]), json.loads(sys.argv[2])
    root = question["root"]
    os.chdir(root)
    # The script's directory and the workspace must not shadow what dlt imports; dlt itself adds the workspace later.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", root)]
    try:
        answer = _describe(Path(root), question["module"], question["use_all"])
    except BaseException as error:  # noqa: BLE001 - SystemExit of a user's module is its fault, not an end
        answer = {"error": _explain(error, root)}
    answer_file.write_text(answer if isinstance(answer, str) else json.dumps(answer), encoding="utf-8")
    return 0


def _describe(root, module, use_all):  # type: ignore[no-untyped-def]
    import dlt
    from dlt.common import json as dlt_json

    try:
        from dlt._workspace.deployment.manifest import expand_triggers, generate_manifest_hash, manifest_from_module
        from dlt._workspace.deployment.requirements import export_workspace_requirements
    except ImportError as error:
        raise _TooOldError(dlt.__version__) from error
    answer = {
        "dlt_version": dlt.__version__,
        "python_version": "{}.{}".format(*sys.version_info[:2]),
        "manifest": None,
        "manifest_hash": None,
        "warnings": [],
        "triggers": {},
    }
    if module is not None:
        manifest, warnings = manifest_from_module(module, use_all=use_all)
        answer["manifest"] = manifest
        answer["manifest_hash"] = generate_manifest_hash(manifest)
        answer["warnings"] = [str(warning) for warning in warnings]
        answer["triggers"] = {job["job_ref"]: [str(one) for one in expand_triggers(job)] for job in manifest["jobs"]}
    try:
        answer["requirements"] = export_workspace_requirements(root)
    except Exception as error:  # several kinds, by version
        raise _RequirementsError(error) from error
    return dlt_json.dumps(answer)


class _TooOldError(Exception):
    """The workspace's dlt knows no deployments."""


class _RequirementsError(Exception):
    """The workspace's dependencies could not be exported."""


def _explain(error, root):  # type: ignore[no-untyped-def]
    """What went wrong, and where in the workspace: the innermost frame of a file of the user's."""
    kind = {"_TooOldError": "too_old", "_RequirementsError": "requirements"}.get(type(error).__name__, "module")
    if kind == "module" and isinstance(error, ImportError) and (error.name or "").split(".")[0] == "dlt":
        kind = "no_dlt"
    if kind == "module" and type(error).__module__.startswith("dlt._workspace"):
        kind = "manifest"
    place = _user_frame(error, root)
    if isinstance(error, SyntaxError) and error.filename:
        place = {"file": error.filename, "line": error.lineno or 0}
    return {
        "kind": kind,
        "type": type(error).__name__,
        "message": str(error),
        "module": getattr(error, "name", None) if isinstance(error, ImportError) else None,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
        **(place or {}),
    }


def _user_frame(error, root):  # type: ignore[no-untyped-def]
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        inside = frame.filename.startswith(root + os.sep) and "site-packages" not in frame.filename
        if inside and os.path.abspath(frame.filename) != os.path.abspath(__file__):
            found = {"file": frame.filename, "line": frame.lineno}
    return found


if __name__ == "__main__":
    sys.exit(main())
