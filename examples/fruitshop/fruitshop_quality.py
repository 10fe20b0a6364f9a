"""Looks after every load whether the warehouse holds what it should; the job fails when it does not."""

from typing import List

import dlt
import dlt.hub.run as run
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from fruitshop_pipeline import load_shop, shop_pipeline
from fruitshop_source import FRUITS


class QualityError(Exception):
    """The warehouse does not hold what it should."""


@run.job(trigger=load_shop.success, expose={"tags": ["quality"], "display_name": "Check the fruit shop"})
def check_quality(shop_customers: int = dlt.config.value, shop_purchases: int = dlt.config.value) -> None:
    """Count rows and look for purchases by nobody; raise when rows are missing.

    To see it fail, ask for more than is loaded: `[jobs.fruitshop_quality] shop_purchases = 1000` in
    `.dlt/prod.config.toml`.
    """
    wanted = {"customers": shop_customers, "inventory": len(FRUITS), "purchases": shop_purchases}
    faults: List[str] = []
    for table, rows in wanted.items():
        found = _count(f"SELECT count(*) FROM {table}")
        print(f"{table}: {found} rows, at least {rows} wanted")
        if found < rows:
            faults.append(f"{table} has {found} of {rows} rows")
    if not faults:
        orphans = _count("SELECT count(*) FROM purchases WHERE customer_id NOT IN (SELECT id FROM customers)")
        print(f"purchases without a customer: {orphans}")
        if orphans:
            faults.append(f"{orphans} purchases have no customer")
    if faults:
        raise QualityError("; ".join(faults))
    print("all is well")


def _count(query: str) -> int:
    """The single number a query answers; 0 where the table is not there yet."""
    with shop_pipeline().sql_client() as client:
        try:
            rows = client.execute_sql(query)
        except DatabaseUndefinedRelation:
            return 0
    return int(rows[0][0]) if rows else 0


if __name__ == "__main__":
    check_quality()
