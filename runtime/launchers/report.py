"""Writes what pipelines did into the run's report directory, one file for each pipeline of each process.

dlt tells its tracking modules of every pipeline run; `Tracker` is one of them. Each file is JSON and is replaced as a
whole at every step of its pipeline, so a reader never sees half of one, and a pipeline that is killed has left how far
it came. Whatever goes wrong here costs the report and
one line on stderr, never the user's run.

Standard library and dlt only, of the job's own environment; Python 3.10 and later.
"""

import contextlib
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

PLACE = Path("/run/report")

# Of a report that holds more than this nothing is read (`runtime/domain/pipelines.py`), so it is made to fit.
MOST_LOADS = 100
"""The newest ones of a pipeline; older ones count in its totals only. Likewise the packages of a load."""
MOST_TABLES = 5000
MOST_COLUMNS = 5000
MOST_NAME = 300
MOST_TEXT = 2000
MOST_BYTES = 1024 * 1024
"""Of a report; one that would be longer says less."""
MOST_ROWS_LEFT = 500
"""Tables whose rows such a one still has, those with most."""


class Tracker:
    """One of dlt's tracking modules (`SupportsTracking`)."""

    is_of_dlt_runtime = True
    """Known by this and not by its class: the plugin and the launcher load this file each for itself."""

    def __init__(self, place: Path = PLACE) -> None:
        self.place = place
        self.pipelines: dict[str, dict[str, Any]] = {}
        """The last report of each pipeline that has come to its end."""
        self.steps: dict[str, list[str]] = {}
        """The steps that each pipeline is in, the outermost first."""

    def on_start_trace(self, trace: Any, step: Any, pipeline: Any) -> None:
        """Say that a pipeline has begun."""
        self.steps[pipeline.pipeline_name] = [step]
        self.write_so_far(trace, pipeline)

    def on_start_trace_step(self, trace: Any, step: Any, pipeline: Any) -> None:
        """Say which step it is in."""
        steps = self.steps.setdefault(pipeline.pipeline_name, [])
        if steps != [step]:  # which has just begun with its first step
            steps.append(step)
        self.write_so_far(trace, pipeline)

    def on_end_trace_step(
        self,
        trace: Any,
        step: Any,
        pipeline: Any,
        step_info: Any,  # noqa: ARG002 - the trace has it
        send_state: bool,  # noqa: ARG002 - dlt's to say
    ) -> None:
        """Say what the step has done."""
        steps = self.steps.setdefault(pipeline.pipeline_name, [])
        if len(steps) > 1 and steps[-1] == step.step:
            steps.pop()
        self.write_so_far(trace, pipeline)

    def write_so_far(self, trace: Any, pipeline: Any) -> None:
        """Write what there is to say of a pipeline that goes on; if that fails, its end will say why."""
        name = pipeline.pipeline_name
        steps = self.steps.get(name)
        if steps and steps[0] in STEPS:
            with contextlib.suppress(Exception):
                self.put(name, report_of(trace, pipeline, self.pipelines.get(name), steps[-1]))

    def on_end_trace(self, trace: Any, pipeline: Any, send_state: bool) -> None:  # noqa: ARG002 - dlt's to say
        """Write the report of a pipeline anew."""
        self.steps.pop(pipeline.pipeline_name, None)
        if not any(step.step in STEPS for step in trace.steps):
            return  # it only looked at its destination
        try:
            self.write(pipeline.pipeline_name, report_of(trace, pipeline, self.pipelines.get(pipeline.pipeline_name)))
        except Exception as error:
            message = f"pipeline `{pipeline.pipeline_name}` left no report: {type(error).__name__}: {error}"
            print(message.splitlines()[0], file=sys.stderr, flush=True)

    def write(self, name: str, report: dict[str, Any]) -> None:
        """Put a report in the place of the one before."""
        self.pipelines[name] = report
        self.put(name, report)

    def put(self, name: str, report: dict[str, Any]) -> None:
        """Replace the file of a pipeline."""
        file_name = f"{os.getpid()}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        text = json.dumps(report, default=str)
        if len(text) > MOST_BYTES:
            text = json.dumps({**report, "loads": [shortened(report["loads"][-1])], "tables": None}, default=str)
        half_done = self.place / f".{file_name}"
        half_done.write_text(text, encoding="utf-8")
        half_done.replace(self.place / f"{file_name}.json")


STEPS = ("extract", "normalize", "load", "run")

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LONE = re.compile(r"[\ud800-\udfff]")
"""Halves of characters, which are no text that can be sent."""


def report_of(trace: Any, pipeline: Any, before: dict[str, Any] | None, step: str | None = None) -> dict[str, Any]:
    """All there is to say of a pipeline in this process, and the loads it made: those before and one more.

    Args:
        step: The one that it is in; None if it has ended. Until then its tables are not known, since it changes them.
    """
    destination = pipeline.destination
    loads = [*(before or {}).get("loads", ()), load_of(trace, step)][-MOST_LOADS:]
    return {
        "pipeline_name": name_of(pipeline.pipeline_name),
        "dataset_name": name_of(pipeline.dataset_name),
        "destination_name": name_of(destination.destination_name) if destination else None,
        "destination_type": name_of(destination.destination_type) if destination else None,
        "loads": loads,
        "tables": tables_of(pipeline) if step is None else (before or {}).get("tables"),
    }


def load_of(trace: Any, step: str | None = None) -> dict[str, Any]:
    """One run of a pipeline, or of a step of it that was called by itself; `step` is the one that it is in."""
    failed = [step.step for step in trace.steps if step.step_exception is not None]
    steps = {step.step: step.step_info for step in trace.steps if step.step_info is not None}
    load_ids = list(getattr(steps.get("load") or steps.get("extract"), "loads_ids", ()))
    return {
        "transaction_id": trace.transaction_id,
        "status": "running" if step else "failed" if failed else "succeeded",
        "failed_step": failed[0] if failed else step,
        "started_at": trace.started_at.isoformat(),
        "finished_at": trace.finished_at.isoformat() if trace.finished_at else None,
        "load_ids": load_ids[-MOST_LOADS:],
        "rows": rows_of(steps.get("normalize")),
        "schema_changes": changes_of(steps.get("load")),
    }


def rows_of(normalized: Any) -> dict[str, int]:
    """Rows by table, without dlt's own tables; of too many tables, of those with most."""
    counts = getattr(normalized, "row_counts", None) or {}
    return largest({name_of(table): rows for table, rows in counts.items() if not is_internal(table)}, MOST_TABLES)


def changes_of(loaded: Any) -> dict[str, list[str]]:
    """The columns that the load added, by table."""
    changes: dict[str, list[str]] = {}
    for package in getattr(loaded, "load_packages", ()):
        for table, update in (package.schema_update or {}).items():
            if not is_internal(table):
                changes.setdefault(name_of(table), []).extend(map(name_of, update.get("columns", {})))
    return dict(list(changes.items())[:MOST_TABLES])


def tables_of(pipeline: Any) -> list[dict[str, Any]]:
    """Every table of every schema, as far as the pipeline has seen data for it."""
    tables = [
        (schema, name, table)
        for schema in (pipeline.schemas[name] for name in pipeline.schemas)
        for name, table in schema.tables.items()
        if not is_internal(name)
    ]
    return [
        {
            "schema_name": name_of(schema.name),
            "name": name_of(name),
            "parent": name_of(table.get("parent")),
            "write_disposition": name_of(table.get("write_disposition")),
            "description": text_of(table.get("description")),
            "columns": columns_of(table),
        }
        for schema, name, table in tables[:MOST_TABLES]
    ]


def columns_of(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns of a table, with name, type and keys."""
    return [
        {
            "name": name_of(column["name"]),
            "data_type": name_of(column["data_type"]),
            "nullable": column.get("nullable", True),
            "primary_key": column.get("primary_key", False),
            "description": text_of(column.get("description")),
        }
        for column in table.get("columns", {}).values()
        if column.get("data_type")
    ][:MOST_COLUMNS]


def name_of(value: Any) -> Any:
    """A name as reports can hold it: without control characters, and of bounded length; None where there is none."""
    if value is None:
        return None
    plain = CONTROL.sub("\ufffd", str(value))
    return shorter(plain, MOST_NAME) or "\ufffd"


def text_of(value: Any) -> Any:
    """A description as reports can hold it."""
    return None if value is None else shorter(str(value), MOST_TEXT)


def shorter(text: str, most: int) -> str:
    """A text of at most so many characters, whose end shows that there was more."""
    text = LONE.sub("\ufffd", text)
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def shortened(load: dict[str, Any]) -> dict[str, Any]:
    """A load without what may take most room."""
    return {**load, "rows": largest(load["rows"], MOST_ROWS_LEFT), "schema_changes": {}}


def largest(counts: dict[str, int], most: int) -> dict[str, int]:
    """The entries that count most."""
    return counts if len(counts) <= most else dict(sorted(counts.items(), key=lambda item: -item[1])[:most])


def is_internal(table: str) -> bool:
    """Whether dlt keeps the table for itself."""
    return table.startswith("_dlt")


def install() -> None:
    """Be told of every pipeline run of this process and of those it starts, if somebody reads reports."""
    if track():
        inherited = str(Path(__file__).with_name("inherited"))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), inherited)))
        sys.path.append(inherited)  # what `multiprocessing` spawns, a notebook's kernel for one, has this path instead


def track() -> bool:
    """Be told of every pipeline run of this process; whether that was possible."""
    # A dlt that keeps its tracking modules elsewhere is reported on no more.
    modules = getattr(sys.modules.get("dlt.pipeline.trace"), "TRACKING_MODULES", None)
    if modules is None or not PLACE.is_dir():
        return False
    if not any(getattr(module, "is_of_dlt_runtime", False) for module in modules):
        modules.append(Tracker())
    return True
