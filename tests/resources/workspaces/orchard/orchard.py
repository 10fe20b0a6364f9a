"""A pipeline, the job that waits for it to be fresh, one that is done at once, and one that never is."""

import os
import time
from typing import Any

import dlt
import dlt.hub.run as run


@run.pipeline("orchard", expose={"tags": ["ingest"]})
def harvest(run_context: Any = None) -> None:
    """Loads three rows, again and again."""
    pipeline = dlt.pipeline("orchard", destination="duckdb", dataset_name="orchard_data")
    pipeline.run([{"tree": 1}, {"tree": 2}, {"tree": 3}], table_name="trees", write_disposition="replace")
    with pipeline.sql_client() as client:
        (count,) = client.execute_sql("SELECT count(*) FROM trees")[0]
    print(f"harvested {count} trees, refresh {run_context['refresh']}")


@run.job(trigger="tag:press", freshness=harvest.is_fresh)
def press(run_context: Any = None) -> None:
    print(f"pressed, refresh {run_context['refresh']}")


@run.job(expose={"tags": ["quick"], "display_name": "Say hello"}, execute={"concurrency": None})
def greet() -> None:
    print(f"hello from {os.environ.get('WORKSPACE__PROFILE')}")


@run.job(expose={"tags": ["long"]}, execute={"intercept_signals": False})
def rest() -> None:
    print("resting")
    while True:
        time.sleep(3600)
