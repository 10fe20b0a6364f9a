"""Runs inside a job's sandbox as its first program: `python start.py LAUNCHER UNRELEASED_EXIT_CODE`.

Imports what the job will need and then waits on stdin for one line of JSON, the order: `run_id`, `trigger` and
`entry_point` (dlt's `TRuntimeEntryPoint`). The end of stdin instead of an order means that nobody will send one: the
program ends quietly, with the exit code it was given for that, and makes its log read-only: a job may end with any exit
code, but does not do that. It stands for dlt's launchers of the same name and
calls their functions, in this process, so that what was imported while waiting counts.

Standard library and dlt only, of the job's own environment; Python 3.10 and later.
"""

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

MODULE = "dlt._workspace.deployment.launchers.module"

SINCE_1_30 = ("apply_job_configuration", "prepare_run_env")
"""Steps that dlt's module launcher takes from some version on: job settings, then window and timezone."""

ORDER_BLOCK_BYTES = 65536
UNRELEASED_LOG_MODE = 0o400


def main(argv: list[str]) -> None:
    """Prepare, wait, run."""
    # As under `python -m`: the workspace can be imported from, this file's directory cannot.
    sys.path[0] = str(Path.cwd())
    name, unreleased_exit_code = argv[1], int(argv[2])
    launcher = importlib.import_module(name)
    open_hub()
    own_module("report").install()
    order = read_order(0)
    if order is None:
        with contextlib.suppress(OSError):
            os.fchmod(1, UNRELEASED_LOG_MODE)
        os._exit(unreleased_exit_code)
    detach_stdin()
    if name == MODULE:
        run_module(launcher, order)
    else:
        run_launcher(launcher, order)


def own_module(name: str) -> ModuleType:
    """One of the files beside this one; their directory is not one that a job imports from."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"dlt_runtime_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def open_hub() -> None:
    """Let `from dlt.hub import run` work, as the documentation writes it, without the proprietary `dlthub` package.

    Without that package `dlt.hub` refuses every attribute that has not been imported as a module before.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("dlt.hub.run")


def read_order(descriptor: int) -> dict[str, Any] | None:
    """The order, or None if stdin ended before a whole line of it arrived (the daemon died)."""
    received = b""
    while not received.endswith(b"\n"):
        block = os.read(descriptor, ORDER_BLOCK_BYTES)
        if not block:
            return None
        received += block
    order: dict[str, Any] = json.loads(received)
    return order


def detach_stdin() -> None:
    """A job has no input: it reads the end of file, not our pipe."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def run_module(launcher: ModuleType, order: dict[str, Any]) -> None:
    """A plain module, as `python -m` runs it; settings and profile are given as dlt's module launcher gives them."""
    from dlt._workspace import known_sections

    entry_point = order["entry_point"]
    module = entry_point["module"]
    section = module.rpartition(".")[2]
    for step in SINCE_1_30:
        if hasattr(launcher, step):
            getattr(launcher, step)(entry_point)
    launcher.set_config_env_vars((known_sections.JOBS, section), entry_point.get("config", {}))
    if entry_point.get("profile"):
        os.environ["WORKSPACE__PROFILE"] = entry_point["profile"]
    if not is_importable(module):
        fail(f"module `{module}` is not in the deployment")
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def run_launcher(launcher: ModuleType, order: dict[str, Any]) -> None:
    """Any other launcher: its own `run`, with as much of the order as it takes."""
    from dlt._workspace.deployment.exceptions import JobResolutionError

    module = order["entry_point"]["module"]
    if not is_importable(module):
        fail(f"module `{module}` is not in the deployment")
    serving = own_module("serving") if order["entry_point"].get("job_type") == "interactive" else None
    call = serving.prepare(launcher, order["entry_point"]) if serving else launcher.run
    wanted = inspect.signature(call).parameters
    arguments = {name: value for name, value in order.items() if name in wanted}
    # Newer launchers print a job's result in their own way, also that of a job which gave up.
    run = getattr(launcher, "run_and_print_result", run_and_print_result)
    try:
        run(lambda: call(**arguments))
    except JobResolutionError as error:
        # Its message is one for people: which function, and why not.
        fail(str(error))
    except Exception as error:
        if serving is None or not isinstance(error, serving.CannotServeError):
            raise
        fail(str(error))


def run_and_print_result(call: Callable[[], Any]) -> None:
    """What a job returns is its last line, as with dlt's own launcher; other launchers return nothing."""
    result = call()
    if result is not None:
        print(result)


def is_importable(module: str) -> bool:
    """Whether the module exists; one of its packages failing while imported is the job's error and passes through."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
            return False
        raise


def fail(reason: str) -> NoReturn:
    """End with one line that says why."""
    print(f"error: {reason}", file=sys.stderr, flush=True)
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv)
