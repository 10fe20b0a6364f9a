"""Tables made of the loaded earthquakes. Gates see to it that none is made of half a load."""

from typing import Any, List, Sequence, Tuple

import dlt
from dlt.hub import run
from dlt.hub.run import TJobRunContext, trigger

from earthquakes_pipeline import DATASET_NAME, ingest

# A window whose load broke off is loaded again as a whole, so a row may be there twice.
EARTHQUAKES = "(SELECT DISTINCT id, happened_at, region, depth_km, magnitude FROM earthquakes) AS quakes"


@run.pipeline(
    "earthquakes_strongest",
    trigger=ingest.success,
    freshness=[ingest.is_fresh],
    expose={"tags": ["transform"], "display_name": "Strongest earthquakes"},
)
def strongest(run_context: TJobRunContext) -> None:
    """The ten strongest earthquakes so far, after every load."""
    columns = ("id", "happened_at", "region", "magnitude")
    query = f"SELECT {', '.join(columns)} FROM {EARTHQUAKES} ORDER BY magnitude DESC, id LIMIT 10"
    _make_table("strongest", columns, _ask(query), run_context)


@run.pipeline(
    "earthquakes_by_region",
    trigger=trigger.schedule("* * * * *"),
    freshness=[ingest.is_fresh],
    expose={"tags": ["transform"], "display_name": "Earthquakes by region"},
)
def by_region(run_context: TJobRunContext) -> None:
    """How many earthquakes a region has had and how strong they are, every minute."""
    columns = ("region", "quakes", "mean_magnitude", "deepest_km")
    query = f"SELECT region, count(*), round(avg(magnitude), 2), max(depth_km) FROM {EARTHQUAKES} GROUP BY region ORDER BY region"
    _make_table("by_region", columns, _ask(query), run_context)


def _ask(query: str) -> List[Tuple[Any, ...]]:
    with dlt.dataset(dlt.destination("warehouse"), DATASET_NAME).sql_client as client:
        return list(client.execute_sql(query) or ())


def _make_table(name: str, columns: Sequence[str], rows: List[Tuple[Any, ...]], run_context: TJobRunContext) -> None:
    """Put rows in the place of those in a table; each has a pipeline of its own, so they never meet."""
    print(f"refresh {run_context['refresh']}")
    pipeline = dlt.pipeline(f"earthquakes_{name}", destination="warehouse", dataset_name=f"earthquakes_{name}")
    records = [dict(zip(columns, row)) for row in rows]
    pipeline.run(records, table_name=name, write_disposition="replace")
    print(f"{len(records)} rows in {name}")
    for record in records[:3]:
        print("  " + ", ".join(str(value) for value in record.values()))
