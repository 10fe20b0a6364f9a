"""What a launcher says of a pipeline, whatever that is called and however large it is."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.dispatch import report_files
from runtime.domain import pipelines
from runtime.domain.pipelines import PipelineReport
from runtime.launchers import report
from runtime.launchers.report import Tracker, report_of

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def trace(rows: dict[str, int], load_ids: list[str], changes: dict[str, dict[str, Any]]) -> Any:
    """What dlt tells of one run of a pipeline."""
    packages = [SimpleNamespace(schema_update={table: {"columns": columns} for table, columns in changes.items()})]
    infos = {
        "normalize": SimpleNamespace(row_counts=rows),
        "load": SimpleNamespace(loads_ids=load_ids, load_packages=packages),
    }
    steps = [SimpleNamespace(step=name, step_info=info, step_exception=None) for name, info in infos.items()]
    return SimpleNamespace(transaction_id="t1", steps=steps, started_at=NOW, finished_at=NOW)


def pipeline(tables: dict[str, dict[str, Any]], name: str = "shop") -> Any:
    destination = SimpleNamespace(destination_name="warehouse", destination_type="dlt.destinations.duckdb")
    schemas = {"shop": SimpleNamespace(name="shop", tables=tables)}
    return SimpleNamespace(pipeline_name=name, dataset_name="sales", destination=destination, schemas=schemas)


def column(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "data_type": "text", **fields}


def read(told: dict[str, Any]) -> PipelineReport:
    return PipelineReport.model_validate_json(json.dumps(told))


def test_both_sides_have_the_same_limits() -> None:
    ours = (report.MOST_LOADS, report.MOST_TABLES, report.MOST_COLUMNS, report.MOST_BYTES)
    assert ours == (pipelines.MOST_LOADS, pipelines.MOST_TABLES, pipelines.MOST_COLUMNS, report_files.MOST_BYTES)


def test_a_long_description_is_cut_and_costs_nothing_else() -> None:
    tables = {"fruits": {"description": "a" * 9999, "columns": {"name": column("name", description="b" * 2001)}}}
    (table,) = read(report_of(trace({"fruits": 4}, ["1.5"], {}), pipeline(tables), None)).tables or ()
    assert table.description == "a" * 1999 + "…"
    assert table.columns[0].description == "b" * 1999 + "…"
    tables["fruits"]["description"] = "a" * 2000
    (table,) = read(report_of(trace({"fruits": 4}, ["1.5"], {}), pipeline(tables), None)).tables or ()
    assert table.description == "a" * 2000


def test_of_many_packages_the_newest_are_named() -> None:
    load_ids = [f"{number}.5" for number in range(250)]
    (load,) = read(report_of(trace({}, load_ids, {}), pipeline({}), None)).loads
    assert load.load_ids == tuple(load_ids[-100:])


@pytest.mark.parametrize("name", ["x" * 301, "line\nfeed", "\x1b]0;title\x07", "", "half \ud800"])
def test_a_name_that_no_report_may_hold_is_made_one(name: str) -> None:
    tables = {name: {"parent": name, "columns": {name: column(name)}}}
    told = read(report_of(trace({name: 4}, [], {name: {name: {}}}), pipeline(tables, name), None))
    (table,) = told.tables or ()
    shown = table.name
    assert {told.pipeline_name, table.parent, table.columns[0].name} == {shown}
    assert (told.loads[0].rows, told.loads[0].schema_changes) == ({shown: 4}, {shown: (shown,)})


def test_of_too_many_tables_and_columns_some_are_left_out() -> None:
    rows = {f"t{number}": number for number in range(5001)}
    tables: dict[str, dict[str, Any]] = {name: {"columns": {}} for name in rows}
    tables["t0"]["columns"] = {f"c{number}": column(f"c{number}") for number in range(5001)}
    told = read(report_of(trace(rows, [], {name: {"c": {}} for name in rows}), pipeline(tables), None))
    assert told.tables is not None
    assert (len(told.tables), len(told.tables[0].columns)) == (5000, 5000)
    assert len(told.loads[0].schema_changes) == 5000
    assert min(told.loads[0].rows.values()) == 1


def test_too_long_a_report_is_written_without_its_tables_and_can_be_read(tmp_path: Path) -> None:
    rows = {f"{'x' * 290}{number}": number for number in range(5000)}
    tracker = Tracker(tmp_path)
    tracker.write("shop", report_of(trace(rows, [], {}), pipeline({name: {} for name in rows}), None))
    (told,), refused = report_files.read_reports(tmp_path)
    assert (refused, told.tables, max(told.loads[0].rows.values()), len(told.loads[0].rows)) == (0, None, 4999, 500)


def test_a_pipeline_that_is_cut_off_has_said_how_far_it_came(tmp_path: Path) -> None:
    """What it did before stays, and no step is asked for its tables, which it is just changing."""
    tracker, shop = Tracker(tmp_path), pipeline({"fruits": {"columns": {"name": column("name")}}})
    tracker.write("shop", report_of(trace({"fruits": 4}, ["1.5"], {}), shop, None))
    second = SimpleNamespace(transaction_id="t2", steps=[], started_at=NOW, finished_at=None)

    def said() -> tuple[str | None, int, dict[str, int]]:
        (told,), refused = report_files.read_reports(tmp_path)
        assert (refused, [table.name for table in told.tables or ()]) == (0, ["fruits"])
        first, load = told.loads
        assert (first.status, load.transaction_id, load.status) == ("succeeded", "t2", "running")
        return load.failed_step, len(load.load_ids), load.rows

    def ended(step: str, info: Any) -> None:
        done = SimpleNamespace(step=step, step_info=info, step_exception=None)
        second.steps.append(done)
        tracker.on_end_trace_step(second, done, shop, info, False)

    tracker.on_start_trace(second, "run", shop)
    assert said() == ("run", 0, {})
    tracker.on_start_trace_step(second, "run", shop)
    tracker.on_start_trace_step(second, "extract", shop)
    assert said() == ("extract", 0, {})
    ended("extract", SimpleNamespace(loads_ids=["2.5"]))
    assert said() == ("run", 1, {})
    tracker.on_start_trace_step(second, "normalize", shop)
    ended("normalize", SimpleNamespace(row_counts={"fruits": 7}))
    tracker.on_start_trace_step(second, "load", shop)
    assert said() == ("load", 1, {"fruits": 7})


def test_a_first_load_that_is_cut_off_knows_no_tables(tmp_path: Path) -> None:
    tracker, shop = Tracker(tmp_path), pipeline({"fruits": {"columns": {}}})
    started = SimpleNamespace(transaction_id="t1", steps=[], started_at=NOW, finished_at=None)
    tracker.on_start_trace(started, "run", shop)
    (told,), _ = report_files.read_reports(tmp_path)
    assert told.tables is None
    assert told.loads[0].failed_step == "run"


def test_a_look_at_the_destination_leaves_no_report_halfway_either(tmp_path: Path) -> None:
    tracker, shop = Tracker(tmp_path), pipeline({})
    started = SimpleNamespace(transaction_id="t1", steps=[], started_at=NOW, finished_at=None)
    tracker.on_start_trace(started, "sync", shop)
    tracker.on_start_trace_step(started, "sync", shop)
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_halfway_is_complained_of_at_the_end_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker, shop = Tracker(tmp_path / "absent"), pipeline({})
    started = trace({}, ["1.5"], {})
    tracker.on_start_trace(started, "run", shop)
    assert capsys.readouterr().err == ""
    tracker.on_end_trace(started, shop, False)
    assert "left no report: FileNotFoundError" in capsys.readouterr().err
