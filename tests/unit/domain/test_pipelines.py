"""Reports of pipelines: how several become one, and what of them a run's details show."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.domain.pipelines import (
    MOST_LOADS,
    MOST_NAMED,
    Load,
    PipelineReport,
    Table,
    cut_off,
    merge_reports,
    summary_of,
    without_running,
)
from tests.factories import NOW


def load(minute: int = 0, seconds: float = 30, **fields: Any) -> Load:
    started = NOW + timedelta(minutes=minute)
    given_fields = {"transaction_id": f"t{minute}", "status": "succeeded", **fields}
    return Load(started_at=started, finished_at=started + timedelta(seconds=seconds), **given_fields)


def report(*loads: Load, name: str = "shop", **fields: Any) -> PipelineReport:
    return PipelineReport(pipeline_name=name, loads=loads, **fields)


def test_reports_of_several_processes_are_one_with_what_the_last_of_them_knew() -> None:
    early = report(load(1), load(5), destination_name="old")
    late = report(load(3), load(7), destination_name="new")
    (merged,) = merge_reports([late, early])
    assert [one.transaction_id for one in merged.loads] == ["t1", "t3", "t5", "t7"]
    assert merged.destination_name == "new"


def test_of_many_loads_the_newest_stay() -> None:
    one = report(*(load(minute) for minute in range(MOST_LOADS)))
    (merged,) = merge_reports([one, report(load(MOST_LOADS + 1))])
    assert len(merged.loads) == MOST_LOADS
    assert merged.loads[0].transaction_id == "t1"


def test_a_load_that_two_processes_tell_of_counts_once() -> None:
    (merged,) = merge_reports([report(load(1)), report(load(1), load(2))])
    assert [one.transaction_id for one in merged.loads] == ["t1", "t2"]


def test_pipelines_are_told_apart_by_their_names() -> None:
    assert {one.pipeline_name for one in merge_reports([report(load(), name="a"), report(load(), name="b")])} == {
        "a",
        "b",
    }


def test_a_summary_adds_up_the_loads_and_ends_as_the_last_of_them() -> None:
    summary = summary_of(
        report(
            load(0, status="failed", failed_step="extract", rows={"fruits": 1}),
            load(2, rows={"fruits": 2, "sales": 5}, schema_changes={"sales": ("day", "pieces")}),
        )
    )
    assert (summary.status, summary.total_rows, summary.duration_ms) == ("succeeded", 8, 60_000)
    assert summary.rows_by_table == {"sales": 5, "fruits": 3}
    assert summary.schema_changes == {"sales": ("day", "pieces")}
    assert summary.started_at == NOW
    assert summary.finished_at == NOW + timedelta(minutes=2, seconds=30)


def test_a_load_that_never_ended_took_no_time() -> None:
    unended = load().model_copy(update={"finished_at": None})
    assert summary_of(report(unended)).duration_ms == 0


def test_a_summary_names_the_largest_tables_only() -> None:
    rows = {f"table_{number}": number for number in range(MOST_NAMED + 5)}
    summary = summary_of(report(load(rows=rows)))
    assert summary.rows_by_table is not None
    assert len(summary.rows_by_table) == MOST_NAMED
    assert "table_0" not in summary.rows_by_table
    assert summary.total_rows == sum(rows.values())


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_rows_stay_what_the_store_can_hold(counts: list[int]) -> None:
    """However large the numbers are that a job writes."""
    summary = summary_of(report(*(load(minute, rows={"t": count}) for minute, count in enumerate(counts))))
    assert summary.total_rows == min(sum(counts), 2**63 - 1)


@pytest.mark.parametrize(
    "field",
    [
        {"transaction_id": "\x1b[31mred"},
        {"transaction_id": "two\nlines"},
        {"transaction_id": ""},
        {"transaction_id": "x" * 301},
        {"status": "fine"},
        {"rows": {"t": -1}},
        {"rows": {"t": 2**63}},
        {"rows": {"t": "5"}},
        {"rows": {"t\0": 5}},
        {"started_at": "0001-01-01T00:00:00+14:00"},
        {"started_at": "2026-01-01T00:00:00"},
        {"surplus": 1},
    ],
    ids=repr,
)
def test_what_is_no_load_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Load.model_validate({**load().model_dump(), **field})


def test_what_is_left_running_has_failed_where_it_was() -> None:
    ended = cut_off(report(load(1), load(2, status="running", failed_step="load"), load(3, status="running")))
    assert [(one.status, one.failed_step) for one in ended.loads] == [
        ("succeeded", None),
        ("failed", "load"),
        ("failed", None),
    ]
    assert summary_of(ended).status == "failed"


def test_while_the_job_goes_on_only_loads_that_have_ended_are_told() -> None:
    first, second = report(load(1), load(2, status="running")), report(load(1, status="running"), name="other")
    (told,) = without_running([first, second])
    assert [one.transaction_id for one in told.loads] == ["t1"]


def test_tables_that_one_process_does_not_know_are_those_that_another_told() -> None:
    tables = (Table(schema_name="shop", name="fruits"),)
    (merged,) = merge_reports([report(load(1), tables=tables), report(load(2, status="running"))])
    assert merged.tables == tables
    (emptied,) = merge_reports([report(load(1), tables=tables), report(load(2), tables=())])
    assert emptied.tables == ()
