"""Loads the shop into the destination `warehouse`, whatever that is in the profile at hand."""

import dlt

# The same as `from dlt.hub import run`, which works only where the optional package `dlthub` is installed too.
import dlt.hub.run as run

from fruitshop_source import fruitshop

PIPELINE_NAME = "fruitshop"
DATASET_NAME = "fruitshop_data"


def shop_pipeline() -> dlt.Pipeline:
    return dlt.pipeline(PIPELINE_NAME, destination="warehouse", dataset_name=DATASET_NAME)


@run.pipeline(PIPELINE_NAME, expose={"tags": ["ingest"], "display_name": "Load the fruit shop"})
def load_shop() -> None:
    """Load customers, inventory and purchases; running it again changes nothing."""
    pipeline = shop_pipeline()
    if pipeline.has_pending_data:
        pipeline.run()  # what a run has left that was cut short: it would be loaded in place of the first table
    shop = fruitshop()
    print(f"loading {len(shop.resources)} tables into {pipeline.destination.destination_name}.{DATASET_NAME}")
    for table in shop.resources:
        pipeline.run(shop.with_resources(table))
        rows = pipeline.last_trace.last_normalize_info.row_counts.get(table, 0)
        print(f"  {table}: {rows} rows")
    print("the shop is loaded")


if __name__ == "__main__":
    load_shop()
