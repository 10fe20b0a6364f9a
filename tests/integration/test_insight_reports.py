"""What a job may leave in its report directory, and what becomes of it."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from runtime.dispatch import insight, report_files
from runtime.dispatch.report_files import MOST_BYTES, MOST_REPORTS, last_change, read_reports
from runtime.domain.pipelines import PipelineReport
from runtime.errors import NotFoundError
from runtime.store import pipelines as store
from tests.factories import NOW
from tests.house import House

GOOD: dict[str, Any] = {
    "pipeline_name": "shop",
    "dataset_name": "shop_data",
    "destination_name": "warehouse",
    "destination_type": "dlt.destinations.duckdb",
    "loads": [
        {
            "transaction_id": "t1",
            "status": "succeeded",
            "failed_step": None,
            "started_at": "2026-01-02T03:04:05+00:00",
            "finished_at": "2026-01-02T03:04:07.5+00:00",
            "load_ids": ["1.5"],
            "rows": {"fruits": 4},
            "schema_changes": {"fruits": ["name"]},
        }
    ],
    "tables": [
        {
            "schema_name": "shop",
            "name": "fruits",
            "parent": None,
            "write_disposition": "append",
            "description": None,
            "columns": [{"name": "name", "data_type": "text", "nullable": False, "primary_key": True}],
        }
    ],
}


def put(directory: Path, name: str, content: Any) -> None:
    (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))


# --- files


def test_reports_are_read_beside_everything_else(tmp_path: Path) -> None:
    put(tmp_path, "1.json", GOOD)
    put(tmp_path, ".half-done", "{")
    put(tmp_path, "notes.txt", "not ours")
    (report,), refused = read_reports(tmp_path)
    assert (report.pipeline_name, refused) == ("shop", 0)


def test_a_run_without_a_report_directory_has_no_reports(tmp_path: Path) -> None:
    assert read_reports(tmp_path / "absent") == ([], 0)
    assert last_change(tmp_path / "absent") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps({**GOOD, "pipeline_name": "x" * 10_000}),
        json.dumps({**GOOD, "pipeline_name": 7}),
        json.dumps({**GOOD, "pipeline_name": "a\u001b]0;title\u0007"}),
        json.dumps(GOOD).replace('"shop"', '"\\ud800"'),
        json.dumps(GOOD).replace(": 4}", f": {'9' * 5000}}}"),
        json.dumps(GOOD).replace(": 4}", ": NaN}"),
        json.dumps(GOOD).replace(": 4}", ": 1e400}"),
        json.dumps({**GOOD, "loads": []}),
        json.dumps({**GOOD, "loads": GOOD["loads"] * 101}),
        json.dumps({**GOOD, "tables": {"fruits": {}}}),
        json.dumps({key: value for key, value in GOOD.items() if key != "loads"}),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_report_is_left_out(tmp_path: Path, content: str) -> None:
    put(tmp_path, "0.json", content)
    put(tmp_path, "1.json", GOOD)
    reports, refused = read_reports(tmp_path)
    assert ([one.pipeline_name for one in reports], refused) == (["shop"], 1)


def test_links_pipes_and_directories_are_not_opened(tmp_path: Path) -> None:
    """A link may lead to a file of the daemon, a pipe would make it wait for ever."""
    place = tmp_path / "report"
    place.mkdir()
    put(tmp_path, "elsewhere.json", GOOD)
    (place / "link.json").symlink_to(tmp_path / "elsewhere.json")
    (place / "loop.json").symlink_to("loop.json")
    os.mkfifo(place / "pipe.json")
    (place / "directory.json").mkdir()
    assert read_reports(place) == ([], 4)


def test_a_link_in_the_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    place = tmp_path / "report"
    place.mkdir()
    put(place, "1.json", GOOD)
    (tmp_path / "link").symlink_to(place)
    assert read_reports(tmp_path / "link") == ([], 1)


def test_too_long_a_report_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, "1.json", json.dumps(GOOD) + " " * MOST_BYTES)
    with (tmp_path / "2.json").open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert read_reports(tmp_path) == ([], 2)


def test_of_many_reports_some_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST_REPORTS + 7):
        put(tmp_path, f"{number}.json", GOOD)
    reports, refused = read_reports(tmp_path)
    assert (len(reports), refused) == (MOST_REPORTS, 7)
    monkeypatch.setattr(report_files, "MOST_ENTRIES", 10)
    assert len(read_reports(tmp_path)[0]) == 10


def test_together_reports_may_not_be_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        put(tmp_path, f"{number}.json", GOOD)
    monkeypatch.setattr(report_files, "MOST_BYTES_TOGETHER", 2 * len(json.dumps(GOOD)) + 5)
    reports, refused = read_reports(tmp_path)
    assert (len(reports), refused) == (2, 3)


# --- the store


def report(name: str = "shop", **fields: Any) -> PipelineReport:
    return PipelineReport.model_validate({**GOOD, "pipeline_name": name, **fields})


async def test_what_a_run_reports_is_in_its_details_and_in_the_workspace(house: House) -> None:
    await house.ready()
    run = await house.launch()
    place = house.folder / "runs" / str(run.id) / "report"
    place.mkdir(parents=True)
    put(place, "1.json", GOOD)
    async with house.database.transaction() as connection:
        await house.insight.save(connection, run, await house.insight.read(run.id))
    (summary,) = (await house.runs.get(house.workspace_id, run.id)).summaries
    assert (summary.pipeline_name, summary.dataset_name, summary.destination_name) == ("shop", "shop_data", "warehouse")
    assert (summary.status, summary.total_rows, summary.duration_ms) == ("succeeded", 4, 2500)
    assert (summary.rows_by_table, summary.schema_changes) == ({"fruits": 4}, {"fruits": ("name",)})
    (pipeline,) = await house.insight.list(house.workspace_id)
    assert (pipeline.name, pipeline.profile, pipeline.table_count) == ("shop", run.profile, 1)
    view = await house.insight.get(house.workspace_id, "shop")
    assert [column.name for table in view.tables for column in table.columns] == ["name"]
    assert [(run_id, load.transaction_id) for run_id, load in view.loads] == [(run.id, "t1")]


async def test_what_a_run_reports_is_seen_while_it_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what it had reported when its daemon ended."""
    monkeypatch.setattr(insight, "_LOOK_SECONDS", 0.01)
    await house.ready()
    run = await house.launch()
    place = house.folder / "runs" / str(run.id) / "report"
    place.mkdir(parents=True)
    put(place, "1.json", GOOD)
    following = asyncio.create_task(house.insight.follow(run))
    try:
        for number, names in enumerate((["shop"], ["shop", "stock"]), 1):
            put(place, f"{number}.json", {**GOOD, "pipeline_name": names[-1]})
            async with asyncio.timeout(10):
                while True:
                    changed = house.changes.event(run.id)
                    view = await house.runs.get(house.workspace_id, run.id)
                    if sorted(one.pipeline_name for one in view.summaries) == names:
                        break
                    await changed.wait()
        assert not view.run.is_final
    finally:
        following.cancel()
        await asyncio.wait({following})


async def test_a_load_that_was_cut_off_leaves_a_summary_and_the_tables_as_they_were(house: House) -> None:
    """Nothing is told of it until the run has ended: then it has failed, in the step it was in."""
    await house.ready()
    run = await house.launch()
    cut = {"transaction_id": "t2", "status": "running", "failed_step": "load", "started_at": "2026-01-02T03:05:00Z"}
    for told in (GOOD, {**GOOD, "destination_name": None, "loads": [*GOOD["loads"], cut], "tables": None}):
        async with house.database.transaction() as connection:
            await house.insight.save(connection, run, [PipelineReport.model_validate_json(json.dumps(told))])
    (summary,) = (await house.runs.get(house.workspace_id, run.id)).summaries
    assert (summary.status, summary.transaction_id, summary.total_rows) == ("failed", "t2", 4)
    view = await house.insight.get(house.workspace_id, "shop")
    assert (view.pipeline.table_count, view.pipeline.destination_name) == (1, "warehouse")
    assert [table.name for table in view.tables] == ["fruits"]
    assert [(load.status, load.failed_step) for _, load in view.loads] == [("failed", "load"), ("succeeded", None)]


async def test_the_same_report_again_adds_nothing(house: House) -> None:
    """It is read while the run goes on and once more at its end."""
    await house.ready()
    run = await house.launch()
    for _ in range(2):
        async with house.database.transaction() as connection:
            await house.insight.save(connection, run, [report()])
    assert len((await house.insight.get(house.workspace_id, "shop")).loads) == 1
    assert len((await house.runs.get(house.workspace_id, run.id)).summaries) == 1


async def test_profiles_have_pipelines_of_their_own(house: House) -> None:
    await house.ready()
    run = await house.launch()
    async with house.database.transaction() as connection:
        for profile, destination in (("prod", "large"), ("dev", "small")):
            await store.save_report(
                connection, house.workspace_id, run.id, profile, report(destination_name=destination), NOW
            )
    assert len(await house.insight.list(house.workspace_id)) == 2
    assert [one.destination_name for one in await house.insight.list(house.workspace_id, "prod")] == ["large"]
    assert (await house.insight.get(house.workspace_id, "shop", "dev")).pipeline.destination_name == "small"
    with pytest.raises(NotFoundError, match="no run has reported of a pipeline `shop` with the profile `access`"):
        await house.insight.get(house.workspace_id, "shop", "access")


async def test_a_workspace_remembers_so_many_pipelines_and_loads(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may think up a new name at every run."""
    monkeypatch.setattr(store, "MOST_PIPELINES", 3)
    monkeypatch.setattr(store, "MOST_LOADS", 2)
    await house.ready()
    run = await house.launch()
    loads = [
        {**GOOD["loads"][0], "transaction_id": f"t{n}", "started_at": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2, 3)
    ]
    for number in range(5):
        house.clock.pass_seconds(1)
        async with house.database.transaction() as connection:
            await house.insight.save(connection, run, [report(f"p{number}", loads=loads)])
    assert [one.name for one in await house.insight.list(house.workspace_id)] == ["p4", "p3", "p2"]
    view = await house.insight.get(house.workspace_id, "p4")
    assert [load.transaction_id for _, load in view.loads] == ["t3", "t2"]
