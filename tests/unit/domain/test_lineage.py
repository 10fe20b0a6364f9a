"""Jobs, pipelines and datasets, and what leads to what."""

from runtime.domain.jobs import JobDefinition, normalise_definition
from runtime.domain.lineage import trace_lineage
from runtime.domain.pipelines import Pipeline
from tests.factories import NOW, make_raw_definition


def job(name: str, *triggers: str) -> JobDefinition:
    return normalise_definition(make_raw_definition(f"jobs.{name}", triggers=list(triggers)), 1)


def pipeline(name: str, dataset: str | None = "shop_data", profile: str = "prod") -> Pipeline:
    return Pipeline(
        profile=profile,
        name=name,
        dataset_name=dataset,
        destination_name="warehouse",
        destination_type="duckdb",
        table_count=1,
        updated_at=NOW,
    )


def test_a_job_leads_to_its_pipeline_and_that_to_its_dataset() -> None:
    found = trace_lineage(
        [job("shop.load"), job("shop.report", "job.success:jobs.shop.load")], [("jobs.shop.load", pipeline("shop"))]
    )
    assert [(node.kind, node.name) for node in found.nodes] == [
        ("job", "jobs.shop.load"),
        ("job", "jobs.shop.report"),
        ("pipeline", "shop"),
        ("dataset", "shop_data"),
    ]
    assert {(link.source, link.kind, link.target) for link in found.links} == {
        ("job/jobs.shop.load", "success", "job/jobs.shop.report"),
        ("job/jobs.shop.load", "runs", "pipeline/prod/shop"),
        ("pipeline/prod/shop", "loads", "dataset/prod/warehouse/shop_data"),
    }


def test_two_pipelines_meet_in_a_dataset_but_not_across_profiles() -> None:
    loaded = [("jobs.shop.load", one) for one in (pipeline("a"), pipeline("b"), pipeline("a", profile="dev"))]
    found = trace_lineage([job("shop.load")], loaded)
    assert [node.id for node in found.nodes if node.kind == "dataset"] == [
        "dataset/dev/warehouse/shop_data",
        "dataset/prod/warehouse/shop_data",
    ]
    assert sum(link.target == "dataset/prod/warehouse/shop_data" for link in found.links) == 2


def test_data_of_a_job_that_is_gone_is_still_shown_and_a_job_that_is_waited_for_too() -> None:
    found = trace_lineage(
        [job("shop.report", "job.success:jobs.shop.load")], [("jobs.shop.old", pipeline("old", dataset=None))]
    )
    assert [node.id for node in found.nodes] == ["job/jobs.shop.load", "job/jobs.shop.report", "pipeline/prod/old"]
    assert [link.kind for link in found.links] == ["success"]
